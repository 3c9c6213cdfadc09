r"""Weights help where they avoid the noise levels at which the teacher's scores are wrong.

The teacher's variance is wrong below $\tau = 1/2$ and right above. Its sampler, and the student under equal
weights, mix both; a student that is compared above 1/2 alone is exact.
"""

from __future__ import annotations

import numpy as np

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.levels import BREAK, Array, Weight, flow, student
from theory.spectra import w2_spectra

CLEAN, WRONG = 1.0, 0.4


def variance(tau: Array) -> Array:
    """That of the law whose score the teacher has at a level."""
    return np.where(tau < BREAK, WRONG, CLEAN)


def above(tau: Array) -> Array:
    """The weight that leaves out where the teacher is wrong."""
    return (tau >= BREAK).astype(float)


def sampled() -> float:
    """The flow's variance: above 1/2 it shrinks a law of variance 1, and below one of the wrong variance."""
    return (CLEAN + BREAK) * WRONG / (WRONG + BREAK)


def evidence(weight: Weight, ideal: float) -> Evidence:
    """The probability flow against the student under a weight."""
    return Evidence(
        Check("teacher", w2_spectra([flow(variance)], [CLEAN]), w2_spectra([sampled()], [CLEAN])),
        Check("student", w2_spectra([student(variance, weight)], [CLEAN]), w2_spectra([ideal], [CLEAN])),
    )


CLAIM = Claim(
    statement="Scores that are wrong at low noise alone, sampler of the probability flow: the unaware "
    "student of reverse KL at higher noise is nearer.",
    metric="W2^2",
    mechanism="sampler",
    evidence=lambda: evidence(above, CLEAN),
    expects=Verdict.HOLDS,
    control=Control("equal weights", lambda: evidence(np.ones_like, sampled()), Verdict.FAILS),
    source=OURS,
    setting="one dimension, variance 0.4 in place of 1 for tau < 0.5",
)
