r"""Reverse KL removes a bridge between two modes while the bridge is thin.

The clean law is $\frac12 N(\pm 3, s^2)$, the teacher has a share $\epsilon$ of a row of narrow components
in between, and the student is $\frac12 N(\pm a, v)$, which has no place for them. At its minimum both
derivatives are 0: $E[\Delta] = E[z \Delta] = 0$ under one component, for the difference $\Delta$ of scores
(Stein's identity).
"""

from __future__ import annotations

import numpy as np

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.estimates import kl_line, repeated
from theory.line import pair_student
from theory.quadrature import Mixture, kl, kl_adaptive, normal, pair, w2_squared

M, S2 = 3.0, 0.25
ROW, NARROW = tuple(float(x) for x in np.linspace(-2.0, 2.0, 9)), 0.15
SLOPE = 1e-5  # of a minimum by values only, whose error is the root of theirs


def bridged(share: float) -> Mixture:
    """The clean law with a row of components between its modes."""
    side = (1 - share) / 2
    weights, stds = (side, side, *(share / len(ROW),) * len(ROW)), (S2**0.5,) * 2 + (NARROW,) * len(ROW)
    return Mixture(weights, (-M, M, *ROW), stds)


def slopes(student: Mixture, teacher: Mixture) -> tuple[float, float]:
    """The derivatives of the objective in place and width, by scores."""
    _, m, s = student.parts
    x, h = normal(float(m[1]), float(s[1] ** 2)).grid(0.01)
    z = (x - m[1]) / s[1]
    gap = (student.score(x) - teacher.score(x)) * np.exp(-0.5 * z**2) * h / (s[1] * np.sqrt(2 * np.pi))
    return float(gap.sum()), float((z * gap).sum())


def evidence(share: float) -> Evidence:
    """From two starts, as a wide student is a minimum also; W2 beside."""
    clean, teacher = pair(M, S2), bridged(share)
    found = [pair_student(teacher, *start) for start in ((M, S2), (M / 2, M))]
    student = min(found, key=lambda law: kl(law, teacher))
    in_place, in_width = slopes(student, teacher)
    again = pair_student(teacher, student.means[1], 1.2 * student.stds[1] ** 2)
    near = repeated([kl(clean, law) for law in (student, again)])
    return Evidence(
        Check.of("teacher", kl_line(clean, teacher), kl_adaptive(clean, teacher)),
        Check.of("student", near, kl_adaptive(clean, student)),
        (
            Check("slope in place", in_place, 0.0, floor=SLOPE),
            Check("slope in width", in_width, 0.0, floor=SLOPE),
            Check("W2^2", w2_squared(student, clean), w2_squared(teacher, clean), relation="<="),
        ),
    )


CLAIM = Claim(
    statement="Two modes with a thin bridge, reverse KL at level 0: the student of two components is nearer.",
    metric="KL(clean || .)",
    mechanism="family",
    evidence=lambda: evidence(0.05),
    expects=Verdict.HOLDS,
    control=Control("a bridge of 40 % of the mass", lambda: evidence(0.4), Verdict.FAILS),
    source=OURS,
    setting="modes at -3 and 3, of standard deviation .5; 5 % of the mass between",
)
