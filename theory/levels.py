r"""A teacher whose scores are those of no law: $s(x, \tau) = -x/(c(\tau) + \tau)$, in one dimension.

Its sampler is the probability flow, $dx/d\tau = x/2(c(\tau) + \tau)$. Its student of reverse KL under a
weight w is the v at which $\int w [1/(c(\tau) + \tau) - 1/(v + \tau)] d\tau$, the gradient of the
objective, vanishes.
"""

from __future__ import annotations

__all__ = ["Variance", "Weight", "flow", "student"]

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Variance = Callable[[Array], Array]
Weight = Callable[[Array], Array]

HIGHEST = 1e13  # the noise variance at which the sampler starts, which forgets how
BREAK = 0.5  # where variances and weights may jump, if nobody says where
LOWEST, TOP = 1e-32, 1e24  # of noise variances
NODES, PANEL = 20, 1.0  # of Gauss-Legendre panels in log tau


def student(variance: Variance, weight: Weight, breaks: Sequence[float] = (BREAK,)) -> float:
    """The variance of the student.

    Args:
        variance: `c`, that of the law whose score the teacher has at a level.
        weight: `w`, at most like a power of the level at both ends.
        breaks: The levels at which either jumps.
    """
    from scipy.optimize import brentq

    tau, step = _quadrature(breaks)
    w, c = step * weight(tau), variance(tau)
    share = w / (c + tau)  # the difference of the two terms, without their cancelling at large tau

    def gradient(v: float) -> float:
        return float((share * (v - c) / (v + tau)).sum())

    return float(brentq(gradient, 0.5 * c.min(), 2 * c.max(), xtol=1e-14, rtol=1e-14))


def _quadrature(breaks: Sequence[float]) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights in `log tau`, on panels between `breaks`."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    ends = np.log([LOWEST, *sorted(breaks), TOP])
    pieces = [np.linspace(a, b, 1 + math.ceil((b - a) / PANEL)) for a, b in pairwise(ends)]
    low = np.concatenate([piece[:-1] for piece in pieces])[:, None]
    width = np.concatenate([np.diff(piece) for piece in pieces])[:, None]
    tau = np.exp(low + width * (x + 1) / 2)
    return tau.ravel(), (width / 2 * w * tau).ravel()


def flow(variance: Variance, breaks: Sequence[float] = (BREAK,), rtol: float = 1e-12) -> float:
    """The variance of what the probability flow samples, from noise alone, by a solver of the equation.

    Args:
        variance: `c`, that of the law whose score the teacher has at a level.
        breaks: The levels at which it jumps.
        rtol: The relative error of a step of the solver.
    """
    from scipy.integrate import solve_ivp

    def slope(t: float, log_x: Array) -> Array:
        tau = np.expm1(np.array([t]))
        return np.asarray((1 + tau) / (2 * (variance(tau) + tau)))

    log_x = np.array([math.log(HIGHEST) / 2])
    ends = np.log1p([0.0, *sorted(breaks), HIGHEST])
    for end, start in reversed(list(pairwise(ends))):
        inside = 1e-13 * (1 + start), 1e-13 * (1 + end) * (end > 0)  # a jump belongs to neither side
        span = (start - inside[0] * (start < ends[-1]), end + inside[1])
        log_x = solve_ivp(slope, span, log_x, rtol=rtol, atol=0.1 * rtol, method="DOP853").y[:, -1]
    return math.exp(2 * float(log_x[0]))
