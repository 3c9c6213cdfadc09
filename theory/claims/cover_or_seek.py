r"""One component for two modes covers both up to $\mu_c$, and takes one of them beyond.

For a teacher $\frac12 N(\pm \mu, 1)$ and reverse KL at one level, the covering student $N(0, r)$ with $1/r
= 1 - \mu^2 E[\operatorname{sech}^2(\mu \sqrt r z)]$ is always a local minimum. The one at a single mode,
whose divergence is close to $\log 2$, becomes the global one at $\mu_c$.
"""

from __future__ import annotations

import math

from theory.claim import OURS, Check, Control, Identity
from theory.line import NORMAL, Z, single_student
from theory.quadrature import Mixture, pair

CRITICAL = 2.800082


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


def transition(weight: float) -> tuple[Check, ...]:
    """The critical place, and the covering student there."""
    import numpy as np

    mu = critical(weight)
    (cover, _), (_, value) = branches(mu, weight)
    r = cover.moments[1]
    curvature = 1 - mu**2 * float(NORMAL @ np.cosh(mu * math.sqrt(r) * Z) ** -2.0)
    return (
        Check("critical place", mu, CRITICAL),
        Check("covering variance", 1 / r, curvature),
        Check("divergence of one mode", value, math.log(2), tolerance=0.02),
    )


CLAIM = Identity(
    statement="Two modes at +-mu, one component, reverse KL: it covers both up to mu = 2.800082, one beyond.",
    source=OURS,
    evidence=lambda: transition(0.5),
    control=Control("modes of unequal weight", lambda: transition(0.52), breaks=("*",)),
)
