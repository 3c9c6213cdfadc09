r"""Students of a mixture on the line, one normal law or two, found by minimising an objective.

A student $N(a, v)$ and the teacher $T$ are compared at noise variances $\tau$, that is $N(a, v + \tau)$
with $T_\tau$, under a weight $w(\tau)$. An aware student has $v + \sigma^2$ in place of $v$. Expectations
under the student are trapezoid sums; integrals over $\tau$ are so in $\log\tau$.

Where the variance is found by minimisation, `stationary` finds it again as the root of
$\int w(\tau) (1/(v+\tau) + E[z s_{T_\tau}(x)]/\sqrt{v+\tau}) d\tau$ for $x = a + \sqrt{v+\tau} z$ (Stein's
identity), which needs the teacher's score instead of its density.
"""

from __future__ import annotations

__all__ = ["OBJECTIVES", "Objective", "pair_student", "single_student", "student_variance"]

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from theory.quadrature import Array, Mixture, kl, minimum, normal, pair

Z = np.linspace(-10.0, 10.0, 501)
NORMAL = np.exp(-0.5 * Z**2) * (Z[1] - Z[0]) / np.sqrt(2 * np.pi)
LOG_LEVELS = np.linspace(-16.0, 20.0, 49)  # beyond, the objectives that are integrated have no weight left
FLAT = 30.0
LEAST_LEVEL, LARGEST_LEVEL, EDM_RHO = 0.002, 80.0, 7.0  # of https://arxiv.org/abs/2206.00364


@dataclass(frozen=True)
class Objective:
    """A divergence, `kl` or `fisher`, under the student's law, with a weight on levels.

    Args:
        fisher: Whether it is the Fisher divergence.
        tau: Noise variances, `(T,)`.
        weights: Their weights, `(T,)`.
    """

    fisher: bool
    tau: Array
    weights: Array

    def _points(self, mean: float, v: float, teacher: Mixture) -> tuple[Array, Array, Array]:
        """Standard deviations `(T, 1)`, and the teacher's log-density and score at `(T, Z)`."""
        w, m, s = teacher.parts
        spread = np.sqrt(v + self.tau)[:, None]
        var = (s**2 + self.tau[:, None])[:, None]  # (T, 1, K)
        r = m - (mean + spread * Z)[..., None]
        logs = np.log(w) - 0.5 * r**2 / var - 0.5 * np.log(2 * np.pi * var)
        top = logs.max(-1, keepdims=True)
        shares = np.exp(logs - top)
        total = shares.sum(-1)
        return spread, np.log(total) + top[..., 0], (shares * r / var).sum(-1) / total

    def __call__(self, mean: float, v: float, teacher: Mixture) -> float:
        """The objective of `N(mean, v)`."""
        spread, log_teacher, score = self._points(mean, v, teacher)
        if self.fisher:
            return float(self.weights @ ((-Z / spread - score) ** 2 @ NORMAL))
        gap = -0.5 * Z**2 - 0.5 * np.log(2 * np.pi * spread**2) - log_teacher
        # Far up the laws are nearly equal: there the mean of `gap` cancels, and this form of it does not.
        size = v + mean**2 + sum(w * (m**2 + s**2) for w, m, s in zip(*teacher.parts, strict=True))
        flat = self.tau > FLAT * size
        gap[flat] += np.expm1(-gap[flat])
        return float(self.weights @ (gap @ NORMAL))

    def stationary(self, mean: float, near: float, teacher: Mixture) -> float:
        """The root of the derivative in `v` that is next to `near`; for the KL divergence only."""
        from scipy.optimize import brentq

        def slope(v: float) -> float:
            spread, _, score = self._points(mean, v, teacher)
            return float(self.weights @ (1 / spread[:, 0] ** 2 + score @ (NORMAL * Z) / spread[:, 0]))

        return float(brentq(slope, 0.98 * near, 1.02 * near, xtol=1e-13 * near))


def _at(tau: float, fisher: bool = False) -> Objective:
    return Objective(fisher, np.array([tau]), np.ones(1))


def _over(density: Callable[[Array], Array], fisher: bool = False) -> Objective:
    """All levels, with a density that is given in `tau`."""
    tau = np.exp(LOG_LEVELS)
    return Objective(fisher, tau, density(tau) * tau * (LOG_LEVELS[1] - LOG_LEVELS[0]))


def _sid(tau: Array) -> Array:
    r"""SiD's weight: squared gaps of denoisers over mean absolute ones, at the noise levels of EDM's sampler.

    $\tau^2$ times the squared gap of scores, over $|x - D(x_t)| \sim \sqrt{\tau / (1 + \tau)}$, with a
    density of levels $\propto t^{1/7 - 1} dt$.
    """
    inside = (tau > LEAST_LEVEL**2) & (tau < LARGEST_LEVEL**2)
    return np.asarray(inside * tau**2 / np.sqrt(tau / (1 + tau)) * tau ** (0.5 / EDM_RHO - 1))


OBJECTIVES: dict[str, Objective] = {
    "reverse Fisher, tau = 0": _at(0.0, fisher=True),
    "reverse KL, tau = 0": _at(0.0),
    "reverse KL, dt": _over(lambda tau: 0.5 / np.sqrt(tau)),
    "SiD, EDM levels": _over(_sid, fisher=True),
    "reverse KL, dtau": _over(np.ones_like),
    "reverse KL, tau = 1000": _at(1000.0),
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
    if name == "forward KL":
        return minimum(lambda v: kl(teacher, normal(mean, v + aware)), low, high)
    return minimum(lambda v: OBJECTIVES[name](mean, v + aware, teacher), low, high)


def single_student(teacher: Mixture, mean: float, v: float, *, aware: float = 0.0) -> tuple[Mixture, float]:
    """The normal student by reverse KL at level 0 that descent from `N(mean, v)` reaches, and its objective.

    The variance stays above `aware`, as `v - aware` is the student's own.
    """
    from scipy.optimize import minimize

    objective = OBJECTIVES["reverse KL, tau = 0"]

    def loss(q: Array) -> tuple[float, Array]:
        total = aware + float(np.exp(q[1]))
        spread, _, score = objective._points(float(q[0]), total, teacher)
        slope = -0.5 * (1 / total + float(score[0] @ (NORMAL * Z)) / float(spread[0, 0]))
        gradient = np.array([-float(score[0] @ NORMAL), slope * (total - aware)])
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
