r"""Components of a fixed width $\rho$ help if $|\rho - s| < \sqrt{s^2 + \sigma^2} - s$.

For separated modes of standard deviation s, an unaware student with one component per mode finds the
places, and errs by $(\rho - s)^2$ per dimension, where the sampler of y's law errs by
$(\sqrt{s^2 + \sigma^2} - s)^2$.
"""

from __future__ import annotations

from math import sqrt

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.estimates import repeated, w2_line
from theory.quadrature import Mixture, kl, minimum, pair, w2_squared, w2_transport

M, S, NOISE = 10.0, 1.0, 1.0
CLEAN, TEACHER = pair(M, S**2), pair(M, S**2 + NOISE)
WIDTH = sqrt(S**2 + NOISE) - S


def student(rho: float, nodes: int = 8) -> Mixture:
    """Two components of width `rho` at the places that minimise reverse KL, from a scan of so many."""
    place = minimum(lambda a: kl(pair(a, rho**2), TEACHER), M / 2, 2 * M, nodes=nodes)
    return pair(place, rho**2)


def threshold(low: float, high: float) -> float:
    """The width in between at which the student is as far as its teacher."""
    from scipy.optimize import brentq

    bar = w2_squared(TEACHER, CLEAN)
    return float(brentq(lambda rho: w2_squared(student(rho), CLEAN) - bar, low, high, xtol=1e-9))


def evidence(rho: float) -> Evidence:
    """Both thresholds beside."""
    return Evidence(
        Check.of("teacher", w2_line(TEACHER, CLEAN), w2_transport(TEACHER, CLEAN)),
        Check.of("student", repeated([w2_squared(student(rho, n), CLEAN) for n in (8, 11)]), (rho - S) ** 2),
        (
            Check("least width", threshold(0.4 * S, S), S - WIDTH),
            Check("largest width", threshold(S, 1.8 * S), S + WIDTH),
        ),
    )


CLAIM = Claim(
    statement="Separated modes, sampler of y's law: an unaware student of about their width is nearer.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(0.7),
    expects=Verdict.HOLDS,
    control=Control("a width above the threshold", lambda: evidence(1.5), Verdict.FAILS),
    source=OURS,
    setting="the line, modes at -10 and 10, s = sigma = 1",
)
