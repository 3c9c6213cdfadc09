r"""One component for two modes covers both up to $\mu_c$, and takes one of them beyond.

For a teacher $\frac12 N(\pm \mu, 1)$ and reverse KL at one level, the covering student $N(0, r)$ with $1/r
= 1 - \mu^2 E[\operatorname{sech}^2(\mu \sqrt r z)]$ is always a local minimum. The one at a single mode,
whose divergence is close to $\log 2$, becomes the global one at $\mu_c$. Both are found by descent with
trapezoid sums, and again as roots of the derivatives with Gauss-Legendre panels.
"""

from __future__ import annotations

import math

import numpy as np

from theory.claim import OURS, Check, Control, Identity
from theory.line import single_student
from theory.quadrature import Array, Mixture, pair

CRITICAL = 2.800082
PANELS, ORDER = np.linspace(-10.0, 10.0, 61), 12  # of a rule for a standard normal law
NODES, WEIGHTS = np.polynomial.legendre.leggauss(ORDER)
HALF = (PANELS[1] - PANELS[0]) / 2
POINTS = (PANELS[:-1, None] + HALF * (1 + NODES)).ravel()
SHARES = np.exp(-0.5 * POINTS**2) / np.sqrt(2 * np.pi) * np.tile(HALF * WEIGHTS, len(PANELS) - 1)


def branches(mu: float, weight: float) -> tuple[tuple[Mixture, float], tuple[Mixture, float]]:
    """Both students with their divergences, by descent from either."""
    teacher = pair(mu, 1.0, weight)
    return single_student(teacher, 0.0, 1 + mu**2), single_student(teacher, mu, 1.0)


def critical(weight: float) -> float:
    """Where both branches are equally good."""
    from scipy.optimize import brentq

    def gap(mu: float) -> float:
        cover, seek = branches(mu, weight)
        return cover[1] - seek[1]

    return float(brentq(gap, 2.6, 3.4, xtol=1e-10))


def by_roots(mu: float) -> tuple[float, float]:
    """The divergences of both branches for equal weights, at roots of the derivatives."""
    from scipy.optimize import root

    teacher = pair(mu, 1.0)

    def objective(mean: float, v: float) -> float:
        return -0.5 * (1 + math.log(2 * math.pi * v)) - float(
            SHARES @ teacher.log_density(mean + v**0.5 * POINTS)
        )

    def slopes(q: Array) -> list[float]:
        score = teacher.score(q[0] + q[1] ** 0.5 * POINTS)
        return [float(SHARES @ score), 1 + q[1] ** 0.5 * float(SHARES @ (POINTS * score))]

    ends = [root(slopes, start, tol=1e-12).x for start in ([0.0, 1 + mu**2], [mu, 1.0])]
    cover, seek = (objective(float(mean), float(v)) for mean, v in ends)
    return cover, seek


def again() -> float:
    """The critical place by these."""
    from scipy.optimize import brentq

    def gap(mu: float) -> float:
        cover, seek = by_roots(mu)
        return cover - seek

    return float(brentq(gap, 2.6, 3.4, xtol=1e-10))


def transition(weight: float) -> tuple[Check, ...]:
    """The critical place, and the covering student there."""
    mu = critical(weight)
    (cover, _), (_, value) = branches(mu, weight)
    r = cover.moments[1]
    curvature = 1 - mu**2 * float(SHARES @ np.cosh(mu * math.sqrt(r) * POINTS) ** -2.0)
    return (
        Check("critical place", mu, again()),
        Check("critical place, as printed", mu, CRITICAL),
        Check("covering variance", 1 / r, curvature),
        Check("divergence of one mode", value, math.log(2), tolerance=0.02),
    )


CLAIM = Identity(
    statement="Two modes at +-mu, one component, reverse KL: it covers both up to mu = 2.800082, one beyond.",
    source=OURS,
    evidence=lambda: transition(0.5),
    control=Control("modes of unequal weight", lambda: transition(0.52), breaks=("*",)),
)
