"""Learning curves: quality against the steps of a phase, from tasks whose budgets are a grid.

The variants of a task that have one batch size are a curve: at each of its points all phases were trained
from the start, with the schedule of that length. (`curves.py` has the course of one training.)
"""

from __future__ import annotations

__all__ = ["PHASES", "Line", "Panel", "Point", "flat", "panels", "steps"]

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from dcdbench.harness.board import Board, ValueInfo
from dcdbench.harness.mistakes import Mistake, SuiteError
from dcdbench.harness.plan import Plan
from dcdbench.harness.standing import Standing
from dcdbench.harness.statistics import Estimate, mean_interval
from dcdbench.harness.suite import Budget, Suite, Task

PHASES = {"teacher": "steps of the teacher (phase I)", "student": "steps of the student (phase II)"}


@dataclass(frozen=True)
class Point:
    """A method after so many steps.

    Args:
        steps: Of the phase that varies, >= 1.
        task: The variant's name.
        quality: The mean over seeds, with an interval for two seeds or more. Infinite if a seed diverged, NaN
            if there is no result.
        state: How many seeds are done, and what became of the others.
    """

    steps: int
    task: str
    quality: Estimate
    state: str

    @property
    def drawn(self) -> bool:
        """Whether there is a number to draw."""
        return math.isfinite(self.quality.mean)


@dataclass(frozen=True)
class Line:
    """The points of a method at one batch size, by steps.

    Args:
        method: Its name.
        batch: Images per step.
        points: One for each variant, those without a result too.
        marks: What a reader must know of the method, as that it was granted clean data.
    """

    method: str
    batch: int
    points: tuple[Point, ...]
    marks: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """For tables and legends."""
        marks = f" [{', '.join(self.marks)}]" if self.marks else ""
        return f"{self.method}{marks}, batch {self.batch}"


@dataclass(frozen=True)
class Panel:
    """The curves of a task for one value.

    Args:
        task: The task's name, without its grid.
        info: What the value is.
        phase: The phase whose steps vary, one of `PHASES`.
        lines: One for each method and batch size.
        floor: The value of clean data against clean data, NaN where it is not known.
    """

    task: str
    info: ValueInfo
    phase: str
    lines: tuple[Line, ...]
    floor: float


def steps(kimg: float, batch: int) -> int:
    """How many steps a training on `kimg` > 0 thousands of images takes, >= 1."""
    return math.ceil(1000 * kimg / batch)


def panels(plan: Plan, board: Board, values: Sequence[str] = ()) -> tuple[Panel, ...]:
    """A panel for each task with curves and each of its values: `values`, or its primary ones.

    Raises:
        SuiteError: No task has variants of different budgets, or those of a task are no curve: both phases
            vary at one batch size, two have equally many steps, or they differ in more than the budget.
    """
    groups = _families(plan.suite)
    phases: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for task, variants in groups.items():
        if varied := _varied(variants):
            phases[task] = varied[0]
            mistakes += _mistakes(task, variants, varied)
    if mistakes or not phases:
        raise SuiteError(plan.suite.path, mistakes or [_nothing(groups)])
    factors = {(cell.task, cell.method): cell.share.factor for cell in plan.cells}
    return tuple(
        _panel(board, task, groups[task], phase, board.values[name], factors)
        for task, phase in phases.items()
        for name in values or board.primary_of(groups[task][0].name)
    )


def flat(suite: Suite) -> list[str]:
    """The tasks that have no curve, because their budgets do not vary."""
    return [task for task, variants in _families(suite).items() if not _varied(variants)]


def _families(suite: Suite) -> dict[str, list[Task]]:
    """The variants of each task, by its name without a grid."""
    found: dict[str, list[Task]] = {}
    for name, task in suite.tasks.items():
        found.setdefault(name.partition("[")[0], []).append(task)
    return found


def _kimg(budget: Budget, phase: str) -> float:
    return budget.teacher_kimg if phase == "teacher" else budget.student_kimg


def _by_batch(variants: Iterable[Task]) -> dict[int, list[Task]]:
    groups: dict[int, list[Task]] = {}
    for task in variants:
        groups.setdefault(task.budget.batch, []).append(task)
    return dict(sorted(groups.items()))


def _varied(variants: Sequence[Task]) -> list[str]:
    """The phases whose length differs between variants of one batch size."""
    groups = _by_batch(variants).values()
    return [p for p in PHASES if any(len({_kimg(t.budget, p) for t in same}) > 1 for same in groups)]


def _mistakes(task: str, variants: Sequence[Task], varied: Sequence[str]) -> Iterator[Mistake]:
    """Why the variants of a task are no curve."""
    path, advice = f"tasks.{task}", "choose variants with -t, which takes patterns of their names"
    if len(varied) > 1:
        yield Mistake(f"{path}.budget", f"a curve varies the length of one phase: {advice}", list(varied))
    elif differ := _differ(variants):
        yield Mistake(
            path, f"the variants of a curve differ in the length of a phase alone: {advice}", differ
        )
    else:
        for batch, same in _by_batch(variants).items():
            counts = sorted(steps(_kimg(t.budget, varied[0]), batch) for t in same)
            if len({*counts}) < len(counts):
                text = f"points of a curve differ in their steps, and at batch {batch} some do not"
                yield Mistake(f"{path}.budget", text, counts)


def _differ(variants: Sequence[Task]) -> list[str]:
    """The fields in which tasks differ, beside their names and the lengths and batch sizes of trainings."""
    first, names = variants[0], [f.name for f in fields(Task) if f.name not in ("name", "budget")]
    found = [name for name in names if any(getattr(t, name) != getattr(first, name) for t in variants)]
    return found + ["budget.match"] * (len({t.budget.match for t in variants}) > 1)


def _nothing(groups: Mapping[str, object]) -> Mistake:
    text = (
        "a learning curve needs a task with a grid over its budget, as in "
        "budget: {teacher_kimg: {grid: [64, 128]}, student_kimg: 32, batch: 128}, and no task has one"
    )
    return Mistake("tasks", text, [*groups])


def _panel(
    board: Board,
    task: str,
    variants: Sequence[Task],
    phase: str,
    info: ValueInfo,
    factors: Mapping[tuple[str, str], float],
) -> Panel:
    standings = {t.name: Standing(board, t.name) for t in variants}
    lines = []
    for method in dict.fromkeys(method for s in standings.values() for method in s.names):
        for batch, same in _by_batch(variants).items():
            settings = [(standings[t.name], t.budget, factors[t.name, method]) for t in same]
            found = [_point(s, method, steps(f * _kimg(b, phase), batch), info) for s, b, f in settings]
            marks = dict.fromkeys(mark for s, *_ in settings for mark in s.marks(method))
            lines.append(Line(method, batch, tuple(sorted(found, key=lambda p: p.steps)), tuple(marks)))
    floor = {seed: x for s in standings.values() for seed, x in s.floor(info.name).items()}
    return Panel(task, info, phase, tuple(lines), mean_interval(floor.values()).mean)


def _point(s: Standing, method: str, count: int, info: ValueInfo) -> Point:
    outcomes = s.outcomes(method, info.name)
    state = s.tally(method) if outcomes or not s.done(method) else f"no {info.name}"
    return Point(count, s.task, mean_interval(outcomes.values()), state)
