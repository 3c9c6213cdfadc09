r"""For a normal clean law, the normal student with the teacher's moments is never farther than the teacher.

$W_2$ of two laws is at least that of the normal laws with their moments, with equality where one is an
affine image of the other (Gelbrich, 1990, https://doi.org/10.1002/mana.19901470121). So a gain in W2 needs no
mode seeking.
"""

from __future__ import annotations

from theory.claim import Check, Claim, Control, Evidence, Verdict
from theory.estimates import w2_line
from theory.line import student_variance
from theory.quadrature import Mixture, normal, pair, w2_squared, w2_transport

NORMAL_CLEAN = normal(0.3, 0.5)
TEACHER = Mixture((0.5, 0.5), (-0.9, 1.2), (0.5, 0.3))


def evidence(clean: Mixture, teacher: Mixture) -> Evidence:
    """The normal student by forward KL against its teacher."""
    mean, variance = teacher.moments
    found = student_variance("forward KL", teacher, 0.1, 50.0, mean=mean)
    matched = normal(mean, variance)
    affine = normal(2.0, 3.0)  # of the normal clean law: equality
    frechet = (affine.moments[0] - 0.3) ** 2 + (3.0**0.5 - 0.5**0.5) ** 2
    return Evidence(
        Check.of("teacher", w2_line(teacher, clean), w2_transport(teacher, clean)),
        Check.of("student", w2_line(normal(mean, found), clean), w2_transport(matched, clean)),
        (Check("affine image", w2_squared(affine, NORMAL_CLEAN), frechet),),
    )


CLAIM = Claim(
    statement="A normal clean law, any teacher: the normal student with the teacher's moments is nearer.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(NORMAL_CLEAN, TEACHER),
    expects=Verdict.HOLDS,
    control=Control(
        "a clean law of two modes", lambda: evidence(pair(3.0, 1.0), pair(3.0, 1.25)), Verdict.FAILS
    ),
    source="Gelbrich 1990, doi 10.1002/mana.19901470121",
)
