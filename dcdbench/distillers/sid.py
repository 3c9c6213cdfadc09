r"""Score identity distillation.

Score identity Distillation (Zhou et al., 2024), https://arxiv.org/abs/2404.04057, in the
form of denoisers: with `f` the teacher's estimate, `g` the critic's and `u` the fake signal,
`(f - g)^T [(f - u) - alpha (f - g)]`, where gradients flow through both networks to `x_t`.
`alpha = 1/2` is half the exact gradient of the Fisher divergence; for `alpha > 1` a generator
that is too wide is pushed wider.
"""

from __future__ import annotations

__all__ = ["SiD"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import expand, mean_per_sample
from dcdbench.distillers import register
from dcdbench.distillers.levels import Range, check_range, draw_levels, supports_range
from dcdbench.problem import Corruption, Fake
from dcdbench.protocols import Denoiser, Objective


@register("sid")
@dataclass(frozen=True)
class SiD:
    """The SiD loss, divided per sample by the mean absolute error of the teacher.

    Args:
        alpha: The weight of the second term.
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log sigma`, before the range.
        p_std: The standard deviation of `log sigma`, before the range.
    """

    alpha: float = 1.0
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
        """The generator's loss per sample, `(B,)`."""
        sigma = draw_levels(self.levels, sigma_y, self.p_mean, self.p_std, objective, fake, rng)
        v = objective.view(fake, sigma, rng)
        u = objective.signal(fake)
        f = teacher(v.x_t, v.sigma, v.A)
        gap = v.restrict(f - critic(v.x_t, v.sigma, v.A))
        error = v.restrict(f - u)
        weight = mean_per_sample(error.detach().abs()).clamp(min=1e-5)
        return mean_per_sample(gap * (error - self.alpha * gap) / expand(weight, gap))
