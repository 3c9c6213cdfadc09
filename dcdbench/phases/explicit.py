"""Linear operators as matrices: what exact computations on Gaussians need of them."""

from __future__ import annotations

__all__ = ["Dense", "Diagonal", "explicit", "is_diagonal", "matrices"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.operators.identity import IdentityDraw
from dcdbench.operators.inpainting import Mask
from dcdbench.problem import Corruption, Measurement
from dcdbench.protocols import Operator

CHUNK = 4096  # signals that are measured at once


@dataclass(frozen=True)
class Diagonal:
    """`A = diag(m)`: the identity and masks.

    Args:
        seen: `m`, of zeros and ones; `(B, d)`, or `(1, d)` where all samples share it.
    """

    seen: Tensor

    def measure(self, x: Tensor) -> Tensor:
        """`A x` for each of `K` signals, `(K, d)` to `(B, K, d)`."""
        return self.seen[:, None] * x

    def back(self, v: Tensor) -> Tensor:
        """`A^T v`, `(B, K, d)`."""
        return self.seen[:, None] * v

    def through(self, cov: Tensor) -> Tensor:
        """`A C A^T` for each of `K` covariances, `(K, d, d)` to `(B, K, d, d)`."""
        return self.seen[:, None, :, None] * cov * self.seen[:, None, None]

    def summed(self, weights: Tensor, inner: Tensor) -> Tensor:
        """`sum_b w_bk A_b^T P_bk A_b`, `(B, K)` and `(B or 1, K, d, d)` to `(K, d, d)`."""
        seen = self.seen[:, None, :, None] * inner * self.seen[:, None, None]
        return _weighted(weights, seen)

    def empty(self) -> Tensor:
        """1 for entries that measure nothing, `(B, d)`."""
        return 1 - self.seen


@dataclass(frozen=True)
class Dense:
    """Any matrix.

    Args:
        matrix: `(B, m, d)`, or `(1, m, d)` where all samples share it.
    """

    matrix: Tensor

    def measure(self, x: Tensor) -> Tensor:
        """`A x` for each of `K` signals, `(K, d)` to `(B, K, m)`."""
        return torch.einsum("bmd,kd->bkm", self.matrix, x)

    def back(self, v: Tensor) -> Tensor:
        """`A^T v`, `(B, K, m)` to `(B, K, d)`."""
        return v @ self.matrix

    def through(self, cov: Tensor) -> Tensor:
        """`A C A^T` for each of `K` covariances, `(K, d, d)` to `(B, K, m, m)`."""
        A = self.matrix[:, None]
        return A @ cov @ A.mT

    def summed(self, weights: Tensor, inner: Tensor) -> Tensor:
        """`sum_b w_bk A_b^T P_bk A_b`, `(B, K)` and `(B or 1, K, m, m)` to `(K, d, d)`."""
        A = self.matrix[:, None]
        return _weighted(weights, A.mT @ inner @ A)

    def empty(self) -> Tensor:
        """1 for entries that measure nothing, `(B, m)`."""
        return (self.matrix.abs().amax(2) == 0).to(self.matrix)


def _weighted(weights: Tensor, matrices: Tensor) -> Tensor:
    if len(matrices) == 1:
        return weights.sum(0)[:, None, None] * matrices[0]
    return torch.einsum("bk,bkde->kde", weights, matrices)


def is_diagonal(A: Operator) -> bool:
    """Whether a draw is the identity or a mask on the signal's own entries."""
    return isinstance(A, Mask | IdentityDraw)


def explicit(m: Measurement, corruption: Corruption) -> Diagonal | Dense:
    """The operators of measurements, in float64; one where all samples share it."""
    few = m if corruption.operator.random else m[:1]
    if isinstance(few.A, Mask):
        return Diagonal(few.A.mask.double().expand(len(few), *m.shape).flatten(1))
    if is_diagonal(few.A):
        return Diagonal(torch.ones(1, math.prod(m.shape), dtype=torch.float64, device=m.y.device))
    return Dense(matrices(few.A, len(few), m.shape, m.y.device))


def matrices(A: Operator, n: int, shape: tuple[int, ...], device: torch.device | str) -> Tensor:
    """The matrices of `n` draws, `(n, m, d)`, column by column, in float64."""
    A, d = A.to(dtype=torch.float64), math.prod(shape)
    basis = torch.eye(d, dtype=torch.float64, device=device).reshape(d, *shape)
    parts = []
    for part in torch.arange(n, device=device).split(max(1, CHUNK // d)):
        columns = A[part.repeat_interleave(d)](basis.repeat(len(part), *(1,) * len(shape)))
        parts.append(columns.reshape(len(part), d, -1).mT)
    return torch.cat(parts)
