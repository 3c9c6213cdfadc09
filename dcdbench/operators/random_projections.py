"""Random projections: each signal is seen through a few random directions of its own."""

from __future__ import annotations

__all__ = ["Projections", "RandomProjections"]

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.batch import expand
from dcdbench.operators import register
from dcdbench.operators.draw import LinearDraw
from dcdbench.operators.separable import CUTOFF


@dataclass(frozen=True)
class Projections(LinearDraw):
    """A few directions per sample, `y = A x` with rows of norm 1; rows that were dropped are zero.

    Args:
        rows: The rows of A, `(B, m, *signal)`.
        keep: 1 where a row is measured, else 0, `(B, m)`.
    """

    rows: Tensor
    keep: Tensor

    exact_share: ClassVar[bool] = False  # of several rows, at least one is dropped

    def __call__(self, x: Tensor) -> Tensor:
        """`A x`, `(B, m)`."""
        return torch.linalg.vecdot(self.rows.flatten(2), x.flatten(1)[:, None])

    def adjoint(self, y: Tensor) -> Tensor:
        """`A^T y`."""
        return (y[:, None] @ self.rows.flatten(2)).reshape(-1, *self.rows.shape[2:])

    def pinv(self, y: Tensor) -> Tensor:
        """`A^+ y`; singular values below a share of 1e-8 of the greatest count as zero."""
        inverse = torch.linalg.pinv(self.rows.flatten(2).double(), rtol=CUTOFF).to(y.dtype)
        return (inverse @ y[..., None]).reshape(-1, *self.rows.shape[2:])

    def back(self, y: Tensor) -> Tensor:
        r"""`A^T y`, divided by a bound of `|A|^2`: the largest sum of a row of `|A A^T|` (Gershgorin)."""
        flat = self.rows.flatten(2)
        bound = (flat @ flat.mT).abs().sum(2).amax(1).clamp(min=1.0)
        return expand(1 / bound, self.rows[:, 0]) * self.adjoint(y)

    def restrict(self, y: Tensor) -> Tensor:
        """Zeroes the entries of rows that were dropped."""
        return self.keep * y

    def further(self, delta: float, rng: torch.Generator) -> Projections:
        r"""Drops each row with probability `delta`, and of several rows at least one.

        Else A would be known from what is left of it, and `E[A^T A | A']`, which Ambient
        Diffusion needs to have full rank (https://arxiv.org/abs/2305.19256), would be `A'^T A'`.
        So it still is where A has one row.
        """
        chance = torch.rand(self.keep.shape, generator=rng, device=rng.device).to(self.keep)
        chance = torch.where(self.keep > 0, chance, 2.0)
        drop = chance < delta
        if delta > 0:
            lowest = chance.argmin(1, keepdim=True)  # uniform, as the chances are independent
            several = self.keep.sum(1, keepdim=True) > 1
            drop = drop.scatter(1, lowest, several | drop.gather(1, lowest))
        keep = torch.where(drop, 0.0, self.keep)
        space = [1] * (self.rows.ndim - 2)
        return Projections(self.rows * keep.reshape(*keep.shape, *space), keep)

    def condition(self) -> Tensor:
        """`A^T A` of vectors, `(B, d^2)`, whatever the rows' signs; of images the rows, `(B, m C, H, W)`."""
        if self.rows.ndim == 3:
            return (self.rows.mT @ self.rows).flatten(1)
        return self.rows.flatten(1, 2)


@register("random_projections")
@dataclass(frozen=True)
class RandomProjections:
    """A law over directions: uniform on the sphere and independent, for flattened signals.

    Args:
        rows: How many directions each sample is seen through, >= 1.
        orthonormal: Whether a sample's directions are orthogonal, a uniform random frame.
    """

    rows: int = 1
    orthonormal: bool = False

    linear: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ValueError(f"rows must be >= 1, got {self.rows}")

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Projections:
        """`n` independent sets of directions."""
        self.measured_shape(shape)
        d = math.prod(shape)
        a = torch.randn(n, self.rows, d, generator=rng, device=rng.device, dtype=torch.float64)
        a = frame(a) if self.orthonormal else torch.nn.functional.normalize(a, dim=2)
        return Projections(
            a.float().reshape(n, self.rows, *shape), torch.ones(n, self.rows, device=rng.device)
        )

    def restore(self, tensors: dict[str, Tensor]) -> Projections:
        """The directions that were stored; all are measured unless `keep` says otherwise."""
        rows = tensors["rows"]
        return Projections(rows, tensors.get("keep", torch.ones(rows.shape[:2]).to(rows)))

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """`(m,)` for m directions."""
        if self.orthonormal and self.rows > math.prod(shape):
            raise ValueError(
                f"rows must be <= {math.prod(shape)} to be orthonormal on signals of shape {shape}, "
                f"got {self.rows}"
            )
        return (self.rows,)

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Always: `E[A^T A] = (m / d) I`."""
        return True


def frame(a: Tensor) -> Tensor:
    """Orthonormal rows, uniform, from Gaussian rows `(n, m, d)`: https://arxiv.org/abs/math-ph/0609050."""
    q, r = torch.linalg.qr(a.mT)
    return (q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None]).mT
