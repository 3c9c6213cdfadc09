r"""An aware student of as many components as the clean mixture has is exactly the clean law.

In two dimensions, for a product of two mixtures of two modes each, four in all. Reverse KL and $W_2^2$ of
products are sums over their factors, so that the student is found, and judged, factor by factor.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.estimates import repeated, w2_line
from theory.line import pair_student
from theory.quadrature import pair, w2_squared, w2_transport

FACTORS, NOISE = ((2.0, 1.0), (2.5, 0.5)), 1.0  # places and variances of the modes


def evidence(aware: bool) -> Evidence:
    """By reverse KL at level 0, whose minimum is 0."""
    clean = [pair(m, s2) for m, s2 in FACTORS]
    teacher = [pair(m, s2 + NOISE) for m, s2 in FACTORS]
    added = NOISE if aware else 0.0
    found = []
    for share in (0.8, 1.1):
        starts = [(share * m, 1.3 * s2) for m, s2 in FACTORS]
        found.append([pair_student(t, *start, aware=added) for t, start in zip(teacher, starts, strict=True)])
    far = sum(w2_transport(t, x) for t, x in zip(teacher, clean, strict=True))
    near = repeated([sum(w2_squared(s, x) for s, x in zip(laws, clean, strict=True)) for laws in found])
    noisy = [w2_line(t, x) for t, x in zip(teacher, clean, strict=True)]
    return Evidence(
        Check.of("teacher", noisy[0] + noisy[1], far),
        Check.of("student", near, 0.0 if aware else far),
    )


CLAIM = Claim(
    statement="A mixture, sampler of y's law: the aware student of as many components has the clean law.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(aware=True),
    expects=Verdict.HOLDS,
    control=Control("an unaware student", lambda: evidence(aware=False), Verdict.FAILS),
    source=OURS,
    setting="two dimensions, four modes",
)
