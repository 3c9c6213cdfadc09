"""Stratified samples: the same number of points for each component, which carry its weight.

Points need no modes to be counted, so the noise of the counts, which dominates between well separated
modes, is gone; and two laws with common latents differ by what they are, not by their draws.
"""

from __future__ import annotations

__all__ = ["latents", "spread"]

import torch
from torch import Tensor

from dcdbench.analytic import Law
from dcdbench.linalg import sqrtm

CELL = 2.0**-31  # half the resolution of Sobol's sequence, whose first points may be 0


def latents(modes: int, size: int, dim: int, rng: torch.Generator, sobol: bool = True) -> Tensor:
    """Standard normal points for each mode, `(modes, size, dim)`, by scrambled Sobol sequences or not."""
    if not sobol:
        return torch.randn(modes, size, dim, generator=rng, dtype=torch.float64)
    seeds = torch.randint(2**31, (modes,), generator=rng).tolist()
    engines = [torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed) for seed in seeds]
    u = torch.stack([engine.draw(size, dtype=torch.float64) for engine in engines])
    return torch.special.ndtri(u + CELL)


def spread(law: Law, z: Tensor) -> tuple[Tensor, Tensor]:
    """Weights `(K n,)` and points `(K n, d)` of a law, from the first of latents `z`, `(>= K, n, d)`."""
    weights, means, covs = law.components
    points = means[:, None] + z[: len(weights)] @ sqrtm(covs)
    return (weights / z.shape[1]).repeat_interleave(z.shape[1]), points.flatten(0, 1)
