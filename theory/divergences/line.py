r"""Exact W2 of Gaussian mixtures on the line.

$W_2^2(p, q) = \int_0^1 (F_p^{-1}(u) - F_q^{-1}(u))^2 du$. Quantiles are steep at the cumulative weights $c_i$
of the components of both laws, so Gauss-Legendre panels shrink geometrically towards each of them: they are
even in $t = \log\delta$, $\delta = u - c_i$. They are halved until their Legendre coefficients have decayed.
"""

from __future__ import annotations

__all__ = ["w2_line"]

import math

import numpy as np

from dcdbench.analytic import Law
from theory.divergences.estimate import Estimate
from theory.divergences.quantiles import SAME, Array, Line

NODES = 16
PANEL = 3.0  # in t
SMALLEST = 1e-18  # of delta, relative; what is within weighs less than rounding
SPLITS = 12
TOL = 1e-14  # of a panel, relative to the value
EPS = float(np.finfo(float).eps)

_X, _W = np.polynomial.legendre.leggauss(NODES)
_COEFFICIENTS = np.linalg.inv(np.polynomial.legendre.legvander(_X, NODES - 1)).T


def w2_line(p: Law, q: Law, smallest: float = SMALLEST) -> Estimate:
    """W2 (squared) of two mixtures on the line.

    Args:
        p: A law on R.
        q: Another one.
        smallest: The length, relative, at which panels stop to shrink; more is faster, and less precise.
    """
    a, b = Line.of(p), Line.of(q)
    breaks = np.unique(np.concatenate([a.breaks, b.breaks]))
    breaks = np.concatenate([[0.0], breaks[(breaks > SAME) & (breaks < 1 - SAME)], [1.0]])
    breaks = breaks[np.concatenate([[True], np.diff(breaks) > SAME])]
    halves = np.diff(breaks) / 2
    sides = ((a, b, breaks[:-1], halves), (a.mirrored, b.mirrored, 1 - breaks[:0:-1], halves[::-1]))
    parts = [_side(*side, smallest) for side in sides]
    value, scale = sum(part[0] for part in parts), a.scale + b.scale
    rounding = 8 * EPS * (math.sqrt(max(value, 0.0)) * scale + value) + (16 * EPS * scale) ** 2
    return Estimate.exact(value, sum(part[1] for part in parts) + rounding)


def _side(p: Line, q: Line, anchors: Array, lengths: Array, smallest: float) -> tuple[float, float]:
    """The integral over `anchors + (0, lengths)` summed, and its error."""
    count = math.ceil(-math.log(smallest) / PANEL)
    edges = np.log(lengths)[:, None] + math.log(smallest) * np.arange(count, -1, -1) / count
    low, high, c = edges[:, :-1].ravel(), edges[:, 1:].ravel(), np.repeat(anchors, count)
    floor = (16 * EPS * max(p.scale, q.scale)) ** 2  # where equal quantiles differ by rounding
    rest = float(_integrand(p, q, anchors, edges[:, :1]).sum())  # what is closer to the anchors than panels
    total, error = rest, rest
    for split in range(SPLITS + 1):
        half = (high - low) / 2
        f = _integrand(p, q, c, low[:, None] + half[:, None] * (_X + 1))
        value, off = f @ _W * half, _unresolved(f) * half
        rough = off > TOL * (total + value.sum()) + floor * np.exp(high)
        rough &= split < SPLITS
        total, error = total + float(value[~rough].sum()), error + float(off[~rough].sum())
        if not rough.any():
            break
        low, middle, high = low[rough], (low + half)[rough], high[rough]
        low, high, c = np.concatenate([low, middle]), np.concatenate([middle, high]), np.tile(c[rough], 2)
    return total, error


def _integrand(p: Line, q: Line, anchors: Array, t: Array) -> Array:
    """The squared gap of quantiles times the density of t, `(N, M)`, at `anchors`, `(N,)`, and `t`."""
    at = np.repeat(anchors, t.shape[1])
    gap = p.quantile(at, t.ravel()) - q.quantile(at, t.ravel())
    return np.asarray((gap**2).reshape(t.shape) * np.exp(t))


def _unresolved(f: Array) -> Array:
    """What Gauss-Legendre misses, from the decay of Legendre coefficients; twice as many are integrated."""
    size = np.abs(f @ _COEFFICIENTS)
    last, most = size[:, -3:].max(1), np.maximum(size.max(1), 1e-300)
    return np.where(last < 64 * EPS * most, 0.0, last**2 / most)
