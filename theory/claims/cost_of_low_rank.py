r"""Over all noise levels down to 0 a student of low rank costs infinitely much, but for reverse KL.

As $\tau \to 0$ a direction that is dropped costs about $\tfrac12 \log(c/\tau)$ in reverse KL, $1/\tau$ in
reverse Fisher, $c/2\tau$ in forward KL and $c/\tau^2$ in forward Fisher. So, for all but the first, the
constant weight needs a lowest level above 0; other weights must vanish fast enough.
"""

from __future__ import annotations

import math

import torch

from theory.claim import OURS, Check, Control, Identity
from theory.distil import OBJECTIVES

TEACHER = 0.7  # its variance in the direction that is dropped
SMALL, RATIO = 1e-8, 100.0


def cost(name: str, student: float, tau: float) -> float:
    """The loss of one direction at one level."""
    s, c = (torch.full((1, 1, 1), value + tau, dtype=torch.float64) for value in (student, TEACHER))
    return float(OBJECTIVES[name](s, c))


def evidence(student: float) -> tuple[Check, ...]:
    """The divergences, and what logarithms and powers of the level say of them."""
    c, low, high = TEACHER, SMALL, SMALL * RATIO
    grown = cost("reverse KL", student, low) - cost("reverse KL", student, high)
    closed = {"reverse Fisher": 1 / low, "forward KL": c / (2 * low), "forward Fisher": c / low**2}
    return (
        Check("reverse KL grows by", grown, 0.5 * math.log(RATIO), 1e-5),
        *(Check(name, cost(name, student, low) / value, 1.0, 1e-5) for name, value in closed.items()),
    )


CLAIM = Identity(
    statement="A direction that a student lacks costs (1/2) log(c/tau), 1/tau, c/(2 tau) and c/tau^2 in "
    "reverse KL, reverse Fisher, forward KL and forward Fisher as the noise tau vanishes.",
    source=OURS,
    evidence=lambda: evidence(0.0),
    control=Control("a student with some variance there", lambda: evidence(0.01)),
    setting="c=0.7, tau=1e-8",
)
