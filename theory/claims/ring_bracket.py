r"""Bounds alone decide: a student that keeps four of eight modes is farther than the sampler of y's law.

$W_2^2$ of mixtures lies between sums of distances along the axes of a basis and the cost of plans between
components. Around a ring of radius 2 the teacher is within [.0577, .1603], the student within [.383, 1.172]:
they do not overlap, and no sample was drawn.
"""

from __future__ import annotations

from functools import cache

import torch

from dcdbench.analytic import GaussianMixture
from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.divergences import Estimate
from theory.divergences.bounds import w2_bracket
from theory.plane import Rounds, ring, w2_bounds

MODES, RADIUS, S2, NOISE = 8, 2.0, 0.09, 0.25
TEACHER, HALF = (0.0577, 0.1603), (0.383, 1.172)
PRINTED = 1e-3


def law(rounds: Rounds) -> GaussianMixture:
    """The same as a law of the benchmark."""
    k, eye = len(rounds.means), torch.eye(2, dtype=torch.float64)
    weights = torch.full((k,), 1 / k, dtype=torch.float64)
    return GaussianMixture(weights, torch.from_numpy(rounds.means), rounds.variance * eye.expand(k, 2, 2))


@cache
def bracket(count: int, variance: float) -> Estimate:
    """Of the distance between some of the modes, of a variance, and the clean law."""
    return w2_bracket(law(ring(count, RADIUS, variance)), law(ring(MODES, RADIUS, S2)))


def evidence(count: int) -> Evidence:
    """Brackets, beside those of another basis, for an aware student at so many of the modes."""
    clean = ring(MODES, RADIUS, S2)
    student, teacher = bracket(count, S2), bracket(MODES, S2 + NOISE)
    checks = [
        Check(f"{name}, {end}", found, value, PRINTED)
        for name, each, printed in (("teacher", teacher, TEACHER), ("student", student, HALF))
        if name == "teacher" or count < MODES
        for end, found, value in zip(("at least", "at most"), (each.low, each.high), printed, strict=True)
    ]
    most = [w2_bounds(ring(n, RADIUS, v), clean)[1] for n, v in ((MODES, S2 + NOISE), (count, S2))]
    return Evidence(
        Check("teacher, by plans", teacher.high, most[0]),
        Check("student, by plans", student.high, most[1]),
        tuple(checks),
        student - teacher,
    )


CLAIM = Claim(
    statement="A ring of eight modes, sampler of y's law: an aware student of four of them is nearer.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(4),
    expects=Verdict.FAILS,
    control=Control("all eight modes", lambda: evidence(MODES), Verdict.HOLDS),
    source=OURS,
    setting="the plane, radius 2, s = .3, sigma = .5, by bounds",
)
