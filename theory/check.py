"""A number that was computed, beside what theory says it is."""

from __future__ import annotations

__all__ = ["FLOOR", "TOLERANCE", "Check"]

import math
from dataclasses import dataclass
from typing import Any, Literal, Self

from theory.divergences.estimate import Estimate

TOLERANCE = 1e-6  # of a computed value against its closed form, relative to it
FLOOR = 1e-9  # the least error that is told apart from rounding


@dataclass(frozen=True)
class Check:
    """A number that was computed, beside what theory says it is.

    Args:
        name: What it is.
        computed: By minimisation, quadrature or simulation.
        closed: By a formula.
        tolerance: Of their difference, relative to `closed`.
        relation: How the computed number stands to the other: equal, or bounded by it.
        floor: Of their difference, absolute: what is allowed in any case, as where `closed` is 0.
        bound: On the error of `computed`, from the computation alone: a quadrature's error, the difference
            between minimisations, half the width of an interval; None where there is none.
    """

    name: str
    computed: float
    closed: float
    tolerance: float = TOLERANCE
    relation: Literal["=", "<=", ">="] = "="
    floor: float = FLOOR
    bound: float | None = None

    @classmethod
    def of(cls, name: str, found: Estimate, closed: float, tolerance: float = TOLERANCE, **rest: Any) -> Self:
        """A number that was computed with its bounds; further arguments are those of the class."""
        ends = found.high - found.value, found.value - found.low
        bound = 0.0 if math.isinf(found.value) else max(ends)
        return cls(name, found.value, closed, tolerance, bound=bound, **rest)

    @property
    def miss(self) -> float:
        """By how much the relation is missed; zero where both are the same infinity."""
        if self.computed == self.closed:
            return 0.0
        if math.isnan(self.computed) or math.isnan(self.closed):
            return math.nan
        return {"=": abs(self.gap), "<=": max(0.0, self.gap), ">=": max(0.0, -self.gap)}[self.relation]

    @property
    def gap(self) -> float:
        """The computed number less that of theory; zero where both are the same infinity."""
        return 0.0 if self.computed == self.closed else self.computed - self.closed

    @property
    def agrees(self) -> bool:
        """Whether the relation holds up to the error of the computation. Never, for a NaN."""
        return self.miss <= self.allowed

    @property
    def contradicts(self) -> bool:
        """Whether the relation is missed by more than is allowed and than the computation may be wrong."""
        return self.miss > self.allowed + (self.bound or 0.0)

    @property
    def allowed(self) -> float:
        """The largest error with which the relation holds."""
        return max(self.floor, self.tolerance * abs(self.closed)) if math.isfinite(self.closed) else 0.0
