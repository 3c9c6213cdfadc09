r"""For $\alpha > 1$ SiD has a point beyond which a generator is pushed wider still.

In one dimension the bracket of its update, $A^2 - B^2 + (2\alpha - 1)(A - B)^2$, vanishes at $A = B$ and at
$v + \tau = \frac{\alpha}{\alpha - 1}(c + \tau)$: for $\alpha = 1.2$ at $v = 6c + 5\tau$.
"""

from __future__ import annotations

import math

import torch
from scipy.optimize import brentq

from theory.claim import OURS, Check, Control, Identity
from theory.generator import sid, velocity

C = 1.0
ALPHAS, SIGMAS = (1.2, 1.5, 2.0), (0.25, 0.5, 1.0)
FAR = 1e4


def pull(v: float, alpha: float, sigma: float) -> float:
    """The velocity of a generator of variance v, along it."""
    root = torch.tensor([[math.sqrt(v)]], dtype=torch.float64)
    c = torch.tensor([[C]], dtype=torch.float64)
    return float(velocity(sid(alpha, sigma), root, c, sigma=sigma))


def turn(alpha: float, sigma: float) -> float:
    """The variance above the teacher's where the pull changes its sign; infinite if it never does."""
    low = 1.2 * C
    if pull(low, alpha, sigma) * pull(FAR, alpha, sigma) > 0:
        return math.inf
    return float(brentq(lambda v: pull(v, alpha, sigma), low, FAR, xtol=1e-9))


def evidence(shift: float) -> tuple[Check, ...]:
    """The turning points for alphas that are lower by `shift` than theory is told."""
    return tuple(
        Check(
            f"alpha={alpha:g}, tau={sigma**2:g}",
            turn(alpha - shift, sigma),
            alpha / (alpha - 1) * (C + sigma**2) - sigma**2,
        )
        for alpha in ALPHAS
        for sigma in SIGMAS
    )


CLAIM = Identity(
    statement="SiD with alpha > 1 repels generators beyond v + tau = alpha/(alpha-1) (c + tau), "
    "which is v = 6c + 5 tau for alpha = 1.2.",
    source=OURS,
    evidence=lambda: evidence(0.0),
    control=Control("alpha smaller by 0.2, so that 1.2 becomes 1", lambda: evidence(0.2), breaks=("*",)),
    setting="one dimension, c=1, tau=1/16, 1/4 and 1, the distiller's own code",
)
