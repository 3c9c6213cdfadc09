r"""What a claim is, and how it is decided.

A `Claim` says that a student is nearer to the clean law than its teacher, for a stated
metric, teacher, student and objective. With $\Delta = D(student) - D(teacher)$, known up to a numerical
error, and $\delta$ one per cent of $D(teacher)$:

- HOLDS if $\Delta < -\delta$ for certain;
- FAILS if $\Delta > -\delta$ for certain, so that a tie is no improvement;
- UNDECIDED otherwise, and where the computed values contradict their closed form.

An `Identity` says that numbers are what a formula gives, or are bounded by it:

- HOLDS if all of them agree;
- FAILS if one does not;
- UNDECIDED where one is not a number.
"""

from __future__ import annotations

__all__ = [
    "DCD",
    "DSD",
    "OURS",
    "Check",
    "Claim",
    "Control",
    "Decision",
    "Equalities",
    "Evidence",
    "Identity",
    "Trial",
    "Verdict",
    "decide",
    "verdict",
]

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Literal, TypeVar

SMALLEST_GAIN = 0.01  # relative to the teacher's distance
TOLERANCE = 1e-6  # of a computed value against its closed form, relative to the larger of it and 1

DSD = "DSD, arXiv 2503.07578"
DCD = "DCD, arXiv 2505.13377"
OURS = "ours"


class Verdict(StrEnum):
    """The answer to a claim."""

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True)
class Check:
    """A number that was computed, beside what theory says it is.

    Args:
        name: What it is.
        computed: By minimisation, quadrature or simulation.
        closed: By a formula.
        tolerance: Of their difference, relative to the larger of `closed` and 1.
        relation: How the computed number stands to the other: equal, or bounded by it.
    """

    name: str
    computed: float
    closed: float
    tolerance: float = TOLERANCE
    relation: Literal["=", "<=", ">="] = "="

    @property
    def error(self) -> float:
        """By how much the relation is missed; zero where both are the same infinity."""
        if self.computed == self.closed:
            return 0.0
        if math.isnan(self.computed) or math.isnan(self.closed):
            return math.nan
        excess = self.computed - self.closed
        return {"=": abs(excess), "<=": max(0.0, excess), ">=": max(0.0, -excess)}[self.relation]

    @property
    def agrees(self) -> bool:
        """Whether the relation holds up to the error of the computation. Never, for a NaN."""
        return self.error <= self.tolerance * max(
            1.0, abs(self.closed) if math.isfinite(self.closed) else 1.0
        )


@dataclass(frozen=True)
class Evidence:
    """Distances to the clean law, and whatever else the claim asserts in numbers."""

    teacher: Check
    student: Check
    others: tuple[Check, ...] = ()

    @property
    def checks(self) -> tuple[Check, ...]:
        """All of them."""
        return (self.teacher, self.student, *self.others)

    @property
    def difference(self) -> float:
        """The student's distance minus the teacher's, as computed: below zero is better."""
        both_infinite = self.student.computed == self.teacher.computed == math.inf
        return math.nan if both_infinite else self.student.computed - self.teacher.computed

    @property
    def error(self) -> float:
        """A bound on the error of `difference`: how far computation and closed form are apart."""
        return self.teacher.error + self.student.error


@dataclass(frozen=True)
class Equalities:
    """The numbers of an identity."""

    checks: tuple[Check, ...]


Found_co = TypeVar("Found_co", Evidence, tuple[Check, ...], covariant=True)


@dataclass(frozen=True)
class Control(Generic[Found_co]):
    """The same claim with one hypothesis changed, which must change the verdict."""

    change: str
    evidence: Callable[[], Found_co]
    expects: Verdict = Verdict.FAILS


@dataclass(frozen=True)
class Claim:
    """A statement with the computation that decides it.

    Args:
        statement: One sentence, with metric, teacher, student and objective.
        metric: The distance to the clean law.
        mechanism: Why the student can differ from its teacher: a restricted `family`, `awareness`
            of the corruption, the teacher's `sampler`, unfinished `optimisation`, or `none`.
        evidence: Computes the numbers.
        expects: The verdict that theory gives.
        control: A hypothesis dropped.
        source: Who states it: a reference, or `OURS`.
        setting: The numbers that the evidence is for, where the statement is more general.
    """

    statement: str
    metric: str
    mechanism: str
    evidence: Callable[[], Evidence]
    expects: Verdict
    control: Control[Evidence]
    source: str = OURS
    setting: str = ""


@dataclass(frozen=True)
class Identity:
    """Equations and bounds, with the computation that decides them.

    Args:
        statement: One sentence.
        source: Who states it: a reference, or `OURS`.
        evidence: Computes the numbers.
        control: A hypothesis dropped, after which an equation is false.
        expects: The verdict that theory gives: FAILS, for what is said but false.
        setting: The numbers that the evidence is for, where the statement is more general.
    """

    statement: str
    source: str
    evidence: Callable[[], tuple[Check, ...]]
    control: Control[tuple[Check, ...]]
    expects: Verdict = Verdict.HOLDS
    setting: str = ""


@dataclass(frozen=True)
class Trial:
    """Evidence with its verdict, and the verdict that was expected."""

    evidence: Evidence | Equalities
    verdict: Verdict
    expects: Verdict

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one expected."""
        return self.verdict == self.expects


@dataclass(frozen=True)
class Decision:
    """A claim, decided, and its control, where that was asked for."""

    name: str
    claim: Claim | Identity
    trial: Trial
    control: Trial | None

    @property
    def as_expected(self) -> bool:
        """Whether claim and control came out as expected."""
        return self.trial.as_expected and (self.control is None or self.control.as_expected)


def verdict(evidence: Evidence | Equalities) -> Verdict:
    """HOLDS, FAILS or UNDECIDED, by the rule of this module."""
    agree = all(check.agrees for check in evidence.checks)
    if isinstance(evidence, Equalities):
        if any(math.isnan(check.error) for check in evidence.checks):
            return Verdict.UNDECIDED
        return Verdict.HOLDS if agree else Verdict.FAILS
    return _comparison(evidence) if agree else Verdict.UNDECIDED


def _comparison(evidence: Evidence) -> Verdict:
    teacher, student = evidence.teacher.computed, evidence.student.computed
    if math.isinf(teacher) or math.isinf(student):
        if teacher == student:
            return Verdict.UNDECIDED
        return Verdict.HOLDS if math.isinf(teacher) else Verdict.FAILS
    low, high = evidence.difference - evidence.error, evidence.difference + evidence.error
    least = SMALLEST_GAIN * teacher
    if high < -least:
        return Verdict.HOLDS
    return Verdict.FAILS if low > -least else Verdict.UNDECIDED


def decide(name: str, claim: Claim | Identity, *, quick: bool = False) -> Decision:
    """Computes the evidence of a claim and of its control, and decides both; if `quick`, the claim alone."""

    def attempt(evidence: Callable[[], Evidence | tuple[Check, ...]], expects: Verdict) -> Trial:
        found = evidence()
        numbers = found if isinstance(found, Evidence) else Equalities(found)
        return Trial(numbers, verdict(numbers), expects)

    control = claim.control
    return Decision(
        name,
        claim,
        attempt(claim.evidence, claim.expects),
        None if quick else attempt(control.evidence, control.expects),
    )
