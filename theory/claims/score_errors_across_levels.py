r"""Distillation averages errors of the score that are independent across noise levels, and no others.

Let $s(x, \tau) = -x/(c + \delta(\tau) + \tau)$ with errors of variance density $\nu(\tau)$, uncorrelated
between levels, constant on cells of them. From $\tau'$ to $\tau$ within a cell the probability flow scales
$x^2$ by $(c + \delta + \tau)/(c + \delta + \tau')$. To first order the student of reverse KL under w is off
by $\int w\delta/(c+\tau)^2 / \int w/(c+\tau)^2$, of variance $1/\int\nu^{-1}$ at best, for
$w \propto (c+\tau)^2/\nu$; the probability flow, which is $w = 1$, has more (Cauchy-Schwarz). An error
that is common to all levels, as that of a covariance from finitely many samples, no weight removes.
"""

from __future__ import annotations

import numpy as np

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.divergences.estimate import Estimate, t_interval
from theory.levels import Array

CLEAN, SMALL = 1.0, 1e-4
LEVELS, DRAWS = 60, 20_000
ACCURACY = 0.05  # of a variance from so many draws, at five standard errors
ENDS = np.geomspace(0.01, 100.0, LEVELS + 1)  # of cells
TAU, STEP = np.sqrt(ENDS[1:] * ENDS[:-1]), np.diff(ENDS)
NU = 0.2 + 2 / (1 + TAU) ** 2  # in units of SMALL^2


def errors(common: bool) -> Array:
    """Draws of errors at all levels, `(DRAWS, LEVELS)`; a density becomes a variance per step."""
    z = np.random.default_rng(0).standard_normal((DRAWS, 1 if common else LEVELS))
    z /= np.sqrt(np.square(z).mean(0))
    return np.repeat(z, LEVELS, axis=1) if common else np.asarray(z * np.sqrt(NU / STEP))


def students(delta: Array, weight: Array) -> Array:
    """The student's variance for each draw, `(DRAWS,)`: the root of its gradient, by Newton's method."""
    target = _pull(CLEAN + SMALL * delta) @ weight
    v = np.full((len(delta), 1), CLEAN)
    for _ in range(4):
        bend = (1 / (v + ENDS[:-1]) - 1 / (v + ENDS[1:])) @ weight
        v = v - ((target - _pull(v) @ weight) / bend)[:, None]
    return v[:, 0]


def _pull(c: Array) -> Array:
    """The integral of `1/(c + tau)` over each cell."""
    return np.asarray(np.log((c + ENDS[1:]) / (c + ENDS[:-1])))


def sampled(delta: Array) -> Array:
    """The variance of what the probability flow makes of noise, for each draw, `(DRAWS,)`, cell by cell."""
    x2 = np.full(len(delta), CLEAN + ENDS[-1])  # above, scores are right
    for i in reversed(range(LEVELS)):
        c = CLEAN + SMALL * delta[:, i]
        x2 = x2 * (c + ENDS[i]) / (c + ENDS[i + 1])
    return x2 * CLEAN / (CLEAN + ENDS[0])  # and below


def spread(found: Array) -> Estimate:
    """The mean square error of variances, in units of `SMALL^2`, with its interval."""
    return t_interval(np.square((found - CLEAN) / SMALL).tolist())


def evidence(common: bool) -> Evidence:
    """The flow against the student under the best weights, and that under equal weights beside."""
    delta, best = errors(common), (CLEAN + TAU) ** 2 / NU
    bend = 1 / (CLEAN + ENDS[:-1]) - 1 / (CLEAN + ENDS[1:])
    inside = float(bend.sum()) ** 2 if common else float((NU * bend**2 / STEP).sum())
    mixed = best * bend
    least = 1.0 if common else float((NU * mixed**2 / STEP).sum() / mixed.sum() ** 2)
    equal = inside / float(bend.sum()) ** 2
    return Evidence(
        Check.of("teacher", spread(sampled(delta)), inside * CLEAN**4, ACCURACY),
        Check.of("student", spread(students(delta, best)), least, ACCURACY),
        (
            Check.of("equal weights", spread(students(delta, np.ones(LEVELS))), equal, ACCURACY),
            Check("best of all weights", least, 1.0 if common else 1 / float((STEP / NU).sum()), 0.02),
        ),
    )


CLAIM = Claim(
    statement="Score errors that are independent across noise levels, sampler of the probability flow: "
    "the student of reverse KL with w = (c + tau)^2/nu is nearer.",
    metric="mean (v - c)^2",
    mechanism="sampler",
    evidence=lambda: evidence(common=False),
    expects=Verdict.HOLDS,
    control=Control("one error common to all levels", lambda: evidence(common=True), Verdict.FAILS),
    source=OURS,
    setting="one dimension, small errors, in units of their square",
)
