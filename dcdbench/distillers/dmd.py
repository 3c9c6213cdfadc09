r"""Distribution matching distillation, the gradient of the reverse KL divergence.

One-step Diffusion with Distribution Matching Distillation (Yin et al., 2024),
https://arxiv.org/abs/2311.18828, without its regression term. The fake signal `u` is moved
along `g - f`, critic minus teacher; no gradient flows through the networks.
"""

from __future__ import annotations

__all__ = ["DMD"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import expand, mean_per_sample
from dcdbench.distillers import register
from dcdbench.distillers.levels import Range, check_range, draw_levels, supports_range
from dcdbench.problem import Corruption, Fake
from dcdbench.protocols import Denoiser, Objective


@register("dmd")
@dataclass(frozen=True)
class DMD:
    """The DMD loss, divided per sample by the mean absolute error of the teacher.

    Args:
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log sigma`, before the range.
        p_std: The standard deviation of `log sigma`, before the range.
    """

    levels: Range = "above"
    p_mean: float = 0.0
    p_std: float = 1.2

    def __post_init__(self) -> None:
        check_range(self.levels)

    def supports(self, objective: Objective, corruption: Corruption) -> str | None:
        """All, but for a range that is empty."""
        return supports_range(self.levels, corruption)

    def __call__(
        self,
        teacher: Denoiser,
        critic: Denoiser,
        objective: Objective,
        fake: Fake,
        sigma_y: float,
        rng: torch.Generator,
    ) -> Tensor:
        """The generator's loss per sample, `(B,)`: its value is `u` times the constant direction."""
        sigma = draw_levels(self.levels, sigma_y, self.p_mean, self.p_std, objective, fake, rng)
        u = objective.signal(fake)
        with torch.no_grad():
            v = objective.view(fake, sigma, rng)
            f = teacher(v.x_t, v.sigma, v.A)
            direction = v.restrict(critic(v.x_t, v.sigma, v.A) - f)
            weight = mean_per_sample(v.restrict(f - u).abs()).clamp(min=1e-5)
            direction = direction / expand(weight, direction)
        return mean_per_sample(direction * u)
