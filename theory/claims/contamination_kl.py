r"""A normal student of a broadly contaminated teacher is farther in KL(clean || .), where it is nearer in W2.

$KL(p_X \| T)$ is at most $\log 1/(1-\epsilon)$ for a contaminated teacher, while that of $N(0, v)$,
$(1/v - 1 + \log v)/2$, grows with the variance that the student takes over.
"""

from __future__ import annotations

from math import log

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.estimates import kl_line, repeated
from theory.line import OBJECTIVES, student_variance
from theory.quadrature import Mixture, kl, kl_adaptive, normal, w2_squared
from theory.stationary import stationary

CLEAN = normal(0.0, 1.0)
MINIMISED = 1e-5  # a minimum tells its place to the root of the rounding of its value


def evidence(epsilon: float, width: float) -> Evidence:
    """Reverse KL under d tau; that W2 is smaller beside."""
    teacher = Mixture((1 - epsilon, epsilon), (0.0, 0.0), (1.0, width))
    v, again = (student_variance("reverse KL, dtau", teacher, low, 2 * width**2) for low in (0.5, 0.6))
    root = stationary(OBJECTIVES["reverse KL, dtau"], 0.0, v, teacher).value
    far = kl_line(CLEAN, teacher)
    near = repeated([kl(CLEAN, normal(0.0, each)) for each in (v, again)])
    return Evidence(
        Check.of("teacher", far, kl_adaptive(CLEAN, teacher)),
        Check.of("student", near, 0.5 * (1 / root - 1 + log(root)), MINIMISED),
        (
            Check("bound", far.value, -log(1 - epsilon), relation="<="),
            Check("W2^2", w2_squared(normal(0.0, v), CLEAN), w2_squared(teacher, CLEAN), relation="<="),
        ),
    )


CLAIM = Claim(
    statement="Broadly contaminated teacher, normal student, reverse KL under d tau: the student is nearer.",
    metric="KL(clean || .)",
    mechanism="family",
    evidence=lambda: evidence(0.5, 10.0),
    expects=Verdict.FAILS,
    control=Control(
        "a contamination that is light and less broad", lambda: evidence(0.05, 3.0), Verdict.HOLDS
    ),
    source=OURS,
    setting="half of the mass, ten times as wide",
)
