r"""How much of a broad contamination a normal student takes over depends on the weights on noise levels.

Ordered by the variance of the student, from the least: reverse Fisher and reverse KL at level 0, reverse KL
under dt, SiD at EDM's levels, reverse KL under $d\tau$, which is reverse Fisher weighted by $\tau$, and,
far above, reverse KL at one large level and forward KL, whose variance is $1 + \epsilon(R^2 - 1)$.
"""

from __future__ import annotations

from itertools import pairwise

from theory.claim import OURS, Check, Control, Identity
from theory.line import OBJECTIVES, Levels, Objective, student_variance
from theory.quadrature import Mixture, minimum
from theory.stationary import stationary

EPSILON, R = 0.05, 10.0
RTOL = 1e-7  # of roots
NAMES = (*OBJECTIVES, "forward KL")


def ordered(epsilon: float) -> tuple[Check, ...]:
    """Each variance at most the next, and all found again by adaptive quadrature."""
    most = 10 * R**2
    teacher = Mixture((1 - epsilon, epsilon), (0.0, 0.0), (1.0, R))
    v = {name: student_variance(name, teacher, 0.5, most) for name in NAMES}
    checks = [Check(f"{low} below {high}", v[low], v[high], relation="<=") for low, high in pairwise(NAMES)]
    by_fisher = Objective(True, Levels(lambda tau: tau / 2))
    same = minimum(lambda free: by_fisher(0.0, free, teacher), 0.5, 2 * R**2)
    roots = {
        name: stationary(OBJECTIVES[name], 0.0, v[name], teacher, rtol=RTOL).value for name in OBJECTIVES
    }
    checks += [Check(name, v[name], root) for name, root in roots.items()]
    checks.append(Check("reverse Fisher by tau", same, roots["reverse KL, dtau"]))
    checks.append(Check("forward KL", v["forward KL"], 1 + epsilon * (R**2 - 1)))
    return tuple(checks)


CLAIM = Identity(
    statement="Broad contamination: the lower the levels that are weighted, the less of it a student keeps.",
    source=OURS,
    evidence=lambda: ordered(EPSILON),
    control=Control(
        "half of the mass, where level 0 prefers the broad part",
        lambda: ordered(0.5),
        breaks=(
            "reverse Fisher, tau = 0 below *",
            "reverse KL, tau = 0 below *",
            "SiD, EDM levels below *",
        ),
    ),
    setting="5 % of the mass, ten times as wide",
)
