r"""Smooth random manifolds, of Fourier series with random coefficients."""

from __future__ import annotations

__all__ = ["Manifold"]

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.datasets import register
from dcdbench.datasets.drawn import draw_fresh
from dcdbench.protocols import Data
from dcdbench.streams import Stream

WAVES = 32  # harmonics of each series


@register("manifold")
@dataclass(frozen=True)
class Manifold:
    r"""A smooth random closed manifold in a space of few dimensions, a curve by default.

    Points are $x_i = \frac12 \prod_{j=1}^m f_{ij}(u_j)$ for a uniform parameter $u \in [0, 1)^m$, with
    $f_{ij}(u) \propto \sum_k k^{-s} (a_{ijk} \cos 2 \pi k u + b_{ijk} \sin 2 \pi k u)$, normal
    coefficients, and each $f_{ij}$ scaled to unit variance: so every coordinate has mean 0 and standard
    deviation 1/2 exactly, and mostly lies in [-1, 1].

    Random manifolds with spectra that decay like $k^{-s}$ are due to Zenke and Vogels (2021),
    https://doi.org/10.1162/neco_a_01367; as a test of priors learned from random projections, a curve
    in five dimensions, they come from Rozet et al. (2024), https://arxiv.org/abs/2405.13712. Ours are
    the normal coefficients, which make the series periodic and free of a preferred phase, and the scale;
    so numbers compare with other methods here, not with that paper's.

    Args:
        dim: The dimension of the space.
        intrinsic: The dimension `m` of the manifold.
        smoothness: The exponent `s` of the decay, above 1/2.
        shape_seed: The seed of the manifold, which is the same for every seed of the data.
    """

    dim: int = 5
    intrinsic: int = 1
    smoothness: float = 2.0
    shape_seed: int = 0

    corrupted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.intrinsic < self.dim:
            raise ValueError(
                f"intrinsic must be between 1 and dim - 1 = {self.dim - 1}, got {self.intrinsic}"
            )
        if self.smoothness <= 0.5:
            raise ValueError(f"smoothness must be > 0.5, or the series has no limit; got {self.smoothness}")

    def shape(self) -> tuple[int, ...]:
        """`(dim,)`."""
        return (self.dim,)

    def points(self, u: Tensor) -> Tensor:
        """The points, `(n, dim)`, of parameters `(n, intrinsic)`; of period 1 in each, float64."""
        k = torch.arange(1, WAVES + 1, dtype=torch.float64, device=u.device)
        angles = 2 * math.pi * u.double().unsqueeze(-1) * k
        waves = torch.cat([angles.cos(), angles.sin()], -1)  # (n, m, 2 WAVES)
        return torch.einsum("njk,ijk->nij", waves, self._coefficients().to(u.device)).prod(-1) / 2

    def _coefficients(self) -> Tensor:
        """Of unit variance each, `(dim, intrinsic, 2 WAVES)`."""
        rng = (Stream(self.shape_seed) / "shape").rng()
        z = torch.randn(self.dim, self.intrinsic, 2, WAVES, generator=rng, dtype=torch.float64)
        z = z * torch.arange(1, WAVES + 1, dtype=torch.float64) ** -self.smoothness
        return z.flatten(2) * math.sqrt(2) / z.flatten(2).norm(dim=-1, keepdim=True)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """Fresh draws for every split."""
        return draw_fresh(self._draw, train, heldout, stream)

    def _draw(self, split: str, n: int, rng: torch.Generator) -> Tensor:
        u = torch.rand(n, self.intrinsic, generator=rng, dtype=torch.float64, device=rng.device)
        return torch.cat([self.points(part) for part in u.split(8192)])
