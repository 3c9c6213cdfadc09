"""The diffusion model of phase I by itself, sampled in many steps."""

from __future__ import annotations

__all__ = ["Teacher"]

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from dcdbench.methods import register
from dcdbench.methods.choice import fitting
from dcdbench.methods.ideal import FilledMean, PosteriorMean, denoising, fills, teaches
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import Objective, Sampler, Setting
from dcdbench.samplers.heun import Heun
from dcdbench.samplers.restored import Restored


@register("teacher")
@dataclass(frozen=True)
class Teacher:
    """A corruption-aware diffusion model, sampled by Heun's method.

    Args:
        objective: The loss of the training; None for the one that fits the corruption.
        sampling: `full`, down to no noise, or `truncated`, down to the lowest level that the
            objective trained, where the denoiser's estimate is the sample.
        steps: The number of noise levels.
        lr: The learning rate of the training.
        restore: Whether samples that are measurements are brought back by the pseudo-inverse of the operator.
    """

    objective: Objective | None = None
    sampling: Literal["full", "truncated"] = "full"
    steps: int = 18
    lr: float = 1e-3
    restore: bool = False

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise ValueError(f"steps must be >= 2, got {self.steps}")

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """What the objective supports; truncation needs a level to stop at."""
        objective = fitting(self.objective, corruption)
        if reason := objective.supports(corruption):
            return reason
        if self.sampling == "truncated" and objective.lowest(corruption.sigma_y) == 0:
            return "truncated sampling is full sampling here: the objective trains every noise level"
        if self.restore and (objective.left(corruption, shape) == "all" or denoising(corruption)):
            return "restore: true needs samples that are measurements, and these are signals"
        if self.restore and not corruption.operator.linear:
            return "restore: true needs a linear operator"
        return None

    def phases(self, setting: Setting) -> tuple[Teach, ...]:
        """Phase I."""
        return (teach(fitting(self.objective, setting.corruption), setting, self.lr),)

    def sampler(self, setting: Setting) -> Sampler:
        """Heun's method."""
        objective = fitting(self.objective, setting.corruption)
        heun = Heun(objective, self.sampling, setting.corruption.sigma_y, self.steps)
        return Restored(heun) if self.restore else heun

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The clean law, the noisy one, or that of posterior means, by objective and sampling."""
        objective = fitting(self.objective, corruption)
        lowest = objective.lowest(corruption.sigma_y)
        if fills(objective, corruption):
            last = lowest if self.sampling == "truncated" else 0.0
            least = Heun.sigma_min * math.sqrt(float(law.cov.diagonal().mean()))
            return FilledMean(law, objective, corruption, max(last, least))
        if not denoising(corruption):
            return None
        if self.sampling == "truncated":
            return PosteriorMean(law, lowest)
        return teaches(objective, law, corruption)


def teach(objective: Objective, setting: Setting, lr: float, *, needs_clean: bool = False) -> Teach:
    """Phase I in a setting: equal for all methods with this objective, so that they share it."""
    return Teach(objective, setting.network, setting.teacher_kimg, setting.batch, lr, needs_clean=needs_clean)
