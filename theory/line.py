r"""Students of a mixture on the line, one normal law or two, found by minimising an objective.

A student $N(a, v)$ and the teacher $T$ are compared at noise variances $\tau$, that is $N(a, v + \tau)$
with $T_\tau$, under a weight $w(\tau)$. An aware student has $v + \sigma^2$ in place of $v$. Expectations
under the student are trapezoid sums; integrals over $\tau$ are so in $\log\tau$, or by Gauss-Legendre
panels between two levels.

Where a variance is found by minimisation, `theory.stationary` finds it again, as the root of the derivative
and by adaptive quadrature, which has no node in common with these sums.
"""

from __future__ import annotations

__all__ = ["OBJECTIVES", "Levels", "Objective", "pair_student", "single_student", "student_variance"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from theory.quadrature import Array, Mixture, kl, minimum, normal, pair

REACH, NODES = 10.0, 500  # of the rule for a standard normal law: standard deviations, and steps
MOST_FACTOR, MOST_POINTS = 2**13, 2**20
COARSEST = 5.0  # times a component's deviation may be that of the student, before the rule gets more nodes
Z = np.linspace(-REACH, REACH, NODES + 1)
NORMAL = np.exp(-0.5 * Z**2) * (Z[1] - Z[0]) / np.sqrt(2 * np.pi)
LOG_LEVELS = np.linspace(-40.0, 26.0, 89)  # beyond, the objectives that are integrated have no weight left
PANEL, ORDER = 1.5, 10  # of Gauss-Legendre panels in log tau: their most width, and nodes
FLAT = 30.0
LEAST_LEVEL, LARGEST_LEVEL, EDM_RHO = 0.002, 80.0, 7.0  # of https://arxiv.org/abs/2206.00364


@cache
def _rule(factor: int) -> tuple[Array, Array]:
    """Points and weights of a standard normal law, `factor` times as many as `Z`."""
    z = np.linspace(-REACH, REACH, NODES * factor + 1)
    return z, np.exp(-0.5 * z**2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)


@dataclass(frozen=True)
class Levels:
    r"""Noise variances $\tau$ with a weight $w(\tau)$, or one of them.

    Args:
        density: The weight as a density over $\tau$; None for the level `low` alone.
        low: The least level, >= 0.
        high: The largest; infinite for all.
    """

    density: Callable[[Array], Array] | None = None
    low: float = 0.0
    high: float = np.inf

    def rule(self) -> tuple[Array, Array]:
        """Levels and weights of a fixed rule, `(T,)` each."""
        if self.density is None:
            return np.array([self.low]), np.ones(1)
        if self.high == np.inf:
            tau = np.exp(LOG_LEVELS)
            return tau, self.density(tau) * tau * (LOG_LEVELS[1] - LOG_LEVELS[0])
        nodes, shares = np.polynomial.legendre.leggauss(ORDER)
        log_low, log_high = np.log(self.low), np.log(self.high)
        ends = np.linspace(log_low, log_high, 1 + int(np.ceil((log_high - log_low) / PANEL)))
        half = (ends[1] - ends[0]) / 2
        tau = np.exp((ends[:-1, None] + half * (1 + nodes)).ravel())
        return tau, self.density(tau) * tau * np.tile(half * shares, len(ends) - 1)


@dataclass(frozen=True)
class Objective:
    """A divergence, `kl` or `fisher`, under the student's law, with a weight on levels.

    Args:
        fisher: Whether it is the Fisher divergence.
        levels: The noise variances with their weights.
    """

    fisher: bool
    levels: Levels

    @cached_property
    def _rule(self) -> tuple[Array, Array]:
        return self.levels.rule()

    @property
    def tau(self) -> Array:
        """Noise variances of the rule, `(T,)`."""
        return self._rule[0]

    @property
    def weights(self) -> Array:
        """Their weights, `(T,)`."""
        return self._rule[1]

    def _rules(self, v: float, teacher: Mixture) -> Iterator[tuple[NDArray[np.intp], Array, Array]]:
        """Levels, by index, with points and weights as fine as the teacher's components need there."""
        ratio = np.sqrt((v + self.tau) / (teacher.parts[2].min() ** 2 + self.tau))
        factors = 2 ** np.ceil(np.log2(np.maximum(ratio / COARSEST, 1.0))).astype(int)
        for factor in np.unique(factors):
            if factor > MOST_FACTOR:
                raise ValueError(
                    f"a component of the teacher is {ratio.max():.3g} times narrower than the student"
                )
            levels = np.flatnonzero(factors == factor)
            at_once = max(1, MOST_POINTS // (NODES * factor))
            for start in range(0, len(levels), at_once):
                yield levels[start : start + at_once], *_rule(int(factor))

    def _teacher(self, x: Array, tau: Array, teacher: Mixture) -> tuple[Array, Array]:
        """The teacher's log-density and score at points `(T, Z)` and levels `(T,)`."""
        w, m, s = teacher.parts
        var = (s**2 + tau[:, None])[:, None]  # (T, 1, K)
        r = m - x[..., None]
        logs = np.log(w) - 0.5 * r**2 / var - 0.5 * np.log(2 * np.pi * var)
        top = logs.max(-1, keepdims=True)
        shares = np.exp(logs - top)
        total = shares.sum(-1)
        return np.log(total) + top[..., 0], (shares * r / var).sum(-1) / total

    def __call__(self, mean: float, v: float, teacher: Mixture) -> float:
        """The objective of `N(mean, v)`."""
        values = np.empty(len(self.tau))
        for i, z, share in self._rules(v, teacher):
            tau = self.tau[i]
            spread = np.sqrt(v + tau)[:, None]
            log_teacher, score = self._teacher(mean + spread * z, tau, teacher)
            if self.fisher:
                values[i] = (-z / spread - score) ** 2 @ share
                continue
            gap = -0.5 * z**2 - 0.5 * np.log(2 * np.pi * spread**2) - log_teacher
            # Far up the laws are nearly equal: there the mean of `gap` cancels, and this form of it does not.
            size = v + mean**2 + sum(w * (m**2 + s**2) for w, m, s in zip(*teacher.parts, strict=True))
            flat = tau > FLAT * size
            gap[flat] += np.expm1(-gap[flat])
            values[i] = gap @ share
        return float(self.weights @ values)

    def slopes(self, mean: float, v: float, teacher: Mixture) -> tuple[float, float]:
        """Twice the derivatives in the mean and in the variance; for the KL divergence only."""
        by_mean, by_variance = np.empty(len(self.tau)), np.empty(len(self.tau))
        for i, z, share in self._rules(v, teacher):
            spread = np.sqrt(v + self.tau[i])
            _, score = self._teacher(mean + spread[:, None] * z, self.tau[i], teacher)
            by_mean[i] = -2 * (score @ share)
            # By Stein's identity, from the gap of scores, whose terms cancel far up.
            gap = score + (spread[:, None] * z) / spread[:, None] ** 2
            by_variance[i] = -(gap @ (share * z)) / spread
        return float(self.weights @ by_mean), float(self.weights @ by_variance)


def _sid(tau: Array) -> Array:
    r"""SiD's weight: squared gaps of denoisers over mean absolute ones, at the noise levels of EDM's sampler.

    $\tau^2$ times the squared gap of scores, over $|x - D(x_t)| \sim \sqrt{\tau / (1 + \tau)}$, with a
    density of levels $\propto t^{1/7 - 1} dt$.
    """
    return np.asarray(tau**2 / np.sqrt(tau / (1 + tau)) * tau ** (0.5 / EDM_RHO - 1))


OBJECTIVES: dict[str, Objective] = {
    "reverse Fisher, tau = 0": Objective(True, Levels()),
    "reverse KL, tau = 0": Objective(False, Levels()),
    "reverse KL, dt": Objective(False, Levels(lambda tau: 0.5 / np.sqrt(tau))),
    "SiD, EDM levels": Objective(True, Levels(_sid, LEAST_LEVEL**2, LARGEST_LEVEL**2)),
    "reverse KL, dtau": Objective(False, Levels(np.ones_like)),
    "reverse KL, tau = 1000": Objective(False, Levels(low=1000.0)),
}


def student_variance(
    name: str, teacher: Mixture, low: float, high: float, *, aware: float = 0.0, mean: float = 0.0
) -> float:
    """The variance of the student that minimises an objective globally, in `[low, high]`.

    Args:
        name: One of `OBJECTIVES`, or `forward KL`.
        teacher: The law whose scores are distilled.
        low: The least variance.
        high: The largest.
        aware: The noise variance that is added to the student's.
        mean: Of the student.
    """
    if name == "forward KL":  # its minimum is where second moments are equal
        centre, variance = teacher.moments
        return min(max(variance + (centre - mean) ** 2 - aware, low), high)
    return minimum(lambda v: OBJECTIVES[name](mean, v + aware, teacher), low, high)


def single_student(teacher: Mixture, mean: float, v: float, *, aware: float = 0.0) -> tuple[Mixture, float]:
    """The normal student by reverse KL at level 0 that descent from `N(mean, v)` reaches, and its objective.

    The variance stays above `aware`, as `v - aware` is the student's own.
    """
    from scipy.optimize import minimize

    objective = OBJECTIVES["reverse KL, tau = 0"]

    def loss(q: Array) -> tuple[float, Array]:
        total = aware + float(np.exp(q[1]))
        by_mean, by_variance = objective.slopes(float(q[0]), total, teacher)
        gradient = 0.5 * np.array([by_mean, by_variance * (total - aware)])
        return objective(float(q[0]), total, teacher), gradient

    start = [mean, np.log(v - aware)]
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-10})
    return normal(float(found.x[0]), float(np.exp(found.x[1]))), float(found.fun)


def pair_student(teacher: Mixture, m: float, v: float, *, aware: float = 0.0) -> Mixture:
    """The student of two equal components at `-a` and `a` by reverse KL at level 0, from `a = m`."""
    from scipy.optimize import minimize

    def loss(q: Array) -> float:
        return kl(pair(float(q[0]), float(np.exp(q[1])) + aware), teacher)

    options = {"xatol": 1e-9, "fatol": 1e-14, "maxiter": 400}
    found = minimize(loss, [m, np.log(v)], method="Nelder-Mead", options=options)
    return pair(float(found.x[0]), float(np.exp(found.x[1])))
