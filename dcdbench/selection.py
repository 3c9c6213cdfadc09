r"""Which candidate is nearer to held-out points, and whether by more than the noise of the comparison.

The energy distance between fakes `X` and points `Y` is $2 E|X - Y| - E|X - X'| - E|Y - Y'|$ (Szekely and
Rizzo, 2013), https://doi.org/10.1016/j.jspi.2013.03.018: zero if and only if the laws are equal. Here it is
estimated without bias, so that it may come out negative. By the decomposition of Hoeffding (1948),
https://doi.org/10.1214/aoms/1177730196, the estimate is to first order a mean over points plus a mean over
fakes. Candidates that are compared with the same points, and drawn from the same random numbers, share
most of both: the differences of their terms, point by point and fake by fake, give the standard error of
the difference.
"""

from __future__ import annotations

__all__ = [
    "MOST",
    "SHARE",
    "Advantage",
    "Comparison",
    "Effort",
    "advantage",
    "compare",
    "effort",
    "fakes_for",
]

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from torch import Tensor

from dcdbench.linalg import distances_by_products

MOST = 1000  # fakes of each candidate, and points that they are compared with
FEWEST = 100  # fakes of each candidate: with fewer, only great differences exceed the noise
LEAST = 2  # candidates: the last one, and another that may turn out nearer
SHARE = 0.08  # of the operations of a training, that the comparison of its candidates may take
PAIR = 300.0  # operations of large matrix products that take about as long as one distance of a few entries


def fakes_for(points: int) -> int:
    """The most fakes of each candidate that are compared with so many held-out points."""
    return min(MOST, max(FEWEST, 2 * points))


@dataclass(frozen=True)
class Effort:
    """How much the comparison of a training's candidates takes.

    Args:
        candidates: How many there are.
        fakes: Of each candidate.
        points: That the fakes are compared with.
        flops: Floating-point operations of sampling and comparing all candidates.
    """

    candidates: int
    fakes: int
    points: int
    flops: float


def effort(training: float, fake: float, held_out: int, entries: int, most: int) -> Effort:
    """The most fakes that take at most a `SHARE` of the operations of a training.

    Where 100 fakes of each candidate take more, there are fewer candidates, but two at least: the shortest
    trainings exceed the share.

    Args:
        training: Operations of the training; 0 if it has no products, which limits nothing.
        fake: Operations of sampling one fake.
        held_out: Points that there are.
        entries: Entries of a point.
        most: The most candidates, >= 1.
    """

    def of(candidates: int, fakes: int) -> Effort:
        points = min(held_out, MOST, fakes)
        pairs = fakes * fakes + fakes * points + points * points
        return Effort(candidates, fakes, points, candidates * (fakes * fake + pairs * (PAIR + 3 * entries)))

    bound = SHARE * training if training > 0 else math.inf
    least = of(1, FEWEST)
    candidates = most if most * least.flops <= bound else int(min(most, max(LEAST, bound // least.flops)))
    fakes = range(FEWEST, fakes_for(held_out) + 1)
    affordable = bisect_right(fakes, bound, key=lambda n: of(candidates, n).flops)
    return of(candidates, fakes[max(0, affordable - 1)])


@dataclass(frozen=True)
class Comparison:
    """How the fakes of one candidate compare with held-out points.

    Args:
        distance: The energy distance, estimated without bias, in the unit of the points.
        points: The mean distance of each point to the fakes, `(m,)`.
        fakes: The mean distance of each fake to the points, less that to the other fakes, `(n,)`.
    """

    distance: float
    points: Tensor
    fakes: Tensor


def compare(draws: Sequence[Tensor], points: Tensor) -> Comparison:
    """Compares fakes with points, `(m, d)`.

    Args:
        draws: The same fakes, `(n, d)`, corrupted afresh in each entry; terms are means over the draws.
        points: Held-out points; at least two, as there are at least two fakes.

    Raises:
        ValueError: There are fewer than two fakes or points.
    """
    n, m = len(draws[0]), len(points)
    if min(n, m) < 2:
        raise ValueError(
            f"a comparison needs at least 2 fakes and 2 points, got {n} and {m}: hold out more measurements"
        )
    between = sum(distances_by_products(x, points) for x in draws) / len(draws)
    assert isinstance(between, Tensor)
    others = sum(_others(x) for x in draws) / len(draws)
    assert isinstance(others, Tensor)
    to_points, to_fakes = between.mean(1), between.mean(0)
    value = 2 * to_points.double().mean() - others.double().mean() - _others(points).double().mean()
    return Comparison(float(value), to_fakes, to_points - others)


def _others(x: Tensor) -> Tensor:
    """The mean distance of each point of `x`, `(n, d)`, to the others, `(n,)`."""
    apart = distances_by_products(x, x)
    apart.fill_diagonal_(0.0)
    return apart.sum(1) / (len(x) - 1)


@dataclass(frozen=True)
class Advantage:
    """By how much one candidate is nearer to the points than another.

    Args:
        gain: The difference of energy distances; positive where the first is nearer.
        error: Its standard error.
        threshold: The standard errors that a gain must exceed: one-sided, at `level` over `candidates`.
    """

    gain: float
    error: float
    threshold: float

    @property
    def clear(self) -> bool:
        """Whether the gain exceeds the noise of the comparison."""
        return self.gain > self.threshold * self.error


def advantage(one: Comparison, other: Comparison, candidates: int, level: float = 0.05) -> Advantage:
    """The advantage of `one`, the nearest of several `candidates`, over the `other`.

    The level is divided by the number of candidates that `one` was chosen among (Bonferroni).
    """
    variance = sum(
        4 * float((a - b).double().var()) / len(a)
        for a, b in ((one.points, other.points), (one.fakes, other.fakes))
    )
    threshold = NormalDist().inv_cdf(1 - level / max(1, candidates))
    return Advantage(other.distance - one.distance, math.sqrt(variance), threshold)
