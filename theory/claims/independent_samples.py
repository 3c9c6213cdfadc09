r"""The null control: a student with its teacher's law, where both are known by samples, is never nearer.

A sample of n points errs by some $n^{-1/2}$, so that of many draws one of the student is nearer than one of
the teacher. A difference counts only beyond both errors, and these are at least as large.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy.special import ndtri

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict

CLEAN, NOISE = 1.0, 1.0
POINTS, DRAWS = 4000, 20
ACCURACY = 0.1  # of that many points


def sampled(variance: float, seed: int) -> list[float]:
    """W2^2 to the clean law of each of many samples, by sorting."""
    x = np.random.default_rng(seed).standard_normal((DRAWS, POINTS)) * sqrt(variance)
    quantiles = ndtri((np.arange(POINTS) + 0.5) / POINTS) * sqrt(CLEAN)
    return [float(each) for each in ((np.sort(x, 1) - quantiles) ** 2).mean(1)]


def evidence(variance: float) -> Evidence:
    """The farthest sample of the teacher and the nearest one of the student."""
    far, near = ((sqrt(v) - sqrt(CLEAN)) ** 2 for v in (CLEAN + NOISE, variance))
    return Evidence(
        Check("teacher", max(sampled(CLEAN + NOISE, 0)), far, ACCURACY),
        Check("student", min(sampled(variance, 1)), near, ACCURACY),
    )


CLAIM = Claim(
    statement="A student with the law of its teacher, both sampled: the luckiest of many draws is nearer.",
    metric="W2^2",
    mechanism="none",
    evidence=lambda: evidence(CLEAN + NOISE),
    expects=Verdict.UNDECIDED,
    control=Control("a student with the clean law", lambda: evidence(CLEAN), Verdict.HOLDS),
    source=OURS,
    setting="the line, 20 draws of 4000 points",
)
