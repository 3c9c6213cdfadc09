r"""Weights help where they avoid the noise levels at which the teacher's scores are wrong.

The teacher's variance is wrong below $\tau = 1/2$ and right above. Its sampler, and the student under equal
weights, mix both; a student that is compared above 1/2 alone is exact. It is
trained here, by updates along the difference of the fakes' score and the teacher's at levels that are drawn.
Weights that count low levels more are
worse: under dt, which is $d\tau / 2\sqrt\tau$, $v = (\pi / I)^2$ for
$I = \int \tau^{-1/2} / (c(\tau) + \tau) d\tau$.
"""

from __future__ import annotations

from math import atan, pi

import numpy as np

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.divergences.estimate import Estimate, t_interval
from theory.estimates import repeated
from theory.levels import BREAK, Array, Weight, flow, student
from theory.spectra import w2_spectra

CLEAN, WRONG = 1.0, 0.4
LOG_LEVELS = (-10.0, 10.0)  # of noise variances that are drawn
RUNS, STEPS, BATCH, RATE = 16, 1500, 32, 1.0  # of stochastic updates
START, DRIFT = 0.9, 1e-3  # of the generator; and what a rate that is not 0, and levels that are cut, leave


def variance(tau: Array) -> Array:
    """That of the law whose score the teacher has at a level."""
    return np.where(tau < BREAK, WRONG, CLEAN)


def above(tau: Array) -> Array:
    """The weight that leaves out where the teacher is wrong."""
    return (tau >= BREAK).astype(float)


def sampled() -> float:
    """The flow's variance: above 1/2 it shrinks a law of variance 1, and below one of the wrong variance."""
    return (CLEAN + BREAK) * WRONG / (WRONG + BREAK)


def trained(weight: Weight) -> Estimate:
    """The variance of students $G(z) = uz$ after updates at drawn levels, the mean of independent trainings.

    Each update has the mean over latents of the difference of scores times z, at levels drawn one in each of
    so many parts of their range.
    """
    rng, u, total = np.random.default_rng(0), np.full(RUNS, START), np.zeros(RUNS)
    low, high = LOG_LEVELS
    for step in range(STEPS):
        part = (np.arange(BATCH)[:, None] + rng.uniform(size=(BATCH, RUNS))) / BATCH
        tau = np.exp(low + (high - low) * part)
        gap = u / (variance(tau) + tau) - u / (u**2 + tau)  # the score of fakes less that of the teacher
        u = u - RATE * (weight(tau) * tau * gap).mean(0)
        total += u**2 * (step >= STEPS // 2)
    return t_interval((total / (STEPS - STEPS // 2)).tolist())


def distance(v: Estimate) -> Estimate:
    """W2^2 to the clean law, of a student whose variance is known by an interval."""
    ends = [w2_spectra([each], [CLEAN]) for each in (v.low, v.high)]
    value = w2_spectra([v.value], [CLEAN])
    low = 0.0 if v.low <= CLEAN <= v.high else min(ends)
    return Estimate(value, min(low, value), max(*ends, value), v.kind)


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
    """The probability flow against the student under a weight, trained and as a root of its gradient."""
    far = repeated([w2_spectra([flow(variance, rtol=rtol)], [CLEAN]) for rtol in (1e-12, 1e-10)])
    v = trained(weight)
    near = distance(v)
    spread = v.high - v.low
    return Evidence(
        Check.of("teacher", far, w2_spectra([sampled()], [CLEAN])),
        Check.of("student", near, w2_spectra([ideal], [CLEAN]), floor=near.high - near.value + DRIFT),
        (
            Check("variance of the student", v.value, ideal, 0.0, floor=spread + DRIFT),
            Check("root of the gradient", student(variance, weight), ideal),
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
