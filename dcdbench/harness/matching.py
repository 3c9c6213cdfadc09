"""Budgets of equal operations: by how much the trainings of a method are made longer or shorter."""

from __future__ import annotations

__all__ = ["Matcher", "Share"]

from dataclasses import dataclass, replace
from typing import Any

from dcdbench.harness import trials
from dcdbench.harness.identity import canonical, describe
from dcdbench.harness.trials import Trial
from dcdbench.problem import Corruption
from dcdbench.protocols import Method, Setting


@dataclass(frozen=True)
class Share:
    """By how much the budget of a method is scaled.

    Args:
        factor: Of the images of each of its trainings, > 0; 1 where nothing is scaled.
        reason: Why it is not scaled though operations are to be equal; empty if it is, or they are not.
    """

    factor: float = 1.0
    reason: str = ""

    def of(self, setting: Setting) -> Setting:
        """The setting with this share of its images."""
        teacher, student = self.factor * setting.teacher_kimg, self.factor * setting.student_kimg
        return replace(setting, teacher_kimg=teacher, student_kimg=student)


class Matcher:
    """Counts the operations of trainings, one step for each kind of training, as predictions of time do.

    Counted are matrix products and convolutions of all steps: the same numbers on every machine. What a
    phase restores before its first step, and the evaluation of candidates, are not counted.
    """

    def __init__(self) -> None:
        self._trials: dict[str, Trial] = {}

    def share(
        self, method: Method, setting: Setting, reference: Method, given: Setting, shape: tuple[int, ...]
    ) -> Share:
        """The share that gives a method as many operations as the reference has.

        Args:
            method: The method.
            setting: What the task gives to it, for the images of the suite.
            reference: The method whose images are those of the suite.
            given: What the task gives to the reference.
            shape: That of one signal.
        """
        totals = []
        for who, what in ((reference, given), (method, setting)):
            if reason := who.supports(what.corruption, shape):
                return Share(reason=f"the reference cannot work on this task: {reason}")
            try:
                totals.append(self._operations(who.phases(what), what.corruption, shape))
            except _Uncounted as error:
                which = "of the reference, " if who is reference and who is not method else ""
                return Share(reason=f"{which}{error}")
        return Share(totals[0] / totals[1]) if totals[1] > 0 else Share(reason="it trains nothing")

    def _operations(self, phases: tuple[Any, ...], corruption: Corruption, shape: tuple[int, ...]) -> float:
        """Those of all trainings of a method, for their images."""
        total, before = 0.0, None
        for phase in phases:
            call = trials.forward(phase.network, shape)
            passes = self._passes(phase, before, corruption, shape)
            total += 1000 * phase.kimg * passes * call.flops
            before = phase
        return total

    def _passes(self, phase: Any, before: Any, corruption: Corruption, shape: tuple[int, ...]) -> float:
        """Network calls per image whose operations a step has."""
        if hasattr(phase, "operations"):
            raise _Uncounted(f"steps of its {phase.kind} do not count in images")
        name = canonical([trials.kind_of_training(phase), describe([phase.network, corruption, list(shape)])])
        if name not in self._trials:
            call = trials.forward(phase.network, shape)
            self._trials[name] = trials.try_step(phase, before, corruption, shape, call)
        if failed := self._trials[name].failed:
            raise _Uncounted(f"a step of its {phase.kind} could not be counted: {failed}")
        return self._trials[name].passes


class _Uncounted(Exception):
    """The operations of a training are not known before it."""
