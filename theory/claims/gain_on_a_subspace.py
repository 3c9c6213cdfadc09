r"""Whatever the law on an r-dimensional subspace, the unaware student on one gains $(d-r)\sigma^2$ in W2^2.

The student is the law of $P_E y$, and $W_2^2$ splits over E and across: no plan costs less than the best ones
on both, and as noise across is independent their product is a plan. On E both laws are the same.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.line import pair_student
from theory.quadrature import normal, pair, w2_squared, w2_transport
from theory.spectra import w2_gain

M, S2, NOISE = 1.5, 0.3, 0.5
D, R = 4, 1


def evidence(across: float) -> Evidence:
    """Two modes on a line, and a variance across it, which the student leaves out."""
    clean, teacher = pair(M, S2), pair(M, S2 + NOISE)
    student = pair_student(teacher, 0.8 * M, S2)
    rest, noisy = normal(0.0, across), normal(0.0, across + NOISE)
    far = w2_squared(teacher, clean) + (D - R) * w2_squared(noisy, rest)
    near = w2_squared(student, clean) + (D - R) * w2_squared(normal(0.0, 0.0), rest)
    on_line = w2_transport(teacher, clean)
    gain = w2_gain(across, NOISE)
    return Evidence(
        Check("teacher", far, on_line + (D - R) * w2_transport(noisy, rest)),
        Check("student", near, on_line + (D - R) * across),
        (Check("gain", far - near, (D - R) * gain),),
    )


CLAIM = Claim(
    statement="Any law on a subspace, sampler of y's law: the unaware student on one is nearer, by "
    "(d - r) sigma^2.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(0.0),
    expects=Verdict.HOLDS,
    control=Control("a clean law that fills the space", lambda: evidence(0.3), Verdict.FAILS),
    source=OURS,
    setting="d=4, two modes on a line, sigma^2=.5",
)
