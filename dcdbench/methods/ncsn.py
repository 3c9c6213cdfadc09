"""Score matching at a few levels and annealed Langevin dynamics: the diffusion models before EDM's."""

from __future__ import annotations

__all__ = ["ScoreNetwork"]

from dataclasses import dataclass
from typing import Any, ClassVar

from dcdbench.methods import register
from dcdbench.methods.ideal import PosteriorMean, denoising
from dcdbench.objectives.ncsn import NCSN
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import Setting
from dcdbench.samplers.langevin import Langevin


@register("ncsn")
@dataclass(frozen=True)
class ScoreNetwork:
    """A noise-conditional score network with the budgets of both phases, sampled by Langevin dynamics.

    Song and Ermon (2019), https://arxiv.org/abs/1907.05600. Checkpoints are compared by Heun's method, which
    takes fewer calls of the network.

    Args:
        corrected: Whether the noise of the measurements counts as a part of the diffusion's; the dynamics
            then end a little above it, with one step of Tweedie's formula. Else it counts as data.
        levels: How many noise levels there are.
        steps: How many steps of the dynamics at each; 100 in the publication.
        step: Their size, in units of the squared level.
        lr: The learning rate.
    """

    corrected: bool = True
    levels: int = 10
    steps: int = 50
    step: float = 0.2
    lr: float = 3e-4

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._objective()
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if not 0 < self.step < 4:
            raise ValueError(f"step must be in (0, 4), beyond which the dynamics diverge, got {self.step}")

    def _objective(self) -> NCSN:
        return NCSN(self.corrected, self.levels)

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """Signals with white noise, or with none."""
        return None if denoising(corruption) else "needs signals with white noise or none"

    def phases(self, setting: Setting) -> tuple[Teach, ...]:
        """One training."""
        kimg = setting.teacher_kimg + setting.student_kimg
        return (Teach(self._objective(), setting.network, kimg, setting.batch, self.lr),)

    def sampler(self, setting: Setting) -> Langevin:
        """Annealed Langevin dynamics."""
        sigma_y = setting.corruption.sigma_y
        denoise = self._objective().lowest(sigma_y) > 0
        return Langevin(self._objective(), sigma_y, self.steps, self.step, denoise)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The law of posterior means at the last level; of noise and all, if it is not corrected for."""
        if not denoising(corruption):
            return None
        objective = self._objective()
        if lowest := objective.lowest(corruption.sigma_y):
            return PosteriorMean(law, lowest)
        return law.noised(corruption.sigma_y)
