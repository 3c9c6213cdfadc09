r"""SiD with $\alpha = 1.2$ does not come back from every start: beyond $v = 6c + 5\tau$ it diverges.

Gradient flow of one weight, with an exact critic at every step, by Euler steps. For $c = 1$ and
$\tau = .1$ the repelling point is 6.5: a generator that starts with the variance 5 comes to 1, and one with 8
leaves.
"""

from __future__ import annotations

import math

import torch

from theory.claim import OURS, Check, Control, Identity, Verdict
from theory.generator import sid, velocity

C, LEVEL = 1.0, 0.1
SIGMA = float(torch.tensor(math.sqrt(LEVEL), dtype=torch.float32))  # as which levels are drawn
NARROW, WIDE = 5.0, 8.0  # below and above 6c + 5 tau
STEP, STEPS, FAR = 3.0, 450, 100.0


def end(start: float, alpha: float) -> float:
    """The variance that descent ends at; infinite if it leaves."""
    u = torch.tensor([[math.sqrt(start)]], dtype=torch.float64)
    c = torch.tensor([[C]], dtype=torch.float64)
    for _ in range(STEPS):
        u = u + STEP * velocity(sid(alpha, SIGMA), u, c, sigma=SIGMA)
        if float(u.square()) > FAR:
            return math.inf
    return float(u.square())


def evidence(alpha: float) -> tuple[Check, ...]:
    """Two starts, on both sides of where theory puts the repelling point."""
    assert NARROW < 6 * C + 5 * LEVEL < WIDE
    return tuple(Check(f"start at {v:g}", end(v, alpha), C, 1e-3) for v in (NARROW, WIDE))


CLAIM = Identity(
    statement="SiD with alpha = 1.2 brings generators of every width to the teacher's law.",
    source=OURS,
    evidence=lambda: evidence(1.2),
    control=Control("alpha = 1", lambda: evidence(1.0), Verdict.HOLDS),
    expects=Verdict.FAILS,
    setting="one dimension, c=1, tau=0.1, starts at 5 and 8, the distiller's own code",
    breaks=("start at 8",),
)
