r"""A ring of eight modes and fewer components, aware: the noise against the radius, by bounds of W2.

A cell is undecided where the bounds of the two distances overlap. As a rule of thumb the student helps where
the modes that a component stands for are within $\sqrt{s^2+\sigma^2} - s$ of their mean, root mean square.
"""

from __future__ import annotations

from functools import cache, partial
from math import pi

import numpy as np

from theory.claim import Verdict
from theory.claims.ring import MODES, S, merged
from theory.panels import Axis, Curve, Phase, bracketed
from theory.plane import ring, student, w2_bounds
from theory.plots import Diagram

S2 = S**2
COUNTS = (1, 2, 4)


@cache
def far(radius: float, sigma: float) -> tuple[float, float]:
    """Bounds of the teacher's distance."""
    return w2_bounds(ring(MODES, radius, S2 + sigma**2), ring(MODES, radius, S2))


def cell(count: int, radius: float, sigma: float) -> Verdict:
    """From starts that cover groups of modes, and from ones that take single modes."""
    clean, teacher = ring(MODES, radius, S2), ring(MODES, radius, S2 + sigma**2)
    spread = merged(count)
    starts = [
        ring(count, 0.98 * radius * (1 - spread**2) ** 0.5 + 0.01, S2 + (spread * radius) ** 2 / 2, turn)
        for turn in (0.0, pi / MODES)
    ]
    starts += [ring(count, 0.97 * radius, S2), ring(count, 0.97 * radius, S2, 0.1)]
    found = student(teacher, starts, aware=sigma**2)
    return bracketed(far(radius, sigma), w2_bounds(found, clean))


RADIUS = Axis("radius of the ring, modes of $s=0.3$", 0.2, 3.0)
NOISE = Axis(r"noise $\sigma$", 0.0, 2.0)


def rule(count: int) -> Curve:
    """The rule of thumb."""
    sigma = NOISE.curve
    return Curve("rule of thumb", (np.sqrt(S2 + sigma**2) - S) / merged(count), sigma, "--")


DIAGRAM = Diagram(
    tuple(
        Phase(
            f"$W_2^2$: aware, {count} component{'s' if count > 1 else ''}",
            RADIUS,
            NOISE,
            partial(cell, count),
            (rule(count),),
        )
        for count in COUNTS
    ),
    columns=3,
    cells=9,
    quick=2,
    claims=("ring", "ring_one_component", "ring_two_components"),
)
