r"""The null control: of a student that is as far as its teacher, a paired test says rarely that it is nearer.

The student mirrors its teacher about the clean law: another law at the same distance. Both are compared with
the same clean draws, and the rule of decision is applied to the interval of their difference. At a level of
95 % HOLDS may come out in 2.5 % of repetitions, and in these many in no more than a binomial law allows; it
does come out at times, as it must where an interval is no wider than its level asks for, as that of W2 is by
its margin for bias. A student with the clean law is found to be nearer, and one twice as far is found not to
be, so that each verdict can be reached. Without intervals about a half of the ties would be gains.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Generator

from dcdbench.analytic import Gaussian
from theory.claim import OURS, Check, Control, Identity, Verdict, verdict_of
from theory.divergences import Estimate, gaussian
from theory.divergences.estimate import LEVEL
from theory.divergences.kl import kl_difference
from theory.divergences.paired import w2_difference

CLEAN, NOISE, SHIFT = 1.0, 1.0, 0.6
SURE = 1e-3  # the probability of more than the bound
DETECTED = 0.8  # the share of repetitions in which a difference must be seen
W2, KL = "W2 on the line", "KL in five dimensions"
DIMENSIONS = {W2: 1, KL: 5}
TIES, OTHERS = {W2: 16, KL: 1000}, {W2: 6, KL: 20}  # repetitions
DRAWS = {W2: 32, KL: 100}
STUDENTS = {"mirror": (CLEAN + NOISE, -SHIFT), "clean": (CLEAN, 0.0), "farther": (CLEAN + NOISE, 2 * SHIFT)}


def law(dim: int, variance: float, place: float = 0.0) -> Gaussian:
    """A round law on the first axis."""
    mean = torch.zeros(dim, dtype=torch.float64)
    mean[0] = place
    return Gaussian(mean, variance * torch.eye(dim, dtype=torch.float64))


DISTANCES: dict[str, Callable[[Gaussian, Gaussian], Estimate]] = {  # from the clean law
    W2: gaussian.w2,
    KL: gaussian.kl,
}
PAIRED: dict[str, Callable[[Gaussian, Gaussian, Gaussian, Generator], Estimate]] = {
    W2: lambda s, t, x, rng: w2_difference(s, t, x, rng, size=DRAWS[W2]),
    KL: lambda s, t, x, rng: kl_difference(s, t, x, DRAWS[KL], rng),
}


@cache
def found(name: str, student: str) -> tuple[tuple[Estimate, ...], float]:
    """Intervals of an estimator, and the true distance of the teacher."""
    dim, times = DIMENSIONS[name], (TIES if student == "mirror" else OTHERS)[name]
    teacher, clean = law(dim, CLEAN + NOISE, SHIFT), law(dim, CLEAN)
    other, rng = law(dim, *STUDENTS[student]), Generator().manual_seed(0)
    intervals = tuple(PAIRED[name](other, teacher, clean, rng) for _ in range(times))
    return intervals, DISTANCES[name](clean, teacher).value


def count(name: str, student: str, wanted: Verdict, bounds: bool) -> tuple[int, int]:
    """How often a verdict came out, by intervals or by values alone, and in how many repetitions."""
    intervals, teacher = found(name, student)
    asked = intervals if bounds else [Estimate.exact(each.value) for each in intervals]
    return sum(verdict_of(each, teacher) == wanted for each in asked), len(intervals)


def most(times: int) -> int:
    """The number of errors that is hardly ever exceeded, each of half the probability beyond the level."""
    from scipy.stats import binom

    return int(binom.ppf(1 - SURE, times, (1 - LEVEL) / 2))


def evidence(bounds: bool) -> tuple[Check, ...]:
    """Ties, a student with the clean law, and one that is farther."""
    checks = []
    for name in PAIRED:
        held, times = count(name, "mirror", Verdict.HOLDS, bounds)
        checks.append(Check(f"mirror law, {name}: HOLDS", held, most(times), 0.0, "<="))
        for student, wanted in (("clean", Verdict.HOLDS), ("farther", Verdict.FAILS)):
            seen, others = count(name, student, wanted, bounds)
            checks.append(Check(f"{student} law, {name}: {wanted}", seen, DETECTED * others, 0.0, ">="))
    held, _ = count(KL, "mirror", Verdict.HOLDS, bounds)
    return *checks, Check(f"mirror law, {KL}: HOLDS at times", held, 1, 0.0, ">=")


CLAIM = Identity(
    statement="A student that is as far as its teacher is called nearer no more often than the level of a "
    "paired test allows, one with the clean law is called nearer, and one that is farther is not.",
    source=OURS,
    evidence=lambda: evidence(bounds=True),
    control=Control(
        "the difference of two values, without an interval",
        lambda: evidence(bounds=False),
        breaks=("mirror law, *: HOLDS",),
    ),
    setting="normal laws on the line and in 5 dimensions, 16 and 1000 repetitions, intervals of 95 %",
)
