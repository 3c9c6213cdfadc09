r"""Mixtures of normal laws on the line, and distances between them by quadrature.

- KL and Fisher: the trapezoid rule, in log space, which converges exponentially for such densities.
- $W_2^2 = \int_0^1 (P^{-1}(u) - Q^{-1}(u))^2 du$: double exponential quadrature (Takahasi and Mori, 1974,
  https://doi.org/10.2977/prims/1195192451) between the cumulative weights of both laws, where quantile
  functions are steep; and, to check it, $\int (x - T(x))^2 p(x) dx$ with the monotone map
  $T = Q^{-1} \circ P$, by Gauss-Legendre panels.
"""

from __future__ import annotations

__all__ = [
    "Array",
    "Mixture",
    "fisher",
    "kl",
    "kl_adaptive",
    "minimum",
    "normal",
    "pair",
    "w2_squared",
    "w2_transport",
]

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, ndtri

Array = NDArray[np.float64]

REACH = 12.0  # standard deviations that a grid covers on either side
STEP = 0.05  # of a grid, in the smallest standard deviation
MOST_POINTS = 2**23
UNIT_STEP = 0.01  # of the rule on (0, 1): the quantile functions of mixtures bend within a few of these
UNIT_REACH = 3.6  # beyond, the rule is within rounding of 0 and 1
BISECTIONS = 52  # one per bit
PANEL, ORDER = 0.4, 10  # of Gauss-Legendre panels: their width, in the same unit, and their nodes
TINY = 1e-150  # the width of an atom
BESIDE = 1e-9  # an atom: its quantile function is flat in between


@dataclass(frozen=True)
class Mixture:
    """A mixture of normal laws on the line; a standard deviation of 0 is an atom."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    @property
    def parts(self) -> tuple[Array, Array, Array]:
        """Weights, means and standard deviations, `(K,)`."""
        w, m, s = (np.asarray(part, dtype=np.float64) for part in (self.weights, self.means, self.stds))
        return w, m, np.maximum(s, TINY)

    @property
    def moments(self) -> tuple[float, float]:
        """Mean and variance."""
        w, m, s = self.parts
        mean = float(w @ m)
        return mean, float(w @ (s**2 + (m - mean) ** 2))

    def noised(self, tau: float) -> Mixture:
        """The law convolved with `N(0, tau)`."""
        return Mixture(self.weights, self.means, tuple(float(np.sqrt(s**2 + tau)) for s in self.stds))

    def logs(self, x: Array) -> Array:
        """Logarithms of weighted component densities, `(*, K)`."""
        w, m, s = self.parts
        z = (x[..., None] - m) / s
        with np.errstate(divide="ignore"):  # a weight may be 0
            return np.log(w) - 0.5 * z**2 - np.log(s) - 0.5 * np.log(2 * np.pi)

    def log_density(self, x: Array) -> Array:
        """The log-density at `x`."""
        return np.asarray(logsumexp(self.logs(x), axis=-1))

    def score(self, x: Array) -> Array:
        """The derivative of the log-density at `x`."""
        logs, (_, m, s) = self.logs(x), self.parts
        shares = np.exp(logs - logsumexp(logs, axis=-1, keepdims=True))
        return np.asarray((shares * (m - x[..., None]) / s**2).sum(-1))

    def tail(self, x: Array, upper: bool) -> Array:
        """The mass above `x`, or below it."""
        w, m, s = self.parts
        z = (x[..., None] - m) / s
        return np.asarray(ndtr(-z if upper else z) @ w)

    def quantile(self, mass: Array, upper: bool = False) -> Array:
        """The points with so much mass below them, or above, by bisection."""
        _, m, s = self.parts
        sign = -1.0 if upper else 1.0
        ends = m + sign * s * ndtri(np.maximum(mass, 1e-300))[..., None]  # between those of the components
        low, high = ends.min(-1), ends.max(-1)
        if len(m) == 1:
            return np.asarray(low)
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            right = (self.tail(middle, upper) < mass) != upper
            low, high = np.where(right, middle, low), np.where(right, high, middle)
        return np.asarray(0.5 * (low + high))

    def grid(self, step: float = STEP, *others: Mixture) -> tuple[Array, float]:
        """Equidistant points that cover the law, and their distance, fine enough for `others` too."""
        _, m, s = self.parts
        low, high = (m - REACH * s).min(), (m + REACH * s).max()
        finest = min(float(law.parts[2].min()) for law in (self, *others))
        count = 1 + np.ceil((high - low) / (step * finest))
        if count > MOST_POINTS:
            raise ValueError(f"a grid for deviations of {finest:.3g} would have {count:.3g} points")
        x = np.linspace(low, high, int(count))
        return x, float(x[1] - x[0])


def normal(mean: float, variance: float) -> Mixture:
    """One component."""
    return Mixture((1.0,), (mean,), (float(np.sqrt(variance)),))


def pair(m: float, variance: float, weight: float = 0.5) -> Mixture:
    """Two components of the same variance, at `-m` and, with `weight`, at `m`."""
    return Mixture((1 - weight, weight), (-m, m), (float(np.sqrt(variance)),) * 2)


def kl(p: Mixture, q: Mixture, step: float = STEP) -> float:
    """KL(p || q), in nats."""
    x, h = p.grid(step, q)
    log_p = p.log_density(x)
    return float(h * (np.exp(log_p) * (log_p - q.log_density(x))).sum())


def fisher(p: Mixture, q: Mixture) -> float:
    """The Fisher divergence, the mean of squared differences of scores under `p`."""
    x, h = p.grid(STEP, q)
    return float(h * (np.exp(p.log_density(x)) * (p.score(x) - q.score(x)) ** 2).sum())


def w2_squared(p: Mixture, q: Mixture, step: float = UNIT_STEP) -> float:
    """The squared W2 distance, by quantiles."""
    below, above, weights = _unit_rule(p, q, step)
    lower = below <= above
    gap = np.empty_like(below)
    gap[lower] = p.quantile(below[lower]) - q.quantile(below[lower])
    gap[~lower] = p.quantile(above[~lower], upper=True) - q.quantile(above[~lower], upper=True)
    return float(weights @ gap**2)


def _unit_rule(p: Mixture, q: Mixture, step: float) -> tuple[Array, Array, Array]:
    """Nodes `u`, `1 - u` and weights on (0, 1), dense at the cumulative weights of both laws."""
    cuts = [0.0, 1.0]
    for law in (p, q):
        w, m, s = law.parts
        cuts += list(np.cumsum(w[np.argsort(m)]))
        atoms = m[s == TINY]
        cuts += [*law.tail(atoms - BESIDE, upper=False), *law.tail(atoms + BESIDE, upper=False)]
    ends = np.unique(np.round(cuts, 14))
    ends = ends[(ends >= 0) & (ends <= 1)]
    t = np.linspace(-UNIT_REACH, UNIT_REACH, 1 + round(2 * UNIT_REACH / step))
    share = 1 / (1 + np.exp(-np.pi * np.sinh(t)))  # of an interval, left of the node
    rest = share[::-1]
    density = step * np.pi * np.cosh(t) * share * rest
    length = np.diff(ends)[:, None]
    below = ends[:-1, None] + length * share
    above = (1 - ends[1:, None]) + length * rest
    return below.ravel(), above.ravel(), (length * density).ravel()


def w2_transport(p: Mixture, q: Mixture) -> float:
    """The squared W2 distance, by the monotone map from `p`, which must have a density, to `q`.

    More exact from the broader law to the narrower one.
    """
    x, weights = _panels(p, q)
    below, above = p.tail(x, upper=False), p.tail(x, upper=True)
    lower = below <= above
    target = np.empty_like(x)
    target[lower] = q.quantile(below[lower])
    target[~lower] = q.quantile(above[~lower], upper=True)
    return float(weights @ (np.exp(p.log_density(x)) * (x - target) ** 2))


def _panels(p: Mixture, q: Mixture) -> tuple[Array, Array]:
    """Gauss-Legendre panels that cover `p`, finer and finer towards where the map to `q` may jump."""
    _, m, s = p.parts
    low, high = float((m - REACH * s).min()), float((m + REACH * s).max())
    weights, means, _ = q.parts
    inner = np.cumsum(weights[np.argsort(means)])[:-1]
    jumps = p.quantile(inner[(inner > 1e-12) & (inner < 1 - 1e-12)])
    graded = 0.5 ** np.arange(40)
    finer = [jump + sign * graded for jump in jumps for sign in (-1, 0, 1)]
    ends = np.unique(np.concatenate([np.arange(low, high, PANEL * s.min()), *finer]))
    nodes, shares = np.polynomial.legendre.leggauss(ORDER)
    half = 0.5 * np.diff(ends)[:, None]
    return (ends[:-1, None] + half * (1 + nodes)).ravel(), (half * shares).ravel()


def kl_adaptive(p: Mixture, q: Mixture) -> float:
    """KL(p || q) by adaptive quadrature, to check the trapezoid rule."""
    from scipy.integrate import quad

    def density(x: float) -> float:
        log_p, log_q = (float(law.log_density(np.array(x))) for law in (p, q))
        return float(np.exp(log_p) * (log_p - log_q))

    _, m, s = p.parts
    ends = np.unique(np.concatenate([m - REACH * s, m, m + REACH * s]))
    pieces = pairwise(ends.tolist())
    return float(sum(quad(density, low, high, epsabs=1e-10, limit=200)[0] for low, high in pieces))


def minimum(loss: Callable[[float], float], low: float, high: float, nodes: int = 25) -> float:
    """Where a function of one positive number is least: a scan on a logarithmic grid, then Brent's search."""
    from scipy.optimize import minimize_scalar

    points = np.linspace(np.log(low), np.log(high), nodes)
    values = [loss(float(np.exp(point))) for point in points]
    best = min(max(int(np.argmin(values)), 1), nodes - 2)
    found = minimize_scalar(
        lambda point: loss(float(np.exp(point))),
        bounds=(points[best - 1], points[best + 1]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(np.exp(found.x))
