r"""Early stopping of an unaware student of full capacity: a U over training time, and where it helps.

One direction of variance 1, from the start at noise 2.5. The flow $v(s) = c(v_0/c)^{e^{-2s}}$ is integrated
from the derivative of the objective by quadrature.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from theory.claim import Evidence, verdict
from theory.panels import Array, Axis, Curve, Phase, Point, Profile, contrast
from theory.plots import Diagram

START = 6.25
REACH, NODES, STEP = 14.0, 161, 0.01
SHARES, GREYS = (0.1, 0.5, 2.0), ("#000000", "#666666", "#aaaaaa")


def begin(c: float) -> float:
    """The variance of the generator at first."""
    return START * c**2 / (c + START) ** 2


def slope(v: float, c: float) -> float:
    r"""$dv/ds = 2v \int [1/(v+\tau) - 1/(c+\tau)] d\tau$, by a sum over $\log\tau$."""
    t = np.linspace(-REACH, REACH, NODES)
    tau = np.exp(t)
    return float(2 * v * (t[1] - t[0]) * (tau * (1 / (v + tau) - 1 / (c + tau))).sum())


@cache
def flow(c: float, steps: int) -> tuple[float, ...]:
    """The variance after each step of the midpoint rule."""
    found = [begin(c)]
    for _ in range(steps):
        v = found[-1]
        found.append(v + STEP * slope(v + STEP / 2 * slope(v, c), c))
    return tuple(found)


def distance(v: float) -> float:
    """To the clean law."""
    return float((np.sqrt(v) - 1) ** 2)


def cell(s: float, noise: float) -> Evidence:
    """Teacher and student at a time."""
    c = 1 + noise
    path = np.array(flow(c, round(TIME.high / STEP)))
    v = float(np.interp(s, STEP * np.arange(len(path)), path))
    far = distance(c)
    return contrast((far, far), (distance(v), distance(c * (begin(c) / c) ** np.exp(-2 * s))))


def points(count: int) -> list[Point]:
    """Along the flow, for each noise."""
    found = []
    for noise in SHARES:
        for s in TIME.centres(count):
            each = cell(float(s), noise)
            found.append((float(s), each.student.computed / each.teacher.computed, verdict(each)))
    return found


def theory(noise: float) -> Array:
    """The student's distance over the teacher's, along the time axis."""
    c = 1 + noise
    v = c * (begin(c) / c) ** np.exp(-2 * TIME.curve)
    return np.asarray((np.sqrt(v) - 1) ** 2 / distance(c))


TIME = Axis("training time $s$", 0.0, 4.0)
LEGEND = r"$\sigma^2/\lambda = {}$"
DIAGRAM = Diagram(
    (
        Profile(
            "$W_2^2$: below 1 the student is nearer",
            TIME,
            Axis("student's $W_2^2$ / teacher's", 0.0, 2.0),
            points,
            (
                *(
                    Curve(LEGEND.format(noise), TIME.curve, theory(noise), colour=grey)
                    for noise, grey in zip(SHARES, GREYS, strict=True)
                ),
                Curve("", TIME.curve, np.ones_like(TIME.curve), ":"),
            ),
        ),
        Phase(
            "$W_2^2$: unaware, stopped at time $s$",
            TIME,
            Axis(r"noise over variance, $\sigma^2/\lambda$", 0.05, 10.0, log=True),
            cell,
        ),
    ),
    columns=2,
    cells=24,
    quick=8,
    claims=("early_stopping",),
)
