r"""Distillation with equal weights is the probability flow, even for scores that are those of no law.

For $s(x, \tau) = -x/(c(\tau) + \tau)$ the flow ends in the variance v with
$\int_0^\infty [1/(c(\tau) + \tau) - 1/(v + \tau)] d\tau = 0$. That is the student of reverse KL under
$w = d\tau$: it neither repairs nor harms what a teacher gets wrong at some levels. Other weights do
either.
"""

from __future__ import annotations

import numpy as np

from theory.claim import OURS, Check, Control, Identity
from theory.levels import Array, Variance, Weight, flow, student

TEACHERS: dict[str, Variance] = {
    "too wide below 1": lambda tau: 1 + 0.8 * np.exp(-tau),
    "a wave": lambda tau: 1 + 0.7 * np.sin(3 * np.log1p(tau)) / (1 + tau),
    "too narrow below 1/2": lambda tau: np.where(tau < 0.5, 0.4, 1.0),
}


def decaying(tau: Array) -> Array:
    """The weight exp(-tau)."""
    return np.asarray(np.exp(-tau))


def evidence(weight: Weight) -> tuple[Check, ...]:
    """The flow, by a solver, against the student, by the root of its gradient."""
    return tuple(Check(name, flow(c), student(c, weight)) for name, c in TEACHERS.items())


CLAIM = Identity(
    statement="For linear scores, also inconsistent ones, the student of reverse KL with equal weights "
    "over noise variances is what the probability flow samples.",
    source=OURS,
    evidence=lambda: evidence(np.ones_like),
    control=Control("the weight exp(-tau)", lambda: evidence(decaying), breaks=("*",)),
    setting="one dimension, three teachers",
)
