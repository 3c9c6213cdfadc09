r"""Verdicts by samples: draw, and draw twice as many until the interval decides.

Looking again and again would make errors likely. So round $j = 1, 2, \dots$ has an interval of level
$1 - \alpha/2^j$, of fresh draws: that any of them misses the truth has a probability of at most $\alpha$.
Where nothing is decided before the cap, the claim stays UNDECIDED.
"""

from __future__ import annotations

__all__ = ["ALPHA", "Sampled", "rounds", "sequential", "widened"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from theory.claim import Check, Verdict, verdict_of
from theory.divergences.estimate import LEVEL, Estimate, Kind

ALPHA = 0.05


@dataclass(frozen=True)
class Sampled:
    """What a sequence of intervals ended with."""

    interval: Estimate
    size: int  # of the last sample

    def covers(self, truth: float) -> tuple[Check, Check]:
        """That the interval holds the true difference, where that is known."""
        return (
            Check("interval, below", self.interval.low, truth, 0.0, "<="),
            Check("interval, above", self.interval.high, truth, 0.0, ">="),
        )


def sequential(
    interval: Callable[[int], Estimate],
    teacher: float,
    *,
    start: int,
    cap: int,
    values: int | None = None,
) -> Sampled:
    """Intervals for the difference of two distances, of samples twice as large until one decides.

    Args:
        interval: From samples of a size, at the level of `theory.divergences`.
        teacher: The distance of the teacher, to which the smallest gain is relative.
        start: The first size.
        cap: The largest one.
        values: How many independent values the mean in each interval is of; as many as the size by default.
    """
    for size, level in rounds(start, cap):
        found = widened(interval(size), values or size, level)
        if verdict_of(found, teacher) != Verdict.UNDECIDED or not found.decided:
            break
    return Sampled(found, size)


def rounds(start: int, cap: int) -> Iterator[tuple[int, float]]:
    """Sizes, each twice the one before, with the levels of their intervals."""
    if not 0 < start <= cap:
        raise ValueError(f"sizes must satisfy 0 < start <= cap, got {start} and {cap}")
    for j in count(1):
        if start * 2 ** (j - 1) > cap:
            return
        yield start * 2 ** (j - 1), 1 - ALPHA / 2**j


def widened(estimate: Estimate, values: int, level: float) -> Estimate:
    """An interval of Student's at another level; a margin for bias is scaled with it, so it never shrinks.

    Args:
        estimate: An interval at the level of `theory.divergences`; others are certain, and stay as they are.
        values: How many independent values it is the mean of, >= 2.
        level: The probability with which it is to cover, at least that of the estimate.
    """
    from scipy.stats import t

    if estimate.kind is not Kind.INTERVAL:
        return estimate
    wider, plain = (float(t.ppf((1 + each) / 2, values - 1)) for each in (level, LEVEL))
    below, above = (
        (end - estimate.value) * wider / plain if end != estimate.value else 0.0
        for end in (estimate.low, estimate.high)
    )
    return Estimate(estimate.value, estimate.value + below, estimate.value + above, estimate.kind)
