"""Models that are trained on samples of models: what is lost from one generation to the next."""

from __future__ import annotations

__all__ = ["SelfConsuming"]

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from dcdbench.methods import register
from dcdbench.methods.choice import fitting
from dcdbench.methods.dcd import DCD
from dcdbench.methods.ideal import denoising
from dcdbench.methods.oracle import OnSignals
from dcdbench.methods.teacher import Teacher
from dcdbench.phases.anchored import Anchored
from dcdbench.phases.relearn import Relearn
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import Objective, Phase, Sampler, Setting
from dcdbench.restorers.own import Own
from dcdbench.samplers.heun import Heun


@register("self_consuming")
@dataclass(frozen=True)
class SelfConsuming:
    """A model, then diffusion models that each learn from samples of the one before.

    Self-Consuming Generative Models Go MAD (Alemohammad et al., 2023), https://arxiv.org/abs/2307.01850.
    Without an anchor that is the fully synthetic loop, on samples as they are; with it, samples are corrupted
    again and learned from in turns with the measurements, by the corruption-aware loss.

    Each generation has phase II's budget, and fresh weights: more of them cost more, and those before are
    shared by all methods that go further. Compare generations with each other, from the first on.

    Args:
        base: What generation 0 is, with its defaults: `teacher`, or `dcd`, whose
            student is then sampled.
        generations: How many there are after that.
        anchor: Whether the measurements stay among the data.
        lr: The learning rate of each.
        steps: The number of noise levels of Heun's method, for each.
    """

    base: Literal["teacher", "dcd"] = "teacher"
    generations: int = 1
    anchor: bool = False
    lr: float = 1e-3
    steps: int = 18

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.generations < 0:
            raise ValueError(f"generations must be >= 0, got {self.generations}")
        if self.steps < 2:
            raise ValueError(f"steps must be >= 2, got {self.steps}")

    def _base(self) -> Teacher | DCD:
        return DCD() if self.base == "dcd" else Teacher(steps=self.steps)

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """What the base supports, where diffusion models that are passed on give signals."""
        if reason := self._base().supports(corruption, shape):
            return reason
        if self.base == "dcd" and (self.generations == 0 or not self.anchor):
            return None
        objective = fitting(None, corruption)
        if objective.left(corruption, shape) == "all" or _plain(objective, corruption):
            return None
        return "a generation learns from signals, and samples of this diffusion model are measurements"

    def phases(self, setting: Setting) -> tuple[Phase, ...]:
        """The base, then one training for each generation."""
        base = self._base()
        trained: list[Phase] = list(base.phases(setting))
        sampler: Sampler = base.sampler(setting)
        for lap in range(1, self.generations + 1):
            make = Anchored if self.anchor else Relearn
            trained.append(make(self._teach(setting), Own(sampler), warm=False, lap=lap))
            sampler = self._heun(setting)
        return tuple(trained)

    def _teach(self, setting: Setting) -> Teach:
        objective = self._objective(setting.corruption)
        return Teach(objective, setting.network, setting.student_kimg, setting.batch, self.lr)

    def _objective(self, corruption: Corruption) -> Objective:
        return fitting(None, corruption) if self.anchor else OnSignals()

    def _heun(self, setting: Setting) -> Heun:
        return Heun(self._objective(setting.corruption), "full", setting.corruption.sigma_y, self.steps)

    def sampler(self, setting: Setting) -> Sampler:
        """That of the last generation."""
        return self._heun(setting) if self.generations else self._base().sampler(setting)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """That of the base: with enough data and capacity nothing is lost. Open where masks hide entries."""
        if self.generations and not denoising(corruption):
            return None
        return self._base().expected(law, corruption)


def _plain(objective: Objective, corruption: Corruption) -> bool:
    """Whether signals are measured as they are, with noise that the loss removes, or without."""
    return denoising(corruption) and (objective.lowest(corruption.sigma_y) > 0 or corruption.sigma_y == 0)
