r"""By reverse KL at level 0 the normal student of a heavily contaminated teacher can be farther in W2 too.

The objective has several minima in the variance. When half of the mass is broad the global one is that of
the broad component, above the variance $1 + \epsilon(R^2 - 1)$ by forward KL, so that Gelbrich's bound says
nothing.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.line import OBJECTIVES, student_variance
from theory.quadrature import Mixture, normal, w2_squared, w2_transport

CLEAN, R = normal(0.0, 1.0), 10.0


def evidence(epsilon: float) -> Evidence:
    """The global minimiser by a scan, beside the root of the derivative."""
    teacher = Mixture((1 - epsilon, epsilon), (0.0, 0.0), (1.0, R))
    v = student_variance("reverse KL, tau = 0", teacher, 0.5, 2 * R**2)
    root = OBJECTIVES["reverse KL, tau = 0"].stationary(0.0, v, teacher)
    return Evidence(
        Check("teacher", w2_squared(teacher, CLEAN), w2_transport(teacher, CLEAN)),
        Check("student", w2_squared(normal(0.0, v), CLEAN), (root**0.5 - 1) ** 2),
    )


CLAIM = Claim(
    statement="Broadly contaminated teacher, normal student, reverse KL at level 0: the student is nearer.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(0.5),
    expects=Verdict.FAILS,
    control=Control("5 % of contamination", lambda: evidence(0.05), Verdict.HOLDS),
    source=OURS,
    setting="half of the mass, ten times as wide",
)
