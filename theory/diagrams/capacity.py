r"""One component for two modes: the noise against the places of the modes, aware and unaware.

The clean law is $\frac12 N(\pm m, 1)$. At level 0 the component takes one mode where
$m > 2.800082 \sqrt{1 + \sigma^2}$; under $d\tau$ it always covers both.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from theory.claim import Evidence
from theory.claims.cover_or_seek import CRITICAL
from theory.line import OBJECTIVES, single_student, student_variance
from theory.panels import COARSE, Axis, Curve, Phase, contrast
from theory.plots import Diagram
from theory.quadrature import Mixture, normal, pair, w2_squared, w2_transport
from theory.stationary import stationary

ZERO, ALL = "reverse KL, tau = 0", "reverse KL, dtau"
TITLES = {ZERO: r"RKL, $\tau=0$", ALL: r"RKL, $d\tau$"}


def students(name: str, aware: float, m: float, sigma: float) -> tuple[Mixture, Mixture]:
    """The student by minimisation, and with the variance of a root of the derivative."""
    c, teacher = 1 + sigma**2, pair(m, 1 + sigma**2)
    added = aware * sigma**2
    if name == ZERO:
        starts = ((0.0, c + m**2), (0.95 * m, 1.1 * c))
        found = [single_student(teacher, *start, aware=added) for start in starts]
        best = min(found, key=lambda branch: branch[1])[0]
        mean, v = best.moments
        return best, normal(
            mean, stationary(OBJECTIVES[name], mean, v + added, teacher, rtol=COARSE / 100).value - added
        )
    v = student_variance(name, teacher, 0.05 + (1 - aware) * sigma**2, 2 * (c + m**2), aware=added)
    root = stationary(OBJECTIVES[name], 0.0, v + added, teacher, rtol=COARSE / 100).value - added
    return normal(0.0, v), normal(0.0, root)


@cache
def far(m: float, sigma: float) -> tuple[float, float]:
    """The teacher's distance, in two ways."""
    clean, teacher = pair(m, 1.0), pair(m, 1 + sigma**2)
    return w2_squared(teacher, clean), w2_transport(teacher, clean)


def cell(name: str, aware: float, m: float, sigma: float) -> Evidence:
    """Both distances at a point."""
    first, second = students(name, aware, m, sigma)
    clean = pair(m, 1.0)
    return contrast(far(m, sigma), (w2_squared(first, clean), w2_transport(second, clean)))


PLACE = Axis("modes at $\\pm m$, in units of $s$", 0.0, 6.0)
NOISE = Axis(r"noise $\sigma$, in units of $s$", 0.0, 5.0)


def curves(name: str) -> tuple[Curve, ...]:
    """Beyond which place a mode is dropped."""
    if name == ALL:
        return ()
    sigma = NOISE.curve
    return (Curve(r"one mode: $m>\mu_c\sqrt{s^2+\sigma^2}$", CRITICAL * np.sqrt(1 + sigma**2), sigma, "--"),)


DIAGRAM = Diagram(
    tuple(
        Phase(
            rf"$W_2^2$: {'aware' if aware else 'unaware'}, {title}",
            PLACE,
            NOISE,
            partial(cell, name, aware),
            curves(name),
        )
        for aware in (1.0, 0.0)
        for name, title in TITLES.items()
    ),
    columns=2,
    cells=16,
    quick=3,
    claims=("close_modes", "mode_dropping", "cover_or_seek"),
)
