r"""Over all noise levels down to 0 a student of low rank costs infinitely much, but for reverse KL.

As $\tau \to 0$ a direction that is dropped costs about $\tfrac12 \log(c/\tau)$ in reverse KL, $1/\tau$ in
reverse Fisher, $c/2\tau$ in forward KL and $c/\tau^2$ in forward Fisher. So, for all but the first, the
constant weight needs a lowest level above 0; other weights must vanish fast enough: like $\tau^a$ with
$a > 0$ for reverse Fisher and forward KL, with $a > 1$ for forward Fisher.
"""

from __future__ import annotations

import math
from functools import cache

import torch

from dcdbench.analytic import Gaussian
from theory.claim import OURS, Check, Control, Identity
from theory.distil import OBJECTIVES, distil
from theory.divergences.integrated import integrated
from theory.spectra import gaussian

KEPT, TEACHER = 3.0, 0.7  # its variances in the direction that is kept and in the one that is dropped
SMALL, RATIO = 1e-8, 100.0
LEAST = {"reverse KL": -1.0, "reverse Fisher": 0.0, "forward KL": 0.0, "forward Fisher": 1.0}  # powers of tau
BESIDE, BOUND = 0.2, 100.0


@cache
def laws(rank: int) -> tuple[Gaussian, Gaussian]:
    """The student of a rank, by minimisation, and its teacher."""
    teacher = gaussian([KEPT, TEACHER])
    return distil(teacher, rank), teacher


def cost(name: str, rank: int, tau: float) -> float:
    """The loss at one level."""
    noise = tau * torch.eye(2, dtype=torch.float64)
    s, c = ((law.cov + noise)[None] for law in laws(rank))
    return float(OBJECTIVES[name](s, c))


def total(name: str, rank: int, power: float) -> float:
    """The objective over all levels, weighted by `tau^power exp(-tau)`."""
    return integrated(name, *laws(rank), lambda tau: tau**power * math.exp(-tau)).value


def integrability(student: int) -> list[Check]:
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


def evidence(student: int) -> tuple[Check, ...]:
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
    evidence=lambda: evidence(1),
    control=Control(
        "a student of full rank",
        lambda: evidence(2),
        breaks=("reverse KL grows by", "reverse Fisher", "forward KL", "forward Fisher", "*: infinite"),
    ),
    setting="d=2, k=1, c=0.7, tau=1e-8; weights tau^a exp(-tau)",
)
