r"""One aware component for two far modes drops one of them, and is farther than its teacher.

At level 0 reverse KL keeps a single mode, exactly, at a cost of $\log 2$. Half of the mass is then a whole
distance of modes away.
"""

from __future__ import annotations

from math import log

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.estimates import repeated, w2_line
from theory.line import pair_student, single_student
from theory.quadrature import normal, pair, w2_squared, w2_transport

M, S2, NOISE = 8.0, 1.0, 0.25
SAME = 1e-6  # of objectives of one minimum, that of a single mode, from two starts
CLEAN, TEACHER = pair(M, S2), pair(M, S2 + NOISE)


def evidence(components: int) -> Evidence:
    """Aware students of one component, from both branches, or of two."""
    starts = ((0.0, M**2), (0.9 * M, 1.5 * (S2 + NOISE)), (1.1 * M, 1.2 * (S2 + NOISE)))
    branches = [single_student(TEACHER, *start, aware=NOISE) for start in starts]
    cost = min(value for _, value in branches)
    found, closed = (
        [law for law, value in branches if value < cost + SAME],
        w2_transport(normal(M, S2), CLEAN),
    )
    if components == 2:
        found = [pair_student(TEACHER, share * M, 1.5 * S2, aware=NOISE) for share in (0.9, 1.1)]
        closed = 0.0
    return Evidence(
        Check.of("teacher", w2_line(TEACHER, CLEAN), w2_transport(TEACHER, CLEAN)),
        Check.of("student", repeated([w2_squared(law, CLEAN) for law in found]), closed),
        (Check("cost of one mode", cost, log(2)),),
    )


CLAIM = Claim(
    statement="Two far modes and little noise, sampler of y's law: one aware component is nearer.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(1),
    expects=Verdict.FAILS,
    control=Control("two components", lambda: evidence(2), Verdict.HOLDS),
    source=OURS,
    setting="modes at -8 and 8, s = 1, sigma = .5",
)
