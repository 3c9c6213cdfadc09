r"""The null control: a student with its teacher's law, drawn apart from it, is rarely called nearer.

Each estimator of this package gives intervals for both distances, from draws that have nothing in common, and
the rule of decision is applied to their difference. The same for a student that mirrors its teacher about the
clean law, with common draws: another law at the same distance. At a level of 95 %, HOLDS comes out in at most
2.5 % of repetitions; how often it may do so in these many is the bound of a binomial law. A student that is
nearer indeed is found to be so. Without intervals about a half of the ties would be gains.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Generator

from dcdbench.analytic import Gaussian
from dcdbench.metrics.sliced_w2 import directions
from theory.claim import OURS, Check, Control, Identity, Verdict, verdict_of
from theory.divergences import Estimate, gaussian
from theory.divergences.estimate import LEVEL
from theory.divergences.kl import kl_difference, kl_monte_carlo
from theory.divergences.paired import w2_difference, w2_interval
from theory.divergences.sliced import sliced_interval, sliced_w2

CLEAN, NOISE, SHIFT = 1.0, 1.0, 0.6
SURE = 1e-3  # the probability of more than the bound
DETECTED = 0.8  # the share of repetitions in which a real gain must be seen
Interval = Callable[[Gaussian, Gaussian, Gaussian, Generator], Estimate]


def law(dim: int, variance: float, place: float = 0.0) -> Gaussian:
    """A round law on the first axis."""
    mean = torch.zeros(dim, dtype=torch.float64)
    mean[0] = place
    return Gaussian(mean, variance * torch.eye(dim, dtype=torch.float64))


def apart(distance: Callable[[Gaussian, Gaussian, Generator], Estimate]) -> Interval:
    """The difference of two intervals, each of draws of its own."""
    return lambda student, teacher, clean, rng: distance(student, clean, rng) - distance(teacher, clean, rng)


def sliced(p: Gaussian, q: Gaussian, rng: Generator) -> Estimate:
    """Along a few directions, always the same."""
    theta = directions(4, p.dim, Generator().manual_seed(0)).double()
    return sliced_interval(p, q, theta, rng, size=64)


APART: dict[str, tuple[int, int, Interval]] = {  # dimension and repetitions
    "W2 on the line": (1, 12, apart(lambda p, q, rng: w2_interval(p, q, rng, size=32))),
    "W2 in the plane": (2, 8, apart(lambda p, q, rng: w2_interval(p, q, rng, size=64))),
    "KL in five dimensions": (5, 200, apart(lambda p, q, rng: kl_monte_carlo(q, p, 400, rng))),
    "sliced W2 in five dimensions": (5, 12, apart(sliced)),
}
PAIRED: dict[str, tuple[int, int, Interval]] = {
    "W2 on the line": (1, 12, lambda s, t, x, rng: w2_difference(s, t, x, rng, size=32)),
    "KL in five dimensions": (5, 200, lambda s, t, x, rng: kl_difference(s, t, x, 400, rng)),
}


@cache
def found(name: str, student: str) -> tuple[tuple[Estimate, ...], float]:
    """Intervals of an estimator, and the true distance of the teacher."""
    dim, times, interval = (PAIRED if student == "mirror" else APART)[name]
    place = SHIFT if student == "mirror" else 0.0
    teacher, clean = law(dim, CLEAN + NOISE, place), law(dim, CLEAN)
    other = {"same": teacher, "mirror": law(dim, CLEAN + NOISE, -place), "clean": law(dim, CLEAN)}[student]
    rngs = (Generator().manual_seed(seed) for seed in range(times))
    return tuple(interval(other, teacher, clean, rng) for rng in rngs), far(name, teacher, clean)


def far(name: str, teacher: Gaussian, clean: Gaussian) -> float:
    """The teacher's distance."""
    if name.startswith("KL"):
        return gaussian.kl(clean, teacher).value
    if name.startswith("sliced"):
        return sliced_w2(teacher, clean, Generator().manual_seed(0)).value
    return gaussian.w2(teacher, clean).value


def gains(name: str, student: str, bounds: bool) -> tuple[int, int]:
    """How often HOLDS came out, by intervals or by values alone, and in how many repetitions."""
    intervals, teacher = found(name, student)
    asked = intervals if bounds else [Estimate.exact(each.value) for each in intervals]
    return sum(verdict_of(each, teacher) == Verdict.HOLDS for each in asked), len(intervals)


def most(times: int) -> int:
    """The number of errors that is hardly ever exceeded, each of half the probability beyond the level."""
    from scipy.stats import binom

    return int(binom.ppf(1 - SURE, times, (1 - LEVEL) / 2))


def evidence(bounds: bool) -> tuple[Check, ...]:
    """Ties of both kinds, and a student with the clean law."""
    checks = []
    for student, names in (("same", APART), ("mirror", PAIRED)):
        for name in names:
            count, times = gains(name, student, bounds)
            checks.append(Check(f"{student} law, {name}: HOLDS", count, most(times), 0.0, "<="))
    for name in APART:
        count, times = gains(name, "clean", bounds)
        checks.append(Check(f"clean law, {name}: HOLDS", count, DETECTED * times, 0.0, ">="))
    return tuple(checks)


CLAIM = Identity(
    statement="A student with the law of its teacher, or with its mirror image, is called nearer no more "
    "often than the level of the intervals allows, and one with the clean law is called so.",
    source=OURS,
    evidence=lambda: evidence(bounds=True),
    control=Control(
        "the difference of two values, without an interval",
        lambda: evidence(bounds=False),
        breaks=("same law, *", "mirror law, *"),
    ),
    setting="normal laws in 1, 2 and 5 dimensions, 8 to 200 repetitions, intervals of 95 %",
)
