r"""What a claim is, and how it is decided.

A `Claim` says that a student is nearer to the clean law than its teacher, for a stated
metric, teacher, student and objective. With $\Delta = D(student) - D(teacher)$, known up to a numerical
error, and $\delta$ one per cent of $D(teacher)$:

- HOLDS if $\Delta < -\delta$ for certain;
- FAILS if $\Delta > -\delta$ for certain, so that a tie is no improvement, and where a computed value
  contradicts what the claim says it is, by more than the computation may be wrong;
- UNDECIDED otherwise.

Where the difference is known by samples or by bounds, its interval decides by the same rule: see
`theory.decide`.

An `Identity` says that numbers are what a formula gives, or are bounded by it:

- HOLDS if all of them agree;
- FAILS if one does not, by more than its computation may be wrong;
- UNDECIDED otherwise, and where one is not a number.

A claim comes out as expected if its verdict is the one that theory gives, and if the numbers that differ from
theory are exactly those that are said to: a verdict of FAILS for another reason is a surprise.
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
    "verdict_of",
]

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from theory.check import FLOOR, Check
from theory.divergences.estimate import Estimate

SMALLEST_GAIN = 0.01  # relative to the teacher's distance

DSD = "DSD, arXiv 2503.07578"
DCD = "DCD, arXiv 2505.13377"
OURS = "ours"


class Verdict(StrEnum):
    """The answer to a claim."""

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True)
class Evidence:
    """Distances to the clean law, and whatever else the claim asserts in numbers.

    Args:
        teacher: The distance of the teacher.
        student: The distance of the student.
        others: Further numbers.
        interval: Of the student's distance less the teacher's, where only bounds or samples tell it.
    """

    teacher: Check
    student: Check
    others: tuple[Check, ...] = ()
    interval: Estimate | None = None

    @property
    def checks(self) -> tuple[Check, ...]:
        """All of them."""
        return (self.teacher, self.student, *self.others)

    @property
    def difference(self) -> float:
        """The student's distance minus the teacher's, as computed: below zero is better."""
        if self.interval:
            return self.interval.value
        both_infinite = self.student.computed == self.teacher.computed == math.inf
        return math.nan if both_infinite else self.student.computed - self.teacher.computed

    @property
    def error(self) -> float:
        """A bound on the error of `difference`: its interval, or those of both distances; NaN without any."""
        if self.interval:
            return max(self.interval.high - self.interval.value, self.interval.value - self.interval.low)
        bounds = self.teacher.bound, self.student.bound
        return math.fsum(math.nan if bound is None else bound for bound in bounds)


@dataclass(frozen=True)
class Equalities:
    """The numbers of an identity."""

    checks: tuple[Check, ...]

    @property
    def worst(self) -> Check:
        """The number that is farthest from theory, by what is allowed; one that is false, if any is."""

        def excess(check: Check) -> float:
            share = check.miss / (check.allowed or FLOOR)
            return math.inf if math.isnan(share) else share

        return max(self.checks, key=excess)


Found_co = TypeVar("Found_co", Evidence, tuple[Check, ...], covariant=True)


@dataclass(frozen=True)
class Control(Generic[Found_co]):
    """The same claim with one hypothesis changed, which must change the verdict.

    Args:
        change: What is changed.
        evidence: Computes the numbers.
        expects: The verdict that theory gives.
        breaks: The numbers that must differ from theory, by name; `*` stands for any text.
    """

    change: str
    evidence: Callable[[], Found_co]
    expects: Verdict = Verdict.FAILS
    breaks: tuple[str, ...] = ()


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
        source: Whose theorem it is: a reference, or `OURS`, for what the argument in its file proves.
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
        source: Whose theorem it is: a reference, or `OURS`, for what the argument in its file proves.
        evidence: Computes the numbers.
        control: A hypothesis dropped, after which an equation is false.
        expects: The verdict that theory gives: FAILS, for what is said but false.
        setting: The numbers that the evidence is for, where the statement is more general.
        breaks: The numbers that must differ from what is said, by name; `*` stands for any text.
    """

    statement: str
    source: str
    evidence: Callable[[], tuple[Check, ...]]
    control: Control[tuple[Check, ...]]
    expects: Verdict = Verdict.HOLDS
    setting: str = ""
    breaks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """Evidence with its verdict, and what was expected: a verdict, and which numbers differ from theory."""

    evidence: Evidence | Equalities
    verdict: Verdict
    expects: Verdict
    breaks: tuple[str, ...] = ()

    @property
    def surprises(self) -> tuple[str, ...]:
        """The names of numbers that should agree and do not, or should not and do; and of missing ones."""
        checks = self.evidence.checks
        wrong = [check.name for check in checks if check.agrees is self.must_differ(check)]
        return *wrong, *(each for each in self.breaks if not any(_like(check, each) for check in checks))

    def must_differ(self, check: Check) -> bool:
        """Whether a number is one that has to differ from theory."""
        return any(_like(check, each) for each in self.breaks)

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one expected, and for no other reason."""
        return self.verdict == self.expects and not self.surprises


def _like(check: Check, pattern: str) -> bool:
    parts = map(re.escape, pattern.split("*"))
    return re.fullmatch(".*".join(parts), check.name) is not None


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
    if any(math.isnan(check.miss) for check in evidence.checks):
        return Verdict.UNDECIDED
    if any(check.contradicts for check in evidence.checks):
        return Verdict.FAILS
    if not all(check.agrees for check in evidence.checks):
        return Verdict.UNDECIDED
    if isinstance(evidence, Equalities):
        return Verdict.HOLDS
    if evidence.interval:
        return verdict_of(evidence.interval, evidence.teacher.computed)
    return _comparison(evidence)


def verdict_of(difference: Estimate, teacher: float) -> Verdict:
    """The verdict that the bounds of a difference give, for a teacher at this distance.

    Without bounds there is none, and none for the difference of two infinities.
    """
    if math.isinf(difference.value):
        return Verdict.FAILS if difference.value > 0 else Verdict.HOLDS
    least = SMALLEST_GAIN * teacher
    if difference.high < -least:
        return Verdict.HOLDS
    return Verdict.FAILS if difference.low > -least else Verdict.UNDECIDED


def _comparison(evidence: Evidence) -> Verdict:
    teacher, student = evidence.teacher.computed, evidence.student.computed
    if math.isinf(teacher) or math.isinf(student):
        if teacher == student:
            return Verdict.UNDECIDED
        return Verdict.HOLDS if math.isinf(teacher) else Verdict.FAILS
    error = 0.0 if math.isnan(evidence.error) else evidence.error
    return verdict_of(Estimate.exact(evidence.difference, error), teacher)


def decide(name: str, claim: Claim | Identity, *, quick: bool = False) -> Decision:
    """Computes the evidence of a claim and of its control, and decides both; if `quick`, the claim alone."""

    return Decision(name, claim, _attempt(claim), None if quick else _attempt(claim.control))


def _attempt(asked: Claim | Identity | Control[Evidence] | Control[tuple[Check, ...]]) -> Trial:
    found = asked.evidence()
    numbers = found if isinstance(found, Evidence) else Equalities(found)
    breaks = () if isinstance(asked, Claim) else asked.breaks
    return Trial(numbers, verdict(numbers), asked.expects, breaks)
