r"""A student of one atom per mode is nearer than its teacher if $s^2 < \sigma^2/3$.

It errs by $s^2$ per dimension, and the sampler of y's law by $(\sqrt{s^2 + \sigma^2} - s)^2$: the same
threshold as for the dropped directions of a low-rank student.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.estimates import repeated, w2_line
from theory.quadrature import Mixture, kl, minimum, pair, w2_squared, w2_transport

M, NOISE = 10.0, 1.0
LEVEL = 0.5  # of tau, above 0, where atoms have no density


def student(teacher: Mixture, nodes: int = 8) -> Mixture:
    """Two atoms at the places that minimise reverse KL at one level, from a scan of so many."""
    noisy = teacher.noised(LEVEL)
    return pair(minimum(lambda a: kl(pair(a, LEVEL), noisy), M / 2, 2 * M, nodes=nodes), 0.0)


def gain(variance: float) -> float:
    """How much W2^2 falls, for modes of a variance."""
    clean, teacher = pair(M, variance), pair(M, variance + NOISE)
    return w2_squared(teacher, clean) - w2_squared(student(teacher), clean)


def evidence(variance: float) -> Evidence:
    """With the threshold beside."""
    from scipy.optimize import brentq

    clean, teacher = pair(M, variance), pair(M, variance + NOISE)
    found = [student(teacher, nodes) for nodes in (8, 11)]
    return Evidence(
        Check.of("teacher", w2_line(teacher, clean), w2_transport(teacher, clean)),
        Check.of("student", repeated([w2_squared(each, clean) for each in found]), variance),
        (Check("threshold", float(brentq(gain, 0.1, 0.8, xtol=1e-9)), NOISE / 3),),
    )


CLAIM = Claim(
    statement="Separated modes of variance below sigma^2/3, sampler of y's law: atoms are nearer.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(0.2),
    expects=Verdict.HOLDS,
    control=Control("modes of variance above sigma^2/3", lambda: evidence(0.5), Verdict.FAILS),
    source=OURS,
    setting="the line, modes at -10 and 10, sigma = 1",
)
