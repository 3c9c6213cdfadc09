r"""Samples of the posterior under a Gaussian prior, whose moments are fitted to the measurements.

The first step of Learning Diffusion Priors from Observations by Expectation Maximization (Rozet et al.,
2024), https://arxiv.org/abs/2405.13712. Each signal is a sample of its posterior by Matheron's rule,
`x = x' + C A^T (A C A^T + sigma_y^2)^-1 (y - A x' - sigma_y n)` with `x' ~ N(mu, C)`, and the moments of
all of them are the next prior's: expectation maximization, with samples for expectations.
"""

from __future__ import annotations

__all__ = ["GaussianPosterior", "Moments", "fit"]

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dcdbench.batch import randn_like
from dcdbench.linalg import sqrtm
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.restorers.gain import gain
from dcdbench.restorers.linear import START, matrices, power
from dcdbench.restorers.pool import PORTION, at_most
from dcdbench.restorers.solvable import BySignals
from dcdbench.streams import Stream

SLOW = 6.0  # operations of large products that take as long as one on small matrices in double precision
DENSE = 2**24  # numbers in the matrices of all draws of A up to which these are made: 128 MiB

# From n measurements, a covariance (d, d), and what the measurements are off by, to corrections (n, d).
Update = Callable[[Measurement, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Moments:
    """A mean, `(d,)`, and a covariance, `(d, d)`."""

    mean: Tensor
    cov: Tensor

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` draws of the Gaussian, `(n, d)`."""
        z = torch.randn(n, len(self.mean), generator=rng, device=rng.device, dtype=self.cov.dtype)
        return self.mean + z @ sqrtm(self.cov)


@dataclass(frozen=True)
class GaussianPosterior:
    """Samples of posteriors under a Gaussian prior that is fitted first; needs no network, and a linear A.

    Where few numbers tell all draws of A, or all are alike, posteriors are exact, else found by conjugate
    gradients; then each round takes some of the measurements.

    Args:
        laps: Rounds of expectation maximization, >= 1.
        pool: The most measurements that are restored.
        used: The most of these to which moments are fitted.
        floor: The least noise that is assumed, relative to the size of signals: without any, posteriors
            are singular.
        solves: The most steps of conjugate gradients.
    """

    laps: int = 32
    pool: int = 65_536
    used: int = 4096
    floor: float = 0.01
    solves: int = 50

    @torch.no_grad()
    def restore(self, denoiser: Any, problem: Problem, stream: Stream) -> Tensor:
        """One signal for each of at most `pool` measurements, `(n, *signal)`; the denoiser is not asked."""
        m = at_most(problem.train, self.pool, stream / "pool").to(dtype=torch.float64)
        rng = (stream / "moments").rng(m.y.device)
        sigma, random = self.noise(m, rng), problem.corruption.operator.random
        few = m[: self.used]
        dense = (len(few) if random else 1) * math.prod(m.shape) * m.y[0].numel() <= DENSE
        size = len(few) if dense else PORTION

        def update(part: Measurement) -> Update:
            if dense:
                return _direct(matrices(part if random else part[:1]), sigma)
            return partial(_iterated, sigma, self.solves)

        first = update(few)
        law = fit(few, sigma, first, self.laps, rng, size)
        x = [_posterior(law, m[:size], sigma, first, rng)]
        for part in (m[k : k + size] for k in range(size, len(m), size)):
            x.append(_posterior(law, part, sigma, update(part), rng))
        return torch.cat(x).reshape(-1, *m.shape).to(problem.train.y.dtype)

    def operations(self, corruption: Corruption, shape: tuple[int, ...], n: int) -> float:
        """Operations of large matrix products that take about as long as restoring `n` measurements."""
        d, m = math.prod(shape), math.prod(corruption.operator.measured_shape(shape))
        restored, random = min(n, self.pool), corruption.operator.random
        used = min(restored, self.used)
        dense = (used if random else 1) * d * m <= DENSE
        size = used if dense else min(used, PORTION)
        least = min(m, d)
        matrices = (size if random else 1) * 4 * (m * d * (least + d) + least**3) if dense else 0
        solved = size * 4 * d * d * (1 if dense else self.solves)
        times = self.laps + restored / size  # the laps, and then all signals
        return SLOW * times * (matrices + solved + 30 * d**3)

    def products(self, corruption: Corruption, shape: tuple[int, ...], n: int) -> float:
        """Operations of the matrix products in restoring `n` measurements, without those of A itself."""
        d, m = math.prod(shape), math.prod(corruption.operator.measured_shape(shape))
        restored, random = min(n, self.pool), corruption.operator.random
        used = min(restored, self.used)
        dense = (used if random else 1) * d * m <= DENSE
        size = used if dense else min(used, PORTION)
        last = [min(size, restored - k) for k in range(0, restored, size)]

        def update(k: int) -> int:  # what is computed once for k measurements
            return (k if random else 1) * 2 * m * d * (d + 1) if dense and m > d else 0

        def posterior(k: int) -> int:
            drawn = 2 * d**3 + 2 * k * d * d
            if not dense:
                return drawn + self.solves * 2 * k * d * d
            if m > d:
                return drawn + 2 * k * d * (m + d)
            return drawn + (k if random else 1) * 2 * m * d * (d + m) + 2 * k * m * d

        laps = self.laps * (posterior(size) + 2 * size * d * d)
        return float(laps + sum(posterior(k) for k in last) + sum(update(k) for k in last))

    def noise(self, m: Measurement, rng: torch.Generator) -> float:
        """The noise that is assumed."""
        return max(m.sigma_y, self.floor * math.sqrt(power(m, rng)))


def fit(m: Measurement, sigma: float, update: Update, laps: int, rng: torch.Generator, size: int) -> Moments:
    r"""The moments of signals, from `size` measurements in each lap.

    In the second half of the laps moments are averaged over laps, which brings them to the most likely
    ones however few samples there are: stochastic approximation (Delyon et al., 1999),
    https://doi.org/10.1214/aos/1018031103.
    """
    d = math.prod(m.shape)
    first = m.y.new_zeros(d)
    second = START * power(m, rng) * torch.eye(d).to(m.y)
    for lap in range(laps):
        law = Moments(first, second - torch.outer(first, first))
        x = _posterior(law, _some(m, size, rng), sigma, update, rng)
        rate = 1 / max(1, lap - laps // 2 + 1)
        first, second = first.lerp(x.mean(0), rate), second.lerp(x.mT @ x / len(x), rate)
    return Moments(first, second - torch.outer(first, first))


def _posterior(law: Moments, m: Measurement, sigma: float, update: Update, rng: torch.Generator) -> Tensor:
    """One sample of each posterior, `(n, d)`."""
    x = law.sample(len(m), rng)
    y = m.A(x.reshape(-1, *m.shape)) + sigma * m.A.restrict(randn_like(m.y, rng))
    return x + update(m, law.cov, m.y - y)


def _some(m: Measurement, size: int, rng: torch.Generator) -> Measurement:
    if len(m) <= size:
        return m
    return m[torch.randperm(len(m), generator=rng, device=rng.device)[:size]]


def _direct(H: Tensor, sigma: float) -> Update:
    """Solves on the smaller side of the operators, `(n or 1, m, d)`."""
    if H.shape[1] <= H.shape[2]:
        return partial(_exact, H, sigma)
    return partial(_normal, H, BySignals.of(H, H.new_zeros(1, H.shape[1]), sigma))


def _normal(H: Tensor, system: BySignals, m: Measurement, cov: Tensor, r: Tensor) -> Tensor:
    """What `_exact` gives, by systems of as many equations as a signal has entries."""
    back = (r.flatten(1)[:, None] @ H)[:, 0]
    return replace(system, back=back).posterior(cov.new_zeros(len(cov)), cov)[0]


def _exact(H: Tensor, sigma: float, m: Measurement, cov: Tensor, r: Tensor) -> Tensor:
    crossed = H @ cov  # (n, m, d)
    own = crossed @ H.mT + sigma**2 * torch.eye(H.shape[1]).to(H)
    factor = torch.linalg.cholesky(own)
    if len(H) == 1:
        return r.flatten(1) @ torch.cholesky_solve(crossed[0], factor[0])
    solved = torch.cholesky_solve(r.flatten(1)[..., None], factor)
    return (crossed.mT @ solved)[..., 0]


def _iterated(sigma: float, solves: int, m: Measurement, cov: Tensor, r: Tensor) -> Tensor:
    def spread(x: Tensor) -> Tensor:
        return (x.flatten(1) @ cov).reshape(x.shape)

    return gain(spread, m.A, m.A.adjoint, r, sigma**2, steps=solves).flatten(1)
