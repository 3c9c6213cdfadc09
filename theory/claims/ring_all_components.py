r"""As many aware components as modes are exact; unaware ones have their teacher's law, at every radius.

Reverse KL at level 0 vanishes where the student, with the noise added to it, has the law of y: components
at the modes, of variance $s^2$. Without the noise they have the variance $s^2 + \sigma^2$: a tie.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.claims.ring import MODES, S, above, again, below, fitted
from theory.plane import ring

RADIUS, SIGMA = 2.0, 0.5
CLOSE = 5e-5  # of a place or a variance by minimisation


def evidence(aware: bool) -> Evidence:
    """Bounds against what is expected; a tie by the same bound of both."""
    clean, teacher = ring(MODES, RADIUS, S**2), ring(MODES, RADIUS, S**2 + SIGMA**2)
    found = fitted(MODES, RADIUS, SIGMA, aware)
    both = [found, again(found, RADIUS, SIGMA, aware)]
    most = 2 * (sqrt(S**2 + SIGMA**2) - S) ** 2
    variance = S**2 if aware else S**2 + SIGMA**2
    places = float(((found.means[:, None] - clean.means) ** 2).sum(-1).min(0).max())
    others = (Check("variance", found.variance, variance, CLOSE), Check("places", places, 0.0, floor=CLOSE))
    if aware:
        far = below("teacher, at least", teacher, clean)
        return Evidence(far, above("student, at most", both, clean, 0.0), others)
    far = above("teacher, at most", [teacher], clean, most)
    near = replace(above("student, at most", both, clean, most), tolerance=CLOSE)
    return Evidence(far, near, others)


CLAIM = Claim(
    statement="A ring of eight modes, sampler of y's law: eight aware components are nearer.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(aware=True),
    expects=Verdict.HOLDS,
    control=Control("an unaware student", lambda: evidence(aware=False), Verdict.FAILS),
    source=OURS,
    setting="the plane, radius 2, s = .3, sigma = .5",
)
