r"""What a claim is, and how it is decided.

A claim says that a student is nearer to the clean law than its teacher, for a stated
metric, teacher, student and objective. With $\Delta = D(student) - D(teacher)$, known up to a numerical
error, and $\delta$ one per cent of $D(teacher)$:

- HOLDS if $\Delta < -\delta$ for certain;
- FAILS if $\Delta > -\delta$ for certain, so that a tie is no improvement;
- UNDECIDED otherwise, and where the computed values contradict their closed form.
"""

from __future__ import annotations

__all__ = ["Check", "Claim", "Control", "Decision", "Evidence", "Trial", "Verdict", "decide"]

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

SMALLEST_GAIN = 0.01  # relative to the teacher's distance
TOLERANCE = 1e-6  # of a computed value against its closed form, relative to the larger of it and 1


class Verdict(StrEnum):
    """The answer to a claim."""

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True)
class Check:
    """A number that was computed, beside what theory says it is."""

    name: str
    computed: float
    closed: float

    @property
    def error(self) -> float:
        """The absolute difference; zero where both are the same infinity."""
        return 0.0 if self.computed == self.closed else abs(self.computed - self.closed)

    @property
    def agrees(self) -> bool:
        """Whether the two are equal up to the error of the computation. Never, for a NaN."""
        return self.error <= TOLERANCE * max(1.0, abs(self.closed) if math.isfinite(self.closed) else 1.0)


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
class Control:
    """The same claim with one hypothesis changed, which must change the verdict."""

    change: str
    evidence: Callable[[], Evidence]
    expects: Verdict


@dataclass(frozen=True)
class Claim:
    """A statement with the computation that decides it.

    Args:
        statement: One sentence, with metric, teacher, student and objective.
        metric: The distance to the clean law.
        mechanism: Why the student can differ from its teacher: a restricted `family`, `awareness`
            of the corruption, the teacher's `sampler`, or `none`.
        evidence: Computes the numbers.
        expects: The verdict that theory gives.
        control: A hypothesis dropped.
    """

    statement: str
    metric: str
    mechanism: str
    evidence: Callable[[], Evidence]
    expects: Verdict
    control: Control


@dataclass(frozen=True)
class Trial:
    """Evidence with its verdict, and the verdict that was expected."""

    evidence: Evidence
    verdict: Verdict
    expects: Verdict

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one expected."""
        return self.verdict == self.expects


@dataclass(frozen=True)
class Decision:
    """A claim, decided, and its control."""

    name: str
    claim: Claim
    trial: Trial
    control: Trial

    @property
    def as_expected(self) -> bool:
        """Whether claim and control came out as expected."""
        return self.trial.as_expected and self.control.as_expected


def verdict(evidence: Evidence) -> Verdict:
    """HOLDS, FAILS or UNDECIDED, by the rule of this module."""
    if not all(check.agrees for check in evidence.checks):
        return Verdict.UNDECIDED
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


def decide(name: str, claim: Claim) -> Decision:
    """Computes the evidence of a claim and of its control, and decides both."""

    def attempt(evidence: Callable[[], Evidence], expects: Verdict) -> Trial:
        found = evidence()
        return Trial(found, verdict(found), expects)

    control = claim.control
    return Decision(
        name,
        claim,
        attempt(claim.evidence, claim.expects),
        attempt(control.evidence, control.expects),
    )
