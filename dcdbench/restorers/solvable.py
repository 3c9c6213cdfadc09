r"""Posteriors of signals with a Gaussian law, solved on the smaller side of the operator.

With the covariance `C` and the noise `v`, `C - C A^T (A C A^T + v)^-1 A C` has one system of as many
equations as are measured, and the same posterior covariance `(C^-1 + A^T A / v)^-1` one of as many as a
signal has entries (Woodbury, 1950). Many coils measure several times as many numbers as an image has.
"""

from __future__ import annotations

__all__ = ["JITTER", "ByMeasurements", "BySignals", "Solvable", "solvable"]

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dcdbench.problem import Measurement

JITTER = 1e-4  # the least standard deviation of noise, and of signals in any direction, in units of signals'


class Solvable(Protocol):
    """Measurements, with what is computed of their operators once for all moments."""

    def __len__(self) -> int:
        """How many measurements there are."""
        ...

    @property
    def numbers(self) -> int:
        """How many numbers are held in memory."""
        ...

    def posterior(self, mean: Tensor, cov: Tensor) -> tuple[Tensor, Tensor]:
        """Means `(n, d)` and covariances `(n or 1, d, d)` given the moments of signals, `(d,)`, `(d, d)`."""
        ...


@dataclass(frozen=True)
class ByMeasurements:
    """Systems of `m` equations, for `m <= d`.

    Args:
        matrix: The operators, `(n, m, d)`, or `(1, m, d)` where all are the same.
        y: Measurements, `(n, m)`, in the type of the matrix.
        sigma_y: Their noise.
    """

    matrix: Tensor
    y: Tensor
    sigma_y: float

    def __len__(self) -> int:
        return len(self.y)

    @property
    def numbers(self) -> int:
        """Those of the matrix and the measurements."""
        return self.matrix.numel() + self.y.numel()

    def posterior(self, mean: Tensor, cov: Tensor) -> tuple[Tensor, Tensor]:
        """`mu + C A^T (A C A^T + v)^-1 (y - A mu)` and `C - C A^T (A C A^T + v)^-1 A C`."""
        cov, variance = regular(cov, self.sigma_y)
        A = self.matrix
        cross = A @ cov  # (n or 1, m, d)
        noise = variance * torch.eye(A.shape[1], dtype=A.dtype, device=A.device)
        # By Cholesky: batches of LU fail on several threads in some builds (MKL reports wrong pivots).
        gain = torch.cholesky_solve(cross, torch.linalg.cholesky(cross @ A.mT + noise))  # its transpose
        error = self.y[:, None] - (A @ mean)[:, None]
        return mean + (error @ gain)[:, 0], cov - cross.mT @ gain


@dataclass(frozen=True)
class BySignals:
    """Systems of `d` equations, for `m > d`.

    Args:
        gram: The lower triangles of `A^T A`, row by row, `(n, d (d + 1) / 2)`, or one for all.
        back: `A^T y`, `(n, d)`.
        sigma_y: The noise of measurements.
    """

    gram: Tensor
    back: Tensor
    sigma_y: float

    @classmethod
    def of(cls, matrix: Tensor, y: Tensor, sigma_y: float) -> BySignals:
        """From operators, `(n, m, d)` or `(1, m, d)`, and measurements, `(n, m)`."""
        row, column = torch.tril_indices(matrix.shape[2], matrix.shape[2], device=matrix.device)
        return cls((matrix.mT @ matrix)[:, row, column], (y[:, None] @ matrix)[:, 0], sigma_y)

    def __len__(self) -> int:
        return len(self.back)

    @property
    def numbers(self) -> int:
        """Those of the triangles and of `A^T y`."""
        return self.gram.numel() + self.back.numel()

    def posterior(self, mean: Tensor, cov: Tensor) -> tuple[Tensor, Tensor]:
        """`(C^-1 + A^T A / v)^-1`, and this applied to `C^-1 mu + A^T y / v`."""
        cov, variance = regular(cov, self.sigma_y)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(cov))
        row, column = torch.tril_indices(*cov.shape, device=cov.device)
        precision = cov.new_zeros(len(self.gram), *cov.shape)
        precision[:, row, column] = inverse[row, column] + self.gram / variance
        # A Cholesky factor is that of the lower triangle; what is above it is not read.
        left = torch.cholesky_inverse(torch.linalg.cholesky(precision))
        told = inverse @ mean + self.back / variance
        return (told[:, None] @ left)[:, 0], left


def regular(cov: Tensor, sigma_y: float) -> tuple[Tensor, float]:
    """The covariance of signals and the variance of noise, both with the least size that can be solved."""
    scale = JITTER * float(cov.diagonal().mean().clamp(min=0).sqrt())
    least = max(scale, 1e-12) ** 2
    return cov + least * torch.eye(len(cov), dtype=cov.dtype, device=cov.device), max(sigma_y**2, least)


def solvable(m: Measurement, A: Tensor) -> Solvable:
    """Measurements with their operators, `(n, m, d)` or `(1, m, d)`, on the smaller side."""
    make = ByMeasurements if A.shape[1] <= A.shape[2] else BySignals.of
    return make(A, m.y.flatten(1).to(A), m.sigma_y)
