r"""Over an exponential family that holds the clean law, forward KL always improves KL(. || clean).

The projection $S = \arg\min_{Q \in F} KL(T \| Q)$ matches moments, and
$KL(T \| p_X) = KL(T \| S) + KL(S \| p_X)$ (Csiszar, 1975, https://doi.org/10.1214/aop/1176996454).
Mixtures over a fixed dictionary are no exponential family.
"""

from __future__ import annotations

import numpy as np

from theory.claim import Check, Claim, Control, Evidence, Verdict
from theory.estimates import kl_line, repeated
from theory.line import student_variance
from theory.quadrature import Mixture, kl, kl_adaptive, minimum, normal, pair

CLEAN = normal(0.0, 1.0)
TEACHER = Mixture((0.6, 0.3, 0.1), (0.1, 1.5, -3.0), (0.9, 1.2, 1.0))
FAR, BETWEEN = 6.0, 3.2


def evidence() -> Evidence:
    """Normal laws; the equation of Pythagoras is the closed form of the teacher's distance."""
    mean, variance = TEACHER.moments
    student = normal(mean, student_variance("forward KL", TEACHER, 0.2, 20.0, mean=mean))
    near = kl_line(student, CLEAN)
    steps = (TEACHER, student), (student, CLEAN)
    return Evidence(
        Check.of("teacher", kl_line(TEACHER, CLEAN), sum(kl_adaptive(*step) for step in steps)),
        Check.of("student", near, 0.5 * (variance - 1 - np.log(variance) + mean**2)),
        (Check("variance", student.moments[1], variance),),
    )


def evidence_dictionary() -> Evidence:
    """A dictionary of the clean law and one far away, for a teacher between the two."""
    teacher = normal(BETWEEN, 1.0)

    def student(odds: float) -> Mixture:
        return Mixture((1 / (1 + odds), odds / (1 + odds)), (0.0, FAR), (1.0, 1.0))

    best, again = (
        student(minimum(lambda odds: kl(teacher, student(odds)), low, 1e3)) for low in (1e-3, 2e-3)
    )
    return Evidence(
        Check.of("teacher", kl_line(teacher, CLEAN), 0.5 * BETWEEN**2),
        Check.of("student", repeated([kl(law, CLEAN) for law in (best, again)]), kl_adaptive(best, CLEAN)),
        (Check("divergence", kl(pair(1.0, 1.0), CLEAN), kl_adaptive(pair(1.0, 1.0), CLEAN)),),
    )


CLAIM = Claim(
    statement="An exponential family with the clean law, forward KL, any teacher: the student is nearer.",
    metric="KL(. || clean)",
    mechanism="family",
    evidence=evidence,
    expects=Verdict.HOLDS,
    control=Control("mixtures over a dictionary", evidence_dictionary, Verdict.FAILS),
    source="Csiszar 1975, doi 10.1214/aop/1176996454",
    setting="normal laws; the teacher is a mixture of three",
)
