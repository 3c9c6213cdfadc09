r"""A teacher whose scores are those of no law: $s(x, \tau) = -x/(c(\tau) + \tau)$, in one dimension.

Its sampler is the probability flow, $dx/d\tau = x/2(c(\tau) + \tau)$. Its student of reverse KL under a
weight w is the v at which $\int w [1/(c(\tau) + \tau) - 1/(v + \tau)] d\tau$, the gradient of the
objective, vanishes.
"""

from __future__ import annotations

__all__ = ["Variance", "Weight", "flow", "student"]

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Variance = Callable[[Array], Array]
Weight = Callable[[Array], Array]

HIGHEST = 1e8  # the noise variance at which the sampler starts, which forgets how
BREAK = 0.5  # where variances and weights may jump
NODES = 60


def student(variance: Variance, weight: Weight) -> float:
    """The variance of the student."""
    from scipy.optimize import brentq

    tau, step = _quadrature()
    w, target = step * weight(tau), 1 / (variance(tau) + tau)
    return float(brentq(lambda v: (w * (target - 1 / (v + tau))).sum(), 1e-3, 1e3, xtol=1e-13))


def _quadrature() -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights in `log(1 + tau)`, on pieces between `BREAK` and powers of 10."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    edges = np.log1p([0.0, BREAK, 2.0, 10.0, 1e2, 1e4, 1e6, HIGHEST])
    low, width = edges[:-1, None], np.diff(edges)[:, None]
    t = (low + width * (x + 1) / 2).ravel()
    return np.expm1(t), (width / 2 * w).ravel() * np.exp(t)


def flow(variance: Variance) -> float:
    """The variance of what the probability flow samples, from noise alone, by a solver of the equation."""
    from scipy.integrate import solve_ivp

    def slope(t: float, x: Array) -> Array:
        tau = np.expm1(np.array([t]))
        return np.asarray(x * (1 + tau) / (2 * (variance(tau) + tau)))

    x = np.array([math.sqrt(HIGHEST)])
    jump = math.log1p(BREAK)
    for start, end in ((math.log1p(HIGHEST), jump + 1e-12), (jump - 1e-12, 0.0)):
        x = solve_ivp(slope, (start, end), x, rtol=1e-10, atol=1e-12, method="DOP853").y[:, -1]
    return float(x[0] ** 2)
