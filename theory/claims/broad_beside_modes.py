r"""Reverse KL removes a light broad component beside two modes; a heavy one not in every metric.

The clean law is $\frac12 N(\pm 3, s^2)$, the teacher has a share $\epsilon$ of $N(0, R^2)$, and the student
is $\frac12 N(\pm a, v)$, which has no place for it. Where half of the mass is broad it widens its components:
nearer than the teacher in W2 and in KL(. || clean), whose costs of far places it saves, but farther in
KL(clean || .).
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.claims.mode_bridge import S2, SLOPE, M, slopes
from theory.estimates import kl_line, repeated
from theory.line import pair_student
from theory.quadrature import Mixture, kl, kl_adaptive, pair, w2_squared

STARTS = ((M, S2), (M / 2, M), (0.5, 2 * M**2))


def contaminated(width: float, share: float) -> Mixture:
    """The clean law with a broad component."""
    side = (1 - share) / 2
    return Mixture((side, side, share), (-M, M, 0.0), (S2**0.5, S2**0.5, width))


def evidence(width: float, share: float) -> Evidence:
    """From modes and from wide laws; the other metrics beside."""
    clean, teacher = pair(M, S2), contaminated(width, share)
    student = min((pair_student(teacher, *start) for start in STARTS), key=lambda law: kl(law, teacher))
    in_place, in_width = slopes(student, teacher)
    again = pair_student(teacher, student.means[1], 1.2 * student.stds[1] ** 2)
    near = repeated([kl(clean, law) for law in (student, again)])
    return Evidence(
        Check.of("teacher", kl_line(clean, teacher), kl_adaptive(clean, teacher)),
        Check.of("student", near, kl_adaptive(clean, student)),
        (
            Check("slope in place", in_place, 0.0, floor=SLOPE),
            Check("slope in width", in_width, 0.0, floor=SLOPE),
            Check("W2^2", w2_squared(student, clean), w2_squared(teacher, clean), relation="<="),
            Check("KL(. || clean)", kl(student, clean), kl(teacher, clean), relation="<="),
        ),
    )


CLAIM = Claim(
    statement="Two modes with a light broad component, reverse KL at level 0: the student of two components "
    "is nearer.",
    metric="KL(clean || .)",
    mechanism="family",
    evidence=lambda: evidence(10.0, 0.05),
    expects=Verdict.HOLDS,
    control=Control("half of the mass, half as broad", lambda: evidence(5.0, 0.5), Verdict.FAILS),
    source=OURS,
    setting="modes at -3 and 3, of standard deviation .5; 5 % of the mass in N(0, 100)",
)
