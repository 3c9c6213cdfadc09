"""What a leaderboard is made from: the results of a suite's cells, as plain values."""

from __future__ import annotations

__all__ = ["CLEAN", "CONTROL", "FEW", "Board", "CellResult", "Claim", "Pair", "Skip", "ValueInfo"]

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

CLEAN = "clean data"  # the mark of a method that was granted all clean data, or their law
FEW = "a few clean signals"  # that of one that was granted so many, which competes in a track of its own
CONTROL = "control"  # that of a simple or closed model which the others are compared with


@dataclass(frozen=True)
class CellResult:
    """The result of one method on one task with one seed, or why there is none.

    Args:
        task: The task's name.
        method: The method's name.
        seed: The seed; the unit over which means and intervals are taken.
        status: done, diverged, failed, timeout, crashed, skipped, blocked or missing.
        reason: Why it is not done; for a diverged cell, the address that replays the step.
        scores: What the metrics gave, by value name.
        floor: The same values for clean data against clean data, at the same n.
        theory: The same values for the ideal result of theory at the same n, where known.
        cost: `nfe`, `ms_per_sample`, `train_seconds` (own), `train_seconds_total` (with the
            parents'), `train_gflops`, `images` (of its trainings, over those of the suite), `peak_mb`; any
            may be absent.
        extra: `checkpoints` (how many the choice was among), `regret:<value>` (percent), `classifier` (the
            share of held-out signals whose class the metrics' classifier finds).
        marks: What a reader must know of the method: `CLEAN` and `CONTROL` take it out of the ranks, `FEW`
            into a track of its own.
        unmatched: Why it has the images of the suite though operations are to be equal; empty if it has not.
    """

    task: str
    method: str
    seed: int
    status: str
    reason: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    floor: Mapping[str, float] = field(default_factory=dict)
    theory: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    unmatched: str = ""


@dataclass(frozen=True)
class ValueInfo:
    """What a value is: its direction (`lower`, `higher` or `neither` is better) and its unit.

    `needs` is as in `protocols.Metric`: of its words only "measurements" stands for no clean data.
    """

    name: str
    direction: str
    unit: str = ""
    sampling_unit: str = ""
    needs: str = "clean"

    def __post_init__(self) -> None:
        if self.direction not in ("lower", "higher", "neither"):
            raise ValueError(f"direction must be lower, higher or neither, got {self.direction!r}")

    @property
    def clean(self) -> bool:
        """Whether the value compares with clean data, or with their density."""
        return self.needs != "measurements"


@dataclass(frozen=True)
class Pair:
    """A one-step student, and a method that samples the student's very own teacher."""

    task: str
    student: str
    teacher: str


@dataclass(frozen=True)
class Claim:
    """That one method scores better than another, on a value of a metric.

    Args:
        name: The claim in words.
        better: The method that is claimed to be better.
        than: The method that it is compared with, paired over tasks and seeds.
        metric: The name of a value, such as `sliced_w2`.
        tasks: The tasks it is claimed for; None for all.
        alpha: The level of the test, in (0, 1).
    """

    name: str
    better: str
    than: str
    metric: str
    tasks: tuple[str, ...] | None = None
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be in (0, 1), got {self.alpha}")
        if self.better == self.than:
            raise ValueError(f"than must be another method than `better`, got {self.than!r}")


@dataclass(frozen=True)
class Skip:
    """A method that cannot work on a task, and why."""

    task: str
    method: str
    reason: str


@dataclass(frozen=True)
class Board:
    """Everything a leaderboard shows.

    Args:
        suite: The suite's name.
        cells: The results; each (task, method, seed) at most once.
        values: What each value name means.
        primary: The value names that rank methods, first the one that orders the rows.
        pairs: The students and their teachers.
        claims: The suite's claims.
        provenance: versions, commit, device, threads, when; nested mappings are flattened.
        skips: Pairs of task and method that were not planned, because they cannot work.
        baseline: The name of the no-op method, whose distance to the floor is the whole gap.
        track: Which part of a board this is, where there are parts.
        own_primary: The primary value names of the tasks that have their own.
    """

    suite: str
    cells: tuple[CellResult, ...]
    values: Mapping[str, ValueInfo]
    primary: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    claims: tuple[Claim, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    skips: tuple[Skip, ...] = ()
    baseline: str = ""
    track: str = ""
    own_primary: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        places = [(c.task, c.method, c.seed) for c in self.cells]
        if len(set(places)) < len(places):
            twice = next(p for p in places if places.count(p) > 1)
            raise ValueError(f"each (task, method, seed) may stand on a board once, got {twice} twice")

    def primary_of(self, task: str) -> tuple[str, ...]:
        """The value names that rank methods on a task."""
        return self.own_primary.get(task, self.primary)

    @cached_property
    def every_primary(self) -> tuple[str, ...]:
        """The value names that rank methods on some task, those of the suite first."""
        found = {v for task in self.tasks for v in self.primary_of(task)} if self.tasks else {*self.primary}
        named = (*self.primary, *(v for own in self.own_primary.values() for v in own))
        return tuple(v for v in dict.fromkeys(named) if v in found)

    def brief(self) -> Board:
        """The same board with its primary values alone, on each task with those of the task."""

        def kept(task: str, values: Mapping[str, float]) -> dict[str, float]:
            return {name: value for name, value in values.items() if name in self.primary_of(task)}

        def brief(c: CellResult) -> CellResult:
            scores, floor, theory = (kept(c.task, part) for part in (c.scores, c.floor, c.theory))
            return replace(c, scores=scores, floor=floor, theory=theory)

        values = {name: self.values[name] for name in self.every_primary}
        return replace(self, cells=tuple(map(brief, self.cells)), values=values)

    def tracks(self) -> tuple[Board, ...]:
        """The board; where methods were given a few clean signals, one without them and one of them.

        The latter has what frames a table too: the baseline, and what was given all clean data.
        """
        few = {c.method for c in self.cells if FEW in c.marks}
        if not few:
            return (self,)
        framing = {self.baseline} | {c.method for c in self.cells if CLEAN in c.marks}
        others = {c.method for c in self.cells} | {s.method for s in self.skips}
        return self._part(others - few), replace(self._part(few | framing), track="few-shot")

    def _part(self, methods: set[str]) -> Board:
        """The board of these methods alone."""
        return replace(
            self,
            cells=tuple(c for c in self.cells if c.method in methods),
            skips=tuple(s for s in self.skips if s.method in methods),
            pairs=tuple(p for p in self.pairs if {p.student, p.teacher} <= methods),
        )

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks, in the order of the cells."""
        return tuple(dict.fromkeys([c.task for c in self.cells] + [s.task for s in self.skips]))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, sorted."""
        return tuple(sorted({cell.seed for cell in self.cells}))

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """The numbers of seeds that tasks have, each once, from the least; 0 for a board without cells."""
        seeds: dict[str, set[int]] = {}
        for cell in self.cells:
            seeds.setdefault(cell.task, set()).add(cell.seed)
        return tuple(sorted({len(own) for own in seeds.values()})) or (0,)

    @cached_property
    def grouped(self) -> dict[str, dict[str, tuple[CellResult, ...]]]:
        """The cells by task and method, each group in order of seeds; skips are empty groups."""
        groups: dict[str, dict[str, tuple[CellResult, ...]]] = {task: {} for task in self.tasks}
        for cell in sorted(self.cells, key=lambda c: c.seed):
            methods = groups[cell.task]
            methods[cell.method] = (*methods.get(cell.method, ()), cell)
        for skip in self.skips:
            groups[skip.task].setdefault(skip.method, ())
        return groups
