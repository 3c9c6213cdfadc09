r"""Two aware components for eight modes of a ring are farther in little noise, and nearer in much.

Each of them stands for a half of the ring, whose modes are at the root mean square distance
$r \sqrt{1 - (4 \sin(\pi/8))^{-2}}$ from their mean. In much noise reverse KL at level 0 puts both in the
middle.
"""

from __future__ import annotations

from theory.claim import OURS, Claim, Control, Verdict
from theory.claims.ring import evidence

CLAIM = Claim(
    statement="A ring of eight modes, sampler of y's law: two aware components are nearer.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(2, 2.0, 0.5, nearer=False),
    expects=Verdict.FAILS,
    control=Control(
        "half the radius, four times the noise", lambda: evidence(2, 1.0, 2.0, nearer=True), Verdict.HOLDS
    ),
    source=OURS,
    setting="the plane, radius 2, s = .3, sigma = .5",
)
