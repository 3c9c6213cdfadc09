r"""Over all noise levels down to 0 a student of low rank costs infinitely much, but for reverse KL.

As $\tau \to 0$ a direction that is dropped costs about $\tfrac12 \log(c/\tau)$ in reverse KL, $1/\tau$ in
reverse Fisher, $c/2\tau$ in forward KL and $c/\tau^2$ in forward Fisher. So, for all but the first, the
constant weight needs a lowest level above 0; other weights must vanish fast enough: like $\tau^a$ with
$a > 0$ for reverse Fisher and forward KL, with $a > 1$ for forward Fisher.
"""

from __future__ import annotations

import math

import torch

from dcdbench.analytic import Gaussian
from theory.claim import OURS, Check, Control, Identity
from theory.distil import OBJECTIVES
from theory.divergences.integrated import integrated

TEACHER = 0.7  # its variance in the direction that is dropped
SMALL, RATIO = 1e-8, 100.0
LEAST = {"reverse KL": -1.0, "reverse Fisher": 0.0, "forward KL": 0.0, "forward Fisher": 1.0}  # powers of tau
BESIDE, BOUND = 0.2, 100.0


def cost(name: str, student: float, tau: float) -> float:
    """The loss of one direction at one level."""
    s, c = (torch.full((1, 1, 1), value + tau, dtype=torch.float64) for value in (student, TEACHER))
    return float(OBJECTIVES[name](s, c))


def total(name: str, student: float, power: float) -> float:
    """The objective over all levels, weighted by `tau^power exp(-tau)`."""
    own, law = (
        Gaussian(torch.zeros(1), torch.full((1, 1), v, dtype=torch.float64)) for v in (student, TEACHER)
    )
    return integrated(name, own, law, lambda tau: tau**power * math.exp(-tau)).value


def integrability(student: float) -> list[Check]:
    """Infinite below a power of the level, and finite above it."""
    checks = []
    for name, least in LEAST.items():
        finite = total(name, student, least + BESIDE)
        checks.append(Check(f"{name}, tau^{least + BESIDE:g}: finite", finite, BOUND, 0.0, "<="))
        if least - BESIDE > -1:
            infinite = total(name, student, least - BESIDE)
            checks.append(Check(f"{name}, tau^{least - BESIDE:g}: infinite", infinite, math.inf))
        if least >= 0:
            checks.append(Check(f"{name}, w = 1: infinite", total(name, student, 0.0), math.inf))
    return checks


def evidence(student: float) -> tuple[Check, ...]:
    """The divergences, and what logarithms and powers of the level say of them and of their integrals."""
    c, low, high = TEACHER, SMALL, SMALL * RATIO
    grown = cost("reverse KL", student, low) - cost("reverse KL", student, high)
    closed = {"reverse Fisher": 1 / low, "forward KL": c / (2 * low), "forward Fisher": c / low**2}
    return (
        Check("reverse KL grows by", grown, 0.5 * math.log(RATIO), 1e-5),
        *(Check(name, cost(name, student, low) / value, 1.0, 1e-5) for name, value in closed.items()),
        *integrability(student),
    )


CLAIM = Identity(
    statement="A direction that a student lacks costs (1/2) log(c/tau), 1/tau, c/(2 tau) and c/tau^2 in "
    "reverse KL, reverse Fisher, forward KL and forward Fisher as the noise tau vanishes.",
    source=OURS,
    evidence=lambda: evidence(0.0),
    control=Control(
        "a student with some variance there",
        lambda: evidence(0.01),
        breaks=("reverse KL grows by", "reverse Fisher", "forward KL", "forward Fisher", "*: infinite"),
    ),
    setting="c=0.7, tau=1e-8; weights tau^a exp(-tau)",
)
