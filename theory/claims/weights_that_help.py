r"""Weights help where they avoid the noise levels at which the teacher's scores are wrong.

The teacher's variance is wrong below $\tau = 1/2$ and right above. Its sampler, and the student under equal
weights, mix both; a student that is compared above 1/2 alone is exact. Weights that count low levels more are
worse: under dt, which is $d\tau / 2\sqrt\tau$, $v = (\pi / I)^2$ for
$I = \int \tau^{-1/2} / (c(\tau) + \tau) d\tau$.
"""

from __future__ import annotations

from math import atan, pi

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


def under_dt() -> tuple[float, float]:
    """The student's variance under dt: by the root of its gradient over t, and by the formula."""
    from scipy.integrate import quad
    from scipy.optimize import brentq

    def pull(v: float) -> float:
        def gap(t: float) -> float:
            return float(1 / (variance(np.array(t * t)) + t * t) - 1 / (v + t * t))

        edge = BREAK**0.5
        return float(quad(gap, 0, edge, epsabs=1e-13)[0] + quad(gap, edge, np.inf, epsabs=1e-13)[0])

    root = float(brentq(pull, 0.1, 2.0, xtol=1e-12))
    below, above_it = (2 / c**0.5 * atan((BREAK / c) ** 0.5) for c in (WRONG, CLEAN))
    return root, (pi / (below + pi / CLEAN**0.5 - above_it)) ** 2


def evidence(weight: Weight, ideal: float) -> Evidence:
    """The probability flow against the student under a weight."""
    return Evidence(
        Check("teacher", w2_spectra([flow(variance)], [CLEAN]), w2_spectra([sampled()], [CLEAN])),
        Check("student", w2_spectra([student(variance, weight)], [CLEAN]), w2_spectra([ideal], [CLEAN])),
        (
            Check("variance under dt", *under_dt()),
            Check("under dt: narrower than the flow's", under_dt()[0], sampled(), 0.0, "<="),
        ),
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
