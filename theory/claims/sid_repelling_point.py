r"""For $\alpha > 1$ SiD has a point beyond which a generator is pushed wider still.

In one dimension the bracket of its update, $A^2 - B^2 + (2\alpha - 1)(A - B)^2$, vanishes at $A = B$ and at
$v + \tau = \frac{\alpha}{\alpha - 1}(c + \tau)$: for $\alpha = 1.2$ at $v = 6c + 5\tau$.
"""

from __future__ import annotations

import math

import torch
from scipy.optimize import brentq

from theory.claim import OURS, Check, Control, Identity
from theory.generator import TAU, sid, velocity

C = 1.0
ALPHAS = (1.2, 1.5, 2.0)
FAR = 1e4


def pull(v: float, alpha: float) -> float:
    """The velocity of a generator of variance v, along it."""
    root = torch.tensor([[math.sqrt(v)]], dtype=torch.float64)
    return float(velocity(sid(alpha), root, torch.tensor([[C]], dtype=torch.float64)))


def turn(alpha: float) -> float:
    """The variance above the teacher's where the pull changes its sign; infinite if it never does."""
    low = 1.2 * C
    if pull(low, alpha) * pull(FAR, alpha) > 0:
        return math.inf
    return float(brentq(lambda v: pull(v, alpha), low, FAR, xtol=1e-9))


def evidence(shift: float) -> tuple[Check, ...]:
    """The turning points for alphas that are lower by `shift` than theory is told."""
    return tuple(
        Check(f"alpha={alpha:g}", turn(alpha - shift), alpha / (alpha - 1) * (C + TAU) - TAU)
        for alpha in ALPHAS
    )


CLAIM = Identity(
    statement="SiD with alpha > 1 repels generators beyond v + tau = alpha/(alpha-1) (c + tau), "
    "which is v = 6c + 5 tau for alpha = 1.2.",
    source=OURS,
    evidence=lambda: evidence(0.0),
    control=Control("alpha smaller by 0.2, so that 1.2 becomes 1", lambda: evidence(0.2), breaks=("*",)),
    setting="one dimension, c=1, tau=0.25, the distiller's own code",
)
