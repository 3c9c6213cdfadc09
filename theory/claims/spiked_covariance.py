r"""Finitely many samples: variances of y are seen too large, and along the wrong axes.

In the limit $d/n \to \gamma$ a spike $\lambda > \sigma^2 \sqrt\gamma$ of the clean covariance appears with
$\hat c = (\lambda + \sigma^2)(1 + \gamma\sigma^2/\lambda)$, and its axis with
$\cos^2 = (1 - \gamma\sigma^4/\lambda^2)/(1 + \gamma\sigma^2/\lambda)$ (Paul, 2007; Benaych-Georges and
Nadakuditi, https://arxiv.org/abs/0910.2120). A student that keeps it has, per spike,
$W_2^2 = \hat v + \lambda - 2\sqrt{\lambda \hat v \cos^2}$, with $\hat v = \hat c$ if unaware and
$\hat c - \sigma^2$ if aware. From which ratio on the unaware
one should keep it, `theory.spike_threshold` has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.claim import Check, Control, Identity

D, N, NOISE = 400, 800, 1.0
SPIKES = (8.0, 2.0)  # far apart, so that their axes hardly mix at this n
DRAWS = 12
ERRORS = 2.0  # how many standard errors a mean of draws may be off


@dataclass(frozen=True)
class Spike:
    """What is seen of a spike, one number each or one for each draw."""

    clean: float
    seen: Any
    cos2: Any

    def w2_squared(self, less: float) -> Any:
        """Of a student that keeps it, with the variance that is seen but for `less`."""
        variance = self.seen - less
        return variance + self.clean - 2 * np.sqrt(self.clean * variance * self.cos2)


def limit(clean: float, gamma: float) -> Spike:
    """The limit of theory."""
    x = clean / NOISE
    return Spike(clean, NOISE * (x + 1) * (1 + gamma / x), (1 - gamma / x**2) / (1 + gamma / x))


def simulated() -> list[Spike]:
    """Draws of n samples in d dimensions."""
    from scipy.linalg import eigh

    rng, found = np.random.default_rng(0), []
    scale = np.sqrt(np.r_[SPIKES, np.zeros(D - len(SPIKES))] + NOISE)
    for _ in range(DRAWS):
        y = rng.standard_normal((N, D)) * scale
        values, vectors = eigh(y.T @ y / N, subset_by_index=(D - len(SPIKES), D - 1))
        found.append([(values[-1 - i], vectors[i, -1 - i] ** 2) for i in range(len(SPIKES))])
    draws = np.array(found)  # (draw, spike, variance or cos^2)
    return [Spike(c, draws[:, i, 0], draws[:, i, 1]) for i, c in enumerate(SPIKES)]


NUMBERS: dict[str, Callable[[Spike], Any]] = {
    "variance": lambda spike: spike.seen,
    "cos^2": lambda spike: spike.cos2,
    "W2^2, unaware": lambda spike: spike.w2_squared(0.0),
    "W2^2, aware": lambda spike: spike.w2_squared(NOISE),
    "W2^2, best": lambda spike: spike.w2_squared(spike.seen - spike.clean * spike.cos2),
}


def check(name: str, draws: NDArray[np.float64], closed: float) -> Check:
    """A mean of draws, which may be off by some standard errors."""
    error = float(draws.std(ddof=1)) / sqrt(len(draws))
    return Check(name, float(draws.mean()), closed, floor=ERRORS * error)


def evidence(gamma: float) -> tuple[Check, ...]:
    """A simulation against the limit for a ratio `d/n`."""
    means = [
        check(f"spike {spike.clean:g}: {name}", number(spike), float(number(limit(spike.clean, gamma))))
        for spike in simulated()
        for name, number in NUMBERS.items()
    ]
    return tuple(means)


CLAIM = Identity(
    statement="In high dimension a spike of variance lambda is seen with variance "
    "(lambda + sigma^2)(1 + gamma sigma^2/lambda), gamma = d/n, and at an angle.",
    source="Paul 2007; Benaych-Georges and Nadakuditi, arXiv 0910.2120",
    evidence=lambda: evidence(D / N),
    control=Control(
        "the limit of many samples, gamma = 0",
        lambda: evidence(0.0),
        breaks=("spike *",),
    ),
    setting="d=400, n=800, spikes 8 and 2, sigma^2=1",
)
