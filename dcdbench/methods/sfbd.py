r"""Stochastic forward-backward deconvolution: denoise the data, learn from them, and again.

Lu et al., 2025, https://arxiv.org/abs/2502.05446. There the first model is trained on a few clean signals,
which can be had here; else it is an Ambient Tweedie teacher, which needs none.
"""

from __future__ import annotations

__all__ = ["SFBD"]

from dataclasses import dataclass, field
from typing import Any

from dcdbench.methods import register
from dcdbench.methods.em import clean_law, relearn
from dcdbench.methods.ideal import denoising
from dcdbench.methods.oracle import OnSignals
from dcdbench.methods.teacher import teach
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.phases.few import Few
from dcdbench.phases.relearn import Relearn
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import Setting
from dcdbench.restorers.backward import Backward
from dcdbench.restorers.merged import Merged
from dcdbench.samplers.heun import Heun


@register("sfbd")
@dataclass(frozen=True)
class SFBD:
    """A first model; then laps that run it backward from each measurement and learn the result.

    The first is an Ambient Tweedie teacher, shared with the method `teacher`, or one of `clean` signals. It
    takes a teacher's budget; that of a student is split evenly over the laps. With clean signals each lap
    learns from the union of these and of the denoised ones, as the authors' code does.

    Args:
        laps: How many times the measurements are denoised and learned, >= 1.
        clean: How many clean signals the first model is trained on, 0 or >= 2; with any, the method is
            marked as one that was given clean data, and takes part in no rank.
        objective: The teacher's loss, where there are none.
        backward: How they are denoised.
        teacher_lr: The teacher's learning rate, as in the method `teacher`.
        lr: The learning rate of every lap.
        steps: The number of noise levels by which the result is sampled.
    """

    laps: int = 3
    clean: int = 0
    objective: AmbientTweedie = field(default_factory=AmbientTweedie)
    backward: Backward = field(default_factory=Backward)
    teacher_lr: float = 1e-3
    lr: float = 3e-4
    steps: int = 18

    def __post_init__(self) -> None:
        if self.laps < 1:
            raise ValueError(f"laps must be >= 1, got {self.laps}")
        if self.clean < 0 or self.clean == 1:
            raise ValueError(f"clean must be 0 or >= 2, got {self.clean}")

    @property
    def needs_clean(self) -> bool:
        """Whether clean signals are asked for."""
        return self.clean > 0

    @property
    def few_shot(self) -> bool:
        """Whether they are a given number, so that the method competes in a track of its own."""
        return self.clean > 0

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """White noise on signals, and nothing else."""
        if not denoising(corruption):
            return "starts its reverse process from measurements: needs signals with white noise"
        return self.objective.supports(corruption)

    def phases(self, setting: Setting) -> tuple[Teach | Relearn, ...]:
        """The first model, then the laps."""
        kimg = setting.student_kimg / self.laps
        restorer = Merged(self.backward) if self.clean else self.backward
        laps = (
            relearn(setting, kimg, restorer, self.lr, lap, lap == self.laps)
            for lap in range(1, self.laps + 1)
        )
        return (self._first(setting), *laps)

    def _first(self, setting: Setting) -> Teach:
        if not self.clean:
            return teach(self.objective, setting, self.teacher_lr)
        kimg, batch = setting.teacher_kimg, setting.batch
        return Few(OnSignals(), setting.network, kimg, batch, self.teacher_lr, signals=self.clean)

    def sampler(self, setting: Setting) -> Heun:
        """Heun's method, down to no noise."""
        return Heun(OnSignals(), "full", setting.corruption.sigma_y, self.steps)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The clean law: the only one of which the laps change nothing."""
        return clean_law(law, corruption)
