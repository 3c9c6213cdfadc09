"""Counts of particles: noise whose variance is proportional to the intensity."""

from __future__ import annotations

__all__ = ["Poisson"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.noises import register


@register("poisson")
@dataclass(frozen=True)
class Poisson:
    r"""`2 k / peak - 1`, where `k` is Poisson with mean `peak (u + 1) / 2`: unbiased for `u >= -1`.

    The path of the gradient scales the noise as `sqrt(k's mean)` does, so that mean and variance of the
    result move with `u` as they should; the discreteness of counts has no gradient.

    Args:
        peak: The expected count where `u` is 1, the brightest.
    """

    peak: float = 30.0

    def __post_init__(self) -> None:
        if not self.peak > 0:
            raise ValueError(f"peak must be > 0, got {self.peak}")

    def __call__(self, u: Tensor, rng: torch.Generator) -> Tensor:
        """Noisy `u`; what is darker than -1 gives no count."""
        mean = (self.peak * (u + 1) / 2).clamp(min=0)
        fixed = mean.detach()
        excess = torch.poisson(fixed, generator=rng) - fixed
        root = (mean.clamp(min=1e-6) / fixed.clamp(min=1e-6)).sqrt()
        return 2 * (mean + excess * root) / self.peak - 1
