"""A value with bounds, and the kind of its bounds.

`EXACT`: a closed form or a quadrature, with its numerical error. `BRACKET`: certain bounds. `INTERVAL`:
bounds that cover the true value with a stated probability, the bias included. `SPREAD`: those of the mean of
an estimator, which may be biased. Where no bounds are known to cover, low and high are infinite or the kind
says so, and the estimate is not `decided`.
"""

from __future__ import annotations

__all__ = ["Estimate", "Kind", "t_interval"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

LEVEL = 0.95  # of intervals


class Kind(StrEnum):
    """What bounds are good for, from the strongest to the weakest."""

    EXACT = "exact"
    BRACKET = "bracket"
    INTERVAL = "interval"
    SPREAD = "spread"


@dataclass(frozen=True)
class Estimate:
    """A value, `low <= value <= high`."""

    value: float
    low: float
    high: float
    kind: Kind

    @classmethod
    def exact(cls, value: float, error: float = 0.0) -> Estimate:
        """A computed value, up to a numerical error."""
        return cls(value, value - error, value + error, Kind.EXACT)

    @classmethod
    def bracket(cls, low: float, high: float) -> Estimate:
        """Certain bounds; the value is their middle."""
        return cls((low + high) / 2, low, high, Kind.BRACKET)

    @classmethod
    def upper(cls, bound: float) -> Estimate:
        """A bound from above of what is at least 0; the value is the bound."""
        return cls(bound, 0.0, bound, Kind.BRACKET)

    @classmethod
    def undecided(cls, value: float) -> Estimate:
        """A value of which nothing is known."""
        return cls(value, -math.inf, math.inf, Kind.INTERVAL)

    @property
    def decided(self) -> bool:
        """Whether there is a bound at all."""
        return self.kind != Kind.SPREAD and (self.low > -math.inf or self.high < math.inf)

    def covers(self, truth: float, slack: float = 0.0) -> bool:
        """Whether `truth` lies within the bounds, which everything does if there are none."""
        return self.low - slack <= truth <= self.high + slack

    def __add__(self, other: Estimate) -> Estimate:
        """The sum. Ends add, so that bounds hold, and normal intervals cover, whatever the dependence."""
        kind = self._weaker(other)
        return Estimate(self.value + other.value, self.low + other.low, self.high + other.high, kind)

    def __sub__(self, other: Estimate) -> Estimate:
        """The difference; NaN, and undecided, for two infinities."""
        kind = self._weaker(other)
        return Estimate(self.value - other.value, self.low - other.high, self.high - other.low, kind)

    def _weaker(self, other: Estimate) -> Kind:
        order = list(Kind)
        return max(self.kind, other.kind, key=order.index)


def t_interval(values: Sequence[float], margin: float = 0.0, level: float = LEVEL) -> Estimate:
    """Student's interval for the mean of independent values, widened by `margin` for a bias."""
    from scipy.stats import t

    n = len(values)
    if n < 2:
        raise ValueError(f"an interval needs at least 2 independent values, got {n}")
    mean = float(np.mean(values))
    half = float(t.ppf((1 + level) / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n)) + margin
    return Estimate(mean, mean - half, mean + half, Kind.INTERVAL)
