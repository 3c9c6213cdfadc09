r"""A normal student discards a broad contamination at low levels only: it stops where $\tau$ is near $R^2$.

At one level the variance by reverse KL grows with $\tau$, from little more than the clean one to that of
forward KL, $1 + \epsilon(R^2 - 1)$: both laws, noised, are then nearly normal, and any divergence matches
their moments.
"""

from __future__ import annotations

from itertools import pairwise

from theory.claim import OURS, Check, Control, Identity
from theory.line import Levels, Objective
from theory.quadrature import Mixture, minimum
from theory.stationary import stationary

EPSILON, R = 0.05, 10.0
LEVELS = (0.0, 1.0, 10.0, 30.0, 100.0, 1000.0)
TEACHER = Mixture((1 - EPSILON, EPSILON), (0.0, 0.0), (1.0, R))
MOMENT = EPSILON * (R**2 - 1)


def excess(tau: float) -> tuple[float, float]:
    """The student's variance above the clean one, by minimisation and as a root."""
    at = Objective(False, Levels(low=tau))
    v = minimum(lambda free: at(0.0, free, TEACHER), 0.5, 2 * R**2)
    return v - 1, stationary(at, 0.0, v, TEACHER).value - 1


def evidence(discards: tuple[float, ...]) -> tuple[Check, ...]:
    """Growth with the level, its end, and the levels at which most is discarded."""
    found = {tau: excess(tau) for tau in LEVELS}
    checks = [Check(f"tau={tau:g}", *found[tau], 1e-4) for tau in LEVELS]
    checks += [Check(f"less at {a:g}", found[a][0], found[b][0], 0, "<=") for a, b in pairwise(LEVELS)]
    checks.append(Check("moment", found[LEVELS[-1]][1] / MOMENT, 1.0, 0.01))
    return *checks, *(Check(f"discards at {tau:g}", found[tau][0], MOMENT / 2, 0, "<=") for tau in discards)


CLAIM = Identity(
    statement="Broad contamination: reverse KL at a level discards most of it below tau = R^2 alone.",
    source=OURS,
    evidence=lambda: evidence((0.0, 1.0, 10.0)),
    control=Control("a level of R^2", lambda: evidence((R**2,)), breaks=("discards at 100",)),
    setting="5 % of the mass, ten times as wide",
)
