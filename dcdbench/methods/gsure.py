"""GSURE diffusion: learning through masks that the network is not told of."""

from __future__ import annotations

__all__ = ["GSUREDiffusion"]

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from dcdbench.methods import register
from dcdbench.objectives.gsure import GSURE
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import Setting
from dcdbench.samplers.heun import Heun


@register("gsure")
@dataclass(frozen=True)
class GSUREDiffusion:
    """A diffusion model learned by the generalised Stein estimate of its error, with both phases' budgets.

    Kawar et al. (2023), https://arxiv.org/abs/2305.13128.

    Args:
        sampling: `full`, down to no noise, or `truncated`, down to the noise of the measurements.
        steps: The number of noise levels of Heun's method.
        lr: The learning rate.
    """

    sampling: Literal["full", "truncated"] = "full"
    steps: int = 18
    lr: float = 3e-4

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise ValueError(f"steps must be >= 2, got {self.steps}")

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """Masks that project."""
        if reason := GSURE().supports(corruption):
            return reason
        if self.sampling == "truncated" and corruption.sigma_y == 0:
            return "truncated sampling stops at the noise of the measurements, and there is none"
        return None

    def phases(self, setting: Setting) -> tuple[Teach, ...]:
        """One training."""
        kimg = setting.teacher_kimg + setting.student_kimg
        return (Teach(GSURE(), setting.network, kimg, setting.batch, self.lr),)

    def sampler(self, setting: Setting) -> Heun:
        """Heun's method on signals."""
        return Heun(GSURE(), self.sampling, setting.corruption.sigma_y, self.steps)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """Nothing: what is learned depends on the masks."""
        return None
