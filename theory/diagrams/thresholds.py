r"""Dropping a direction: what it gains in W2 over its variance, and where it helps in smoothed KL.

Students are found by minimisation. Both KL have thresholds that grow with the smoothing, from 0 to
$\sigma^2$, where that of W2 is $\sigma^2/3$.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from theory.claim import Evidence, verdict
from theory.claims.smoothed_kl import KEPT, METRICS, closed, distances, laws
from theory.distil import w2_squared
from theory.panels import Array, Axis, Curve, Phase, Point, Profile, contrast
from theory.plots import Diagram


def points(count: int) -> list[Point]:
    """The gain in W2, for each variance."""
    found = []
    for clean in VARIANCE.centres(count):
        law, teacher, student = laws(float(clean))
        far, near = w2_squared(teacher, law), w2_squared(student, law)
        found.append((float(clean), far - near, verdict(contrast((far, far), (near, near)))))
    return found


def gain(clean: Array) -> Array:
    """In closed form, for a noise of variance 1."""
    return np.asarray(clean + 1 - 2 * np.sqrt(clean * (clean + 1)))


def cell(first: bool, smoothing: float, clean: float) -> Evidence:
    """Both distances at a point; the direction that is kept costs both the same."""
    far, near = distances(clean, smoothing, first)
    kept = closed(KEPT, smoothing, first)[0]
    teacher, student = (kept + each for each in closed(clean, smoothing, first))
    return contrast((far, teacher), (near, student))


VARIANCE = Axis(r"variance dropped, $\lambda/\sigma^2$", 0.0, 1.2)
SMOOTHING = Axis(r"smoothing $\tau_e/\sigma^2$", 1e-3, 1e2, log=True)
TITLES = {
    True: r"$\mathrm{KL}(\mathrm{clean}\,\|\,\cdot)$, smoothed",
    False: r"$\mathrm{KL}(\cdot\,\|\,\mathrm{clean})$, smoothed",
}
THIRD = r"$\lambda=\sigma^2/3$"
DIAGRAM = Diagram(
    (
        Profile(
            "$W_2^2$: what dropping gains",
            VARIANCE,
            Axis(r"gain in $W_2^2$ / $\sigma^2$", -0.8, 1.0),
            points,
            (
                Curve(
                    r"$\lambda+\sigma^2-2\sqrt{\lambda(\lambda+\sigma^2)}$",
                    VARIANCE.curve,
                    gain(VARIANCE.curve),
                ),
                Curve(THIRD, np.array([1 / 3, 1 / 3]), np.array([-0.8, 1.0]), ":"),
            ),
        ),
        *(
            Phase(
                TITLES[first],
                SMOOTHING,
                VARIANCE,
                partial(cell, first),
                (Curve(f"{THIRD}, of $W_2$", SMOOTHING.curve, 0 * SMOOTHING.curve + 1 / 3, ":"),),
            )
            for first in METRICS.values()
        ),
    ),
    columns=3,
    cells=24,
    quick=6,
    claims=("noise_threshold", "smoothed_kl", "kl_infinite"),
)
