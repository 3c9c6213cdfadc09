r"""One aware component for two close modes is nearer than the sampler of y's law when there is much noise.

The student loses the modes, once, while the teacher has the noise in both. An unaware student has the noise
as well, and gains nothing.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.estimates import repeated, w2_line
from theory.line import OBJECTIVES, student_variance
from theory.quadrature import normal, pair, w2_squared, w2_transport
from theory.stationary import stationary

M, S2, NOISE = 1.0, 1.0, 1.0


def evidence(aware: bool) -> Evidence:
    """Reverse KL under d tau, where the student's mean is that of its teacher."""
    clean, teacher = pair(M, S2), pair(M, S2 + NOISE)
    added = NOISE if aware else 0.0
    found = [student_variance("reverse KL, dtau", teacher, low, 20.0, aware=added) for low in (0.1, 0.07)]
    root = stationary(OBJECTIVES["reverse KL, dtau"], 0.0, found[0] + added, teacher, rtol=1e-7).value - added
    near = repeated([w2_squared(normal(0.0, v), clean) for v in found])
    return Evidence(
        Check.of("teacher", w2_line(teacher, clean), w2_transport(teacher, clean)),
        Check.of("student", near, w2_transport(normal(0.0, root), clean)),
    )


CLAIM = Claim(
    statement="Two close modes and much noise, sampler of y's law: one aware component is nearer.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(aware=True),
    expects=Verdict.HOLDS,
    control=Control("an unaware component", lambda: evidence(aware=False), Verdict.FAILS),
    source=OURS,
    setting="modes at -1 and 1, s = sigma = 1",
)
