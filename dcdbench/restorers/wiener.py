r"""The best linear estimate, with the signals' mean and covariance learned from the measurements.

Wiener (1949); the moments are those of the Gaussian law under which the measurements are most likely, by
expectation maximisation, as in Rozet et al. (2024), https://arxiv.org/abs/2405.13712, section 3.
"""

from __future__ import annotations

__all__ = ["LARGEST", "Wiener", "moments"]

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.restorers.linear import START, matrices, power
from dcdbench.streams import Stream

LARGEST = 256  # entries of a signal whose covariance is learned
NUMBERS = 4_000_000  # of matrices at a time
SLOW = 8.0  # operations of large products that take as long as one on small matrices in double precision
JITTER = 1e-4  # the least standard deviation of noise, in units of that of the signals


@dataclass(frozen=True)
class Wiener:
    r"""`mu + C A^T (A C A^T + sigma_y^2 I)^-1 (y - A mu)`; for signals of more than 256 entries `A^+ y`.

    Args:
        laps: Steps of expectation maximisation, which starts from white signals with a tenth of the power:
            directions that A all but hides would else be filled with noise.
        most: From how many measurements the moments are learned.
    """

    laps: int = 20
    most: int = 4000

    def operations(self, corruption: Corruption, shape: tuple[int, ...], n: int) -> float:
        """Operations of large matrix products that take about as long as restoring `n` measurements."""
        d, m = math.prod(shape), math.prod(corruption.operator.measured_shape(shape))
        if d > LARGEST:
            return SLOW * 4 * n * d
        laps, random = self.laps * min(n, self.most) + n, corruption.operator.random
        matrices = laps if random else self.laps + 1
        return SLOW * (4 * matrices * m * (m * d + d * d + m * m) + 4 * laps * d * (m + d))

    def restore(self, denoiser: Any, problem: Problem, stream: Stream) -> Tensor:
        """One signal per training measurement, `(n, *signal)`."""
        m, same = problem.train.to(dtype=torch.float64), not problem.corruption.operator.random
        if math.prod(m.shape) > LARGEST:
            return problem.train.A.pinv(problem.train.y)
        mean, cov = moments(m[: self.most], same, self.laps, (stream / "moments").rng(m.y.device))
        parts = [posterior(part, A, mean, cov)[0] for part, A in pieces(m, same)]
        return torch.cat(parts).reshape(len(m), *m.shape).to(problem.train.y)


def moments(m: Measurement, same: bool, laps: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The mean `(d,)` and the covariance `(d, d)` of signals, float64.

    Args:
        m: The measurements, of linear operators.
        same: Whether all have the same operator.
        laps: Steps of expectation maximisation.
        rng: For the first guess of the signals' power.
    """
    eye = torch.eye(math.prod(m.shape), dtype=torch.float64, device=m.y.device)
    mean, cov = eye.new_zeros(len(eye)), START * power(m, rng) * eye
    for _ in range(laps):
        first, second = torch.zeros_like(mean), torch.zeros_like(cov)
        for part, A in pieces(m, same):
            x, left = posterior(part, A, mean, cov)
            first = first + x.sum(0)
            second = second + x.mT @ x + left.sum(0) * (len(x) / len(left))
        mean = first / len(m)
        cov = second / len(m) - torch.outer(mean, mean)
    return mean, cov


def posterior(m: Measurement, A: Tensor, mean: Tensor, cov: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior means `(n, d)` and covariances `(n or 1, d, d)` of signals with a Gaussian law."""
    scale = JITTER * float(cov.diagonal().mean().clamp(min=0).sqrt())
    noise = max(m.sigma_y, scale, 1e-12) ** 2 * torch.eye(A.shape[1], dtype=A.dtype, device=A.device)
    cross = A @ cov  # (n or 1, m, d)
    # By Cholesky: batches of LU fail on several threads in some builds (MKL reports wrong pivots).
    gain = torch.cholesky_solve(cross, torch.linalg.cholesky(cross @ A.mT + noise))  # its transpose
    error = m.y.flatten(1).double()[:, None] - (A @ mean)[:, None]
    return mean + (error @ gain)[:, 0], cov - cross.mT @ gain


def pieces(m: Measurement, same: bool) -> Iterator[tuple[Measurement, Tensor]]:
    """Measurements and their matrices, `(n, m, d)`, or `(1, m, d)` where all are the `same`."""
    if same:
        yield m, matrices(m[:1])
        return
    size = max(1, NUMBERS // (m.y[0].numel() * math.prod(m.shape)))
    for k in range(0, len(m), size):
        part = m[k : k + size]
        yield part, matrices(part)
