r"""Finitely many samples: the spiked model, $d/n \to \gamma$, with noise $\sigma$ (section E).

Above $\lambda = \sigma^2\sqrt\gamma$ a spike is seen with
$\hat c = (\lambda + \sigma^2)(1 + \gamma\sigma^2/\lambda)$ and
$\cos^2 = (1 - \gamma\sigma^4/\lambda^2)/(1 + \gamma\sigma^2/\lambda)$; below, at the edge of the bulk and
along no axis of its own. See https://arxiv.org/abs/0910.2120.
"""

from __future__ import annotations

__all__ = ["Spike", "spike", "spike_threshold"]

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Spike:
    r"""A direction of clean variance `clean`, seen with variance `seen` along an axis at `cos2`.

    The W2 (squared) of students that keep it, and of the one that drops it, `clean`.
    """

    clean: float
    sigma: float
    seen: float
    cos2: float

    def w2(self, variance: float) -> float:
        r"""Of a student with a variance along the axis seen: $v + \lambda - 2\sqrt{\lambda v \cos^2}$."""
        return variance + self.clean - 2 * math.sqrt(self.clean * variance * self.cos2)

    @property
    def w2_unaware(self) -> float:
        r"""With $v = \hat c$."""
        return self.w2(self.seen)

    @property
    def w2_aware(self) -> float:
        r"""With $v = \hat c - \sigma^2$."""
        return self.w2(self.seen - self.sigma**2)

    @property
    def w2_optimal(self) -> float:
        r"""With $v = \lambda \cos^2$, the best: $\lambda (1 - \cos^2)$."""
        return self.clean * (1 - self.cos2)


def spike(clean: float, gamma: float, sigma: float = 1.0) -> Spike:
    r"""What is seen of $\lambda$ in the limit."""
    noise = sigma**2
    if clean <= noise * math.sqrt(gamma):
        return Spike(clean, sigma, noise * (1 + math.sqrt(gamma)) ** 2, 0.0)
    ratio = gamma * noise / clean
    return Spike(clean, sigma, (clean + noise) * (1 + ratio), (1 - ratio * noise / clean) / (1 + ratio))


def spike_threshold(gamma: float, sigma: float = 1.0) -> float:
    r"""The $\lambda$ above which an unaware student should keep a spike.

    $\sigma^2$ times the largest root x of $(x+1)(x+\gamma)^2 = 4x(x^2-\gamma)$: 1/3 at $\gamma = 0$.
    """
    import numpy as np

    # 4x^3 - 4 gamma x - (x + 1)(x^2 + 2 gamma x + gamma^2)
    roots = np.roots([3.0, -(1 + 2 * gamma), -(4 * gamma + 2 * gamma + gamma**2), -(gamma**2)])
    real = roots[np.abs(roots.imag) < 1e-9 * np.maximum(np.abs(roots), 1.0)].real
    return sigma**2 * float(real.max())
