r"""The best linear estimate of images with a stationary law, whose covariance is diagonal in Fourier space.

Each channel has one mean and one power spectrum `S`, with periodic boundaries: `C = F^H S F`. They are
learned from the measurements by expectation maximisation with samples of posteriors for expectations,
as in `moments.py`; a system `A C A^T + v` is solved by conjugate gradients, for which `C` is two Fourier
transforms. For noisy images, `A = 1`, the estimate is Wiener's (1949) filter `S / (S + v)`.
"""

from __future__ import annotations

__all__ = ["Spectrum", "StationaryWiener", "fit"]

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dcdbench.batch import randn_like
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.restorers.gain import gain
from dcdbench.restorers.linear import START, power
from dcdbench.restorers.pool import PORTION, in_portions
from dcdbench.streams import Stream

PASSES = 60.0  # operations on each number in a step of conjugate gradients: A, its adjoint and two transforms
SLOW = 40.0  # operations of large products that take as long as one of these


@dataclass(frozen=True)
class Spectrum:
    """A stationary law of images.

    Args:
        mean: That of each channel, `(C, 1, 1)`.
        power: The variance of each Fourier coefficient, `(C, H, W // 2 + 1)`, with unitary transforms.
    """

    mean: Tensor
    power: Tensor

    def spread(self, x: Tensor) -> Tensor:
        """`C x`, `(B, C, H, W)`."""
        return self._filtered(x, self.power)

    def sample(self, n: int, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
        """`n` draws of the Gaussian with this law, `(n, C, H, W)`."""
        white = torch.randn(n, *shape, generator=rng, device=rng.device, dtype=self.power.dtype)
        return self.mean + self._filtered(white, self.power.sqrt())

    def estimate(self, m: Measurement, variance: float, solves: int, start: Tensor | None = None) -> Tensor:
        """`x + C A^T (A C A^T + v)^-1 (y - A x)` from `x`, `(B, C, H, W)`, or from the mean."""
        x = self.mean.expand(len(m), *m.shape) if start is None else start
        return x + gain(self.spread, m.A, m.A.adjoint, m.y - m.A(x), variance, steps=solves, tol=1e-6)

    @staticmethod
    def _filtered(x: Tensor, factor: Tensor) -> Tensor:
        return torch.fft.irfft2(factor * torch.fft.rfft2(x), s=x.shape[-2:])


@dataclass(frozen=True)
class StationaryWiener:
    """Posterior means of images under a stationary law that is fitted to their measurements first.

    Args:
        laps: Steps of expectation maximisation, >= 1.
        solves: The most steps of conjugate gradients.
        floor: The least noise that is assumed, relative to the size of signals: without any, systems are
            singular.
    """

    laps: int = 20
    solves: int = 50
    floor: float = 0.01

    def restore(self, denoiser: Any, problem: Problem, stream: Stream) -> Tensor:
        """One signal per training measurement, `(n, C, H, W)`; the denoiser is not asked."""
        m = problem.train.to(dtype=torch.float64)
        rng = (stream / "spectrum").rng(m.y.device)
        size = power(m, rng)
        variance = max(m.sigma_y, self.floor * math.sqrt(size)) ** 2
        law = fit(m, size, variance, self.laps, self.solves, rng)
        x = in_portions(lambda part, _: law.estimate(part, variance, self.solves), m, rng)
        return x.to(problem.train.y)

    def operations(self, corruption: Corruption, shape: tuple[int, ...], n: int) -> float:
        """Operations of large matrix products that take about as long as restoring `n` measurements."""
        d, m = math.prod(shape), math.prod(corruption.operator.measured_shape(shape))
        return SLOW * PASSES * self.solves * (self.laps * min(n, PORTION) + n) * (d + m)


def fit(
    m: Measurement, size: float, variance: float, laps: int, solves: int, rng: torch.Generator
) -> Spectrum:
    """The most likely stationary law, from some measurements in each lap.

    In the second half of the laps moments are averaged over laps, as in `moments.fit`.

    Args:
        m: Measurements, of linear operators on images.
        size: The mean square of a signal's entries.
        variance: That of the noise.
        laps: Steps of expectation maximisation.
        solves: The most steps of conjugate gradients.
        rng: For the samples of posteriors, and for which measurements take part.
    """
    channels, height, width = m.shape
    law = Spectrum(
        m.y.new_zeros(channels, 1, 1), m.y.new_full((channels, height, width // 2 + 1), START * size)
    )
    for lap in range(laps):
        few = m[torch.randperm(len(m), generator=rng, device=rng.device)[:PORTION]]
        x = _posterior(law, few, variance, solves, rng)
        rate = 1 / max(1, lap - laps // 2 + 1)
        mean = x.mean((0, 2, 3))[:, None, None]
        found = torch.fft.rfft2(x - mean, norm="ortho").abs().square().mean(0)
        law = Spectrum(law.mean.lerp(mean, rate), law.power.lerp(found, rate))
    return law


def _posterior(law: Spectrum, m: Measurement, variance: float, solves: int, rng: torch.Generator) -> Tensor:
    """One sample of each posterior by Matheron's rule, `(n, C, H, W)`."""
    noise = math.sqrt(variance) * m.A.restrict(randn_like(m.y, rng))
    shifted = Measurement(m.y - noise, m.A, m.sigma_y, m.shape)
    return law.estimate(shifted, variance, solves, law.sample(len(m), m.shape, rng))
