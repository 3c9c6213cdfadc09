r"""Quantiles of Gaussian mixtures on the line, precise in the tails and between well separated modes.

There they are steep: at 0, at 1, and at the cumulative weights $c_i$ of the components, in the order of
their means. So a quantile is given by one of those and by $\log\delta$, $\delta = u - c_i$, and solved from

$\delta = \sum_{k > i} w_k \Phi(z_k) - \sum_{k \le i} w_k \Phi(-z_k)$, $z_k = (x - m_k) / s_k$,

in which nothing cancels (at $c = 0$ this is the cdf, at $c = 1$, mirrored, the survival function). A
component with $s_k = 0$ is an atom.
"""

from __future__ import annotations

__all__ = ["SAME", "Array", "Line", "quantile"]

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtr

from dcdbench.analytic import Law

Array = npt.NDArray[Any]

SAME = 1e-14  # cumulative weights this close are one
STEPS, FREE = 80, 8  # at most, and those that are Newton's where they can be; later ones take turns
NEAR = 1e-8  # in standard deviations; Newton's next step would be its square
REACH, CELLS = 40.0, 121  # of a component's table: standard deviations and points
EPS = float(np.finfo(float).eps)
TINY = 1e-300

_TABLE = np.sinh(np.linspace(-1, 1, CELLS) * math.asinh(REACH / 3)) * 3  # denser in the middle


@dataclass(frozen=True)
class Line:
    """A mixture on the line, its components in the order of their means."""

    weights: Array
    means: Array
    sds: Array

    @classmethod
    def of(cls, law: Law) -> Line:
        """A law of dimension 1."""
        if law.dim != 1:
            raise ValueError(f"quantiles need a law on R, got one on R^{law.dim}; project it first")
        weights, means = (part.numpy() for part in law.components[:2])
        means, sds = means[:, 0], np.sqrt(law.spectrum[0][:, 0].numpy())
        order = [k for k in np.lexsort((sds, means)) if weights[k] > 0]
        return cls(weights[order], means[order], sds[order])

    @cached_property
    def mirrored(self) -> Line:
        """The law of `-x`."""
        return Line(self.weights[::-1], -self.means[::-1], self.sds[::-1])

    @property
    def anchors(self) -> Array:
        """The cumulative weights, from 0 to 1, `(K + 1,)`."""
        return np.concatenate([[0.0], np.cumsum(self.weights)[:-1], [1.0]])

    @property
    def breaks(self) -> Array:
        """Where the quantile function is not smooth: the anchors, and the ends of atoms."""
        atoms = self.means[self.sds == 0]
        gap = atoms[:, None] - self.means
        smooth = ndtr(gap / np.where(self.sds > 0, self.sds, 1.0))
        below, upto = (np.where(self.sds > 0, smooth, jump) @ self.weights for jump in (gap > 0, gap >= 0))
        return np.concatenate([self.anchors, below, upto])

    @property
    def scale(self) -> float:
        """The root of the second moment."""
        return float(np.sqrt(self.weights @ (self.means**2 + self.sds**2)))

    def quantile(self, anchor: Array, t: Array) -> Array:
        """The quantiles at `anchor + exp(t)`, for anchors below 1; precise also far in the tails."""
        own = self.anchors
        i = np.abs(anchor[:, None] - own).argmin(1)
        shift = anchor - own[i]
        shift = np.where(np.abs(shift) < SAME, 0.0, shift)
        delta = shift + np.exp(t)
        logs = np.where(shift == 0, t, np.log(np.maximum(np.abs(delta), TINY)))
        below = (delta < 0) & (shift != 0)
        x = np.empty_like(delta)
        x[~below] = self._solve(i[~below], logs[~below])
        x[below] = -self.mirrored._solve(len(own) - 1 - i[below], logs[below])
        return x

    @cached_property
    def _table(self) -> tuple[Array, Array]:
        """Points `(N,)`, and the logarithm of the equation's right side there, `(K + 1, N)`."""
        atoms = self.means[self.sds == 0]
        grid = (self.means + self.sds * _TABLE[:, None]).ravel()
        grid = np.unique(np.concatenate([grid, np.nextafter(atoms, -np.inf)]))
        rows = [self._total(grid, np.array([i])) for i in range(len(self.anchors))]
        return grid, np.maximum.accumulate(np.stack(rows), axis=1)

    def _start(self, i: Array, logs: Array) -> tuple[Array, Array, Array]:
        """Points to start from, by interpolation, and a bracket around each solution."""
        grid, table = self._table
        cell = np.empty(len(i), dtype=int)
        for j in np.unique(i):
            cell[i == j] = np.searchsorted(table[j], logs[i == j])
        cell = np.clip(cell, 1, len(grid) - 1)
        low, high, bottom = grid[cell - 1], grid[cell], table[i, cell - 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (logs - bottom) / (table[i, cell] - bottom)
        share = np.where((bottom > -np.inf) & (share >= 0) & (share <= 1), share, 0.5)
        return low + share * (high - low), low, high

    def _solve(self, i: Array, logs: Array) -> Array:
        """Newton's method within brackets, at anchors `i`, on the equation or, far off, on its logarithm."""
        x, low, high = self._start(i, logs)
        near, scale = NEAR * self.sds[self.sds > 0].min(initial=1.0), self.scale
        going = np.arange(len(i))
        for step in range(STEPS):
            at = x[going]
            gap, log_gap, slope, far, settled = self._equation(at, i[going], logs[going])
            low[going] = a = np.where(gap < 0, at, low[going])
            high[going] = b = np.where(gap >= 0, at, high[going])
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                steps = np.where(far, log_gap, gap) / slope, gap / slope
            free = step < FREE or step % 2 == 0
            first, second = ((at - size >= a) & (at - size <= b) & free for size in steps)
            new = np.where(first, at - steps[0], np.where(second, at - steps[1], (a + b) / 2))
            tol = 2 * EPS * (np.abs(at) + scale)
            # By the plain step: where the logarithm is steep, its own are small far from the solution too.
            plain = at - steps[1]
            close = (np.abs(steps[1]) <= np.maximum(tol, near)) & (plain >= a) & (plain <= b)
            new = np.where(close, plain, new)
            done = settled | close | (b - a <= tol)
            x[going] = np.where(settled, at, new)
            going = going[~done]
            if len(going) == 0:
                break
        return x

    @cached_property
    def _logs(self) -> tuple[Array, Array]:
        """Logarithms of the weights, and of densities of components at their means; atoms have none."""
        with np.errstate(divide="ignore"):
            heights = np.log(self.weights / self.sds) - math.log(2 * math.pi) / 2
        return np.log(self.weights), np.where(self.sds > 0, heights, -np.inf)

    def _terms(self, x: Array, i: Array) -> tuple[Array, Array, Array]:
        """The signed terms of the right side, `(N, K)`, over their largest, its logarithm, and all z."""
        gap = x[:, None] - self.means
        sign = np.where(np.arange(len(self.weights)) < i[:, None], -1.0, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where((self.sds == 0) & (gap == 0), np.inf, gap / self.sds)
            part = self._logs[0] + log_ndtr(sign * z)
        most = np.maximum(part.max(1), -1 / TINY)
        return sign * np.exp(part - most[:, None]), most, z

    def _total(self, x: Array, i: Array) -> Array:
        """The logarithm of the right side."""
        terms, most, _ = self._terms(x, i)
        with np.errstate(divide="ignore"):
            return np.asarray(most + np.log(np.maximum(terms.sum(1), 0.0)))

    def _equation(self, x: Array, i: Array, logs: Array) -> tuple[Array, ...]:
        """Right minus left; of logarithms, in the same unit; the slope; whether it is far off, or 0."""
        terms, most, z = self._terms(x, i)
        right = terms.sum(1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            gap = right - np.exp(logs - most)
            log_gap = (np.log(np.maximum(right, 0.0)) + most - logs) * right
            slope = np.exp(self._logs[1] - 0.5 * z**2 - most[:, None]).sum(1)
        far, settled = np.abs(gap) > right / 2, np.abs(gap) <= EPS * np.abs(terms).sum(1) / 2
        return gap, log_gap, slope, far, settled


def quantile(law: Law, log_cdf: float) -> float:
    """The quantile of a law on the line, from the logarithm of the probability below it."""
    return float(Line.of(law).quantile(np.zeros(1), np.array([log_cdf]))[0])
