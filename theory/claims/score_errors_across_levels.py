r"""Distillation averages errors of the score that are independent across noise levels, and no others.

Let $s(x, \tau) = -x/(c + \delta(\tau) + \tau)$ with errors of variance density $\nu(\tau)$, uncorrelated
between levels. To first order the student of reverse KL under w is off by
$\int w\delta/(c+\tau)^2 / \int w/(c+\tau)^2$, of variance $1/\int\nu^{-1}$ at best, for
$w \propto (c+\tau)^2/\nu$; the probability flow, which is $w = 1$, has more (Cauchy-Schwarz). An error
that is common to all levels, as that of a covariance from finitely many samples, no weight removes.
"""

from __future__ import annotations

import numpy as np

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.levels import Array

CLEAN, SMALL = 1.0, 1e-4
LEVELS, DRAWS = 60, 20_000
ACCURACY = 0.05  # of a variance from so many draws, at five standard errors
TAU = np.geomspace(0.01, 100.0, LEVELS)
STEP = np.gradient(TAU)
NU = 0.2 + 2 / (1 + TAU) ** 2  # in units of SMALL^2


def errors(common: bool) -> Array:
    """Draws of errors at all levels, `(DRAWS, LEVELS)`; a density becomes a variance per step."""
    z = np.random.default_rng(0).standard_normal((DRAWS, 1 if common else LEVELS))
    z /= np.sqrt(np.square(z).mean(0))
    return np.repeat(z, LEVELS, axis=1) if common else np.asarray(z * np.sqrt(NU / STEP))


def students(delta: Array, weight: Array) -> Array:
    """The student's variance for each draw, `(DRAWS,)`: the root of its gradient, by Newton's method."""
    w = weight * STEP
    target = (w / (CLEAN + SMALL * delta + TAU)).sum(1)
    v = np.full(len(delta), CLEAN)
    for _ in range(4):
        inverse = 1 / (v[:, None] + TAU)
        v = v - (target - inverse @ w) / ((inverse**2) @ w)
    return v


def spread(delta: Array, weight: Array) -> float:
    """The mean square error of students, in units of `SMALL^2`."""
    return float(np.square((students(delta, weight) - CLEAN) / SMALL).mean())


def evidence(common: bool) -> Evidence:
    """The flow, as the student under equal weights, against that under the best weights."""
    delta, best = errors(common), (CLEAN + TAU) ** 2 / NU
    bend = STEP / (CLEAN + TAU) ** 2
    flow = 1.0 if common else float((NU * bend**2 / STEP).sum() / bend.sum() ** 2)
    least = 1.0 if common else 1 / float((STEP / NU).sum())
    return Evidence(
        Check("teacher", spread(delta, np.ones(LEVELS)), flow, ACCURACY),
        Check("student", spread(delta, best), least, ACCURACY),
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
