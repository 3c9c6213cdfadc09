r"""One aware component for eight modes of a ring helps where the noise is large against the radius.

Under reverse KL at level 0 it is a round law in the middle, nearer than the teacher where the radius is small
against $\sqrt{s^2 + \sigma^2} - s$. On a large ring with little noise it lies between all modes.
"""

from __future__ import annotations

from theory.claim import OURS, Claim, Control, Verdict
from theory.claims.ring import evidence

CLAIM = Claim(
    statement="A ring of eight modes in much noise, sampler of y's law: one aware component is nearer.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(1, 1.0, 2.0, nearer=True),
    expects=Verdict.HOLDS,
    control=Control(
        "twice the radius, a quarter of the noise",
        lambda: evidence(1, 2.0, 0.5, nearer=False),
        Verdict.FAILS,
    ),
    source=OURS,
    setting="the plane, radius 1, s = .3, sigma = 2",
)
