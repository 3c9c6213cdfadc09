"""Laws that the tests of divergences are about."""

from __future__ import annotations

__all__ = ["line", "mixture", "normal", "ring", "rotation", "tensor"]

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture


def tensor(values: object) -> Tensor:
    """In double precision."""
    return torch.tensor(values, dtype=torch.float64)


def line(weights: Sequence[float], means: Sequence[float], variances: Sequence[float]) -> GaussianMixture:
    """A mixture on the line."""
    return GaussianMixture(tensor(weights), tensor(means)[:, None], tensor(variances)[:, None, None])


def normal(*variances: float, mean: float = 0.0) -> Gaussian:
    """Independent entries of these variances."""
    return Gaussian(torch.full((len(variances),), mean), torch.diag(tensor(variances)))


def ring(radius: float, variance: float, turn: float = 0.0, modes: int = 8) -> GaussianMixture:
    """Round modes of equal weight on a circle."""
    angle = 2 * math.pi * torch.arange(modes, dtype=torch.float64) / modes + turn
    means = radius * torch.stack([angle.cos(), angle.sin()], 1)
    covs = variance * torch.eye(2, dtype=torch.float64).expand(modes, 2, 2)
    return GaussianMixture(torch.full((modes,), 1 / modes), means, covs)


def mixture(seed: int, dim: int, modes: int = 3) -> GaussianMixture:
    """Any mixture, the same for the same seed."""
    rng = torch.Generator().manual_seed(seed)
    weights = torch.rand(modes, generator=rng, dtype=torch.float64) + 0.1
    factors = torch.randn(modes, dim, dim, generator=rng, dtype=torch.float64)
    covs = factors @ factors.mT / dim + 0.2 * torch.eye(dim, dtype=torch.float64)
    means = 2 * torch.randn(modes, dim, generator=rng, dtype=torch.float64)
    return GaussianMixture(weights / weights.sum(), means, covs)


def rotation(angle: float) -> Tensor:
    """Of the plane, by an angle in radians."""
    c, s = math.cos(angle), math.sin(angle)
    return tensor([[c, -s], [s, c]])
