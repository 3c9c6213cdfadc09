r"""A normal student of a broadly contaminated teacher is nearer in W2.

$T = (1-\epsilon) N(0,1) + \epsilon N(0,R^2)$, student $N(0, v)$: wherever $1 \le v \le 1 + \epsilon(R^2 -
1)$, the variance by forward KL, $(\sqrt v - 1)^2$ is at most the distance of the teacher by Gelbrich's
bound (1990, https://doi.org/10.1002/mana.19901470121).
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.estimates import repeated, w2_line
from theory.line import OBJECTIVES, student_variance
from theory.quadrature import Mixture, kl, minimum, normal, w2_squared, w2_transport
from theory.stationary import stationary

EPSILON, R = 0.5, 10.0
CLEAN = normal(0.0, 1.0)
OTHERS = ("SiD, EDM levels", "reverse KL, dt", "forward KL")


def contaminated(share: float) -> Mixture:
    """The clean law with a share of a broad one."""
    return Mixture((1 - share, share), (0.0, 0.0), (1.0, R))


TEACHER = contaminated(EPSILON)


def farness() -> Check:
    """The distance of the teacher."""
    return Check.of("teacher", w2_line(TEACHER, CLEAN), w2_transport(TEACHER, CLEAN))


def evidence() -> Evidence:
    """Reverse KL under d tau; the other objectives beside."""
    teacher = farness()
    largest = 1 + EPSILON * (R**2 - 1)
    v, again = (student_variance("reverse KL, dtau", TEACHER, low, 2 * R**2) for low in (0.5, 0.6))
    root = stationary(OBJECTIVES["reverse KL, dtau"], 0.0, v, TEACHER).value
    others = [Check("variance", v, largest, relation="<=")]
    for name in OTHERS:
        found = student_variance(name, TEACHER, 0.5, 2 * R**2)
        others.append(Check(name, (found**0.5 - 1) ** 2, teacher.computed, relation="<="))
    near = repeated([w2_squared(normal(0.0, each), CLEAN) for each in (v, again)])
    student = Check.of("student", near, (root**0.5 - 1) ** 2)
    return Evidence(teacher, student, tuple(others))


def evidence_full() -> Evidence:
    """A family that holds the teacher: the share of the broad law is free."""
    teacher = farness()
    shares = [minimum(lambda free: kl(contaminated(free), TEACHER), low, 0.999) for low in (1e-3, 2e-3)]
    near = repeated([w2_squared(contaminated(share), CLEAN) for share in shares])
    return Evidence(teacher, Check.of("student", near, teacher.closed))


CLAIM = Claim(
    statement="Broadly contaminated teacher, normal student, reverse KL under d tau: the student is nearer.",
    metric="W2^2",
    mechanism="family",
    evidence=evidence,
    expects=Verdict.HOLDS,
    control=Control("a family that holds the teacher's law", evidence_full, Verdict.FAILS),
    source=OURS,
    setting="half of the mass, ten times as wide",
)
