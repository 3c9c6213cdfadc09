"""A suite: tasks, methods, metrics, seeds and claims, from a YAML file."""

from __future__ import annotations

__all__ = ["Budget", "Suite", "SuiteError", "Task", "matching", "quick", "select"]

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from dcdbench.harness.board import Claim
from dcdbench.harness.mistakes import Mistake, SuiteError, nearest
from dcdbench.problem import Corruption
from dcdbench.protocols import DataSource, Method, Metric, Network, Noise, OperatorLaw

T = TypeVar("T")

_DEFAULTED = {"advice": "give it here, or at the top of the suite for all tasks"}


@dataclass(frozen=True)
class Budget:
    """How long the two phases train.

    Args:
        teacher_kimg: Thousands of images that phase I sees, > 0.
        student_kimg: Thousands of images that phase II sees, > 0.
        batch: Images per step, >= 1.
        match: What all methods have alike: `images`, those of both phases; or `flops`, the operations that
            the trainings of the suite's `reference` need for them. Then the images of each other method are
            scaled, by one factor for all of its trainings.
    """

    teacher_kimg: float
    student_kimg: float
    batch: int = 256
    match: Literal["images", "flops"] = "images"

    def __post_init__(self) -> None:
        for name in ("teacher_kimg", "student_kimg"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be > 0 and finite, got {getattr(self, name)}")
        if self.batch < 1:
            raise ValueError(f"batch must be >= 1, got {self.batch}")


@dataclass(frozen=True)
class Task:
    """What every method is given alike: data, their corruption, an architecture, a budget.

    Args:
        name: The task's name in the suite.
        data: Where signals, or a user's own measurements, come from.
        operator: The law of A.
        sigma_y: The standard deviation of white measurement noise, >= 0.
        noise: Noise of another law, before the white noise; None for none.
        train: How many signals are measured for training; None for as many as there are.
        heldout: How many each held-out split has; None for as many as there are.
        primary: The values that ranks and verdicts on this task are about; None for those of the suite.
        network: The architecture.
        budget: How long is trained.
        seeds: The seeds of this task, different integers >= 0; None for those of the suite.
    """

    name: str
    data: DataSource
    operator: OperatorLaw
    network: Network = field(metadata=_DEFAULTED)
    budget: Budget = field(metadata=_DEFAULTED)
    sigma_y: float = 0.0
    noise: Noise | None = None
    train: int | None = None
    heldout: int | None = None
    primary: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.sigma_y < float("inf"):
            raise ValueError(f"sigma_y must be >= 0 and finite, got {self.sigma_y}")
        if self.primary is not None and not self.primary:
            raise ValueError("primary must name one value or more, or be left out for those of the suite")
        if (seeds := self.seeds) is not None and (not seeds or min(seeds) < 0 or len({*seeds}) < len(seeds)):
            raise ValueError(f"seeds must be different integers >= 0, at least one, got {list(seeds)}")
        for name in ("train", "heldout"):
            if (count := getattr(self, name)) is not None and count < 1:
                raise ValueError(f"{name} must be >= 1, or null for all there are, got {count}")

    @property
    def corruption(self) -> Corruption:
        """How signals become measurements."""
        return Corruption(self.operator, self.sigma_y, self.noise)


@dataclass(frozen=True)
class Suite:
    """A validated suite file, its grids expanded.

    Args:
        name: The suite's name; the file's stem where it gives none.
        path: The file.
        seeds: The seeds of tasks that give none of their own, each >= 0.
        tasks: The tasks by name.
        methods: The methods by name.
        metrics: The metrics by registered name.
        primary: The values that ranks and verdicts are about, on tasks that name none of their own.
        claims: What the suite claims.
        package: A package of claims that the suite decides, beside its cells or without any; empty for none.
        reference: The method whose operations budgets of equal operations give to all, and `equal_flops` to
            single methods; None for none.
        equal_flops: The names of the methods that are given the operations of `reference` on every task.
        controls: The names of the methods that are compared with, and are in no rank.
    """

    name: str
    path: Path
    seeds: tuple[int, ...]
    tasks: dict[str, Task]
    methods: dict[str, Method]
    metrics: dict[str, Metric]
    primary: tuple[str, ...]
    claims: tuple[Claim, ...] = ()
    package: str = ""
    reference: Method | None = None
    equal_flops: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()

    def primary_of(self, task: str) -> tuple[str, ...]:
        """The values that ranks and verdicts on a task are about."""
        own = self.tasks[task].primary
        return self.primary if own is None else own

    def seeds_of(self, task: str) -> tuple[int, ...]:
        """The seeds of a task."""
        own = self.tasks[task].seeds
        return self.seeds if own is None else own

    @property
    def rounds(self) -> tuple[tuple[str, int], ...]:
        """Tasks with their seeds: the first seed of all tasks, then the second of those that have one..."""
        most = max((len(self.seeds_of(task)) for task in self.tasks), default=0)
        return tuple((t, s) for i in range(most) for t in self.tasks for s in self.seeds_of(t)[i : i + 1])

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of seeds that tasks have, each once, from the least."""
        return tuple(sorted({len(self.seeds_of(task)) for task in self.tasks}))

    @property
    def cells(self) -> int:
        """How many (task, method, seed) there are."""
        return len(self.methods) * len(self.rounds)


def quick(suite: Suite) -> Suite:
    """A smoke version: the first seed of each task, a fiftieth of each budget, at most 128 / 64 signals.

    A task that takes as many signals as there are goes on doing so: how many that is, only
    its data source knows.
    """
    return dataclasses.replace(
        suite,
        name=f"{suite.name}-quick",
        seeds=suite.seeds[:1],
        tasks={name: _quick_task(task) for name, task in suite.tasks.items()},
    )


def _quick_task(task: Task) -> Task:
    budget = task.budget
    step = budget.batch / 1000  # at least one step is taken
    short = dataclasses.replace(
        budget,
        teacher_kimg=max(budget.teacher_kimg / 50, step),
        student_kimg=max(budget.student_kimg / 50, step),
    )
    train = None if task.train is None else min(task.train, 128)
    heldout = None if task.heldout is None else min(task.heldout, 64)
    seeds = None if task.seeds is None else task.seeds[:1]
    return dataclasses.replace(task, budget=short, train=train, heldout=heldout, seeds=seeds)


def select(
    suite: Suite, methods: Iterable[str] = (), tasks: Iterable[str] = (), seeds: Iterable[int] = ()
) -> Suite:
    """The part of a suite that has these methods, tasks and seeds; an empty choice is all of them.

    Names may be patterns (`dcd*`), and a grid's own name stands for all its variants. A task that has none
    of the seeds is left out.

    Raises:
        SuiteError: For a name or a seed that the suite does not have, and for tasks that are asked for by a
            name or a pattern, of which none has any of the seeds.
    """
    mistakes: list[Mistake] = []
    tasks, seeds = list(tasks), list(seeds)
    chosen = dataclasses.replace(
        suite,
        methods=_choose("method", suite.methods, methods, mistakes),
        tasks=_choose("task", suite.tasks, tasks, mistakes),
    )
    chosen = _seeded(chosen, tasks, seeds, mistakes)
    if mistakes:
        raise SuiteError(suite.path, mistakes)
    claims = [c for c in suite.claims if {c.better, c.than} <= {*chosen.methods}]
    return dataclasses.replace(
        chosen,
        claims=tuple(_narrow(claims, chosen.tasks)),
        equal_flops=tuple(name for name in suite.equal_flops if name in chosen.methods),
        controls=tuple(name for name in suite.controls if name in chosen.methods),
    )


def _seeded(suite: Suite, asked: list[str], seeds: list[int], mistakes: list[Mistake]) -> Suite:
    """The suite with these seeds alone, and the tasks that have one of them."""
    there = [s for own in map(suite.seeds_of, suite.tasks) for s in own] or suite.seeds
    wanted = _choose("seed", {str(s): s for s in there}, map(str, seeds), mistakes).values()
    kept = {name: tuple(s for s in suite.seeds_of(name) if s in wanted) for name in suite.tasks}
    for pattern in asked:
        found = matching(pattern, suite.tasks)
        if found and not any(kept[name] for name in found) and not mistakes:
            known = ", ".join(map(str, suite.seeds_of(found[0])))
            message = f"the task {pattern!r} has no seed {', '.join(map(str, seeds))}; it has: {known}"
            mistakes.append(Mistake("", message))
    tasks = {
        name: dataclasses.replace(task, seeds=None if task.seeds is None else kept[name])
        for name, task in suite.tasks.items()
        if kept[name]
    }
    return dataclasses.replace(suite, tasks=tasks, seeds=tuple(s for s in suite.seeds if s in wanted))


def _choose(
    kind: str, members: Mapping[str, T], patterns: Iterable[str], mistakes: list[Mistake]
) -> dict[str, T]:
    wanted: set[str] = set()
    patterns = list(patterns)
    for pattern in patterns:
        found = matching(pattern, members)
        if not found:
            message = f"the suite has no {kind} {pattern!r}; it has: {', '.join(members)}"
            mistakes.append(Mistake("", message, near=nearest(pattern, members)))
        wanted |= set(found)
    return {name: member for name, member in members.items() if name in wanted or not patterns}


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a pattern stands for: itself, the variants of a grid, or a glob's matches."""
    names = list(names)
    if pattern in names:
        return [pattern]
    variants = [name for name in names if name.startswith(f"{pattern}[")]
    glob = pattern.replace("[", "[[]")  # brackets belong to the names of variants
    return variants or [name for name in names if fnmatch.fnmatchcase(name, glob)]


def _narrow(claims: Iterable[Claim], tasks: Iterable[str]) -> Iterable[Claim]:
    """Claims about tasks that were not chosen are left out, or kept for the others."""
    for claim in claims:
        if claim.tasks is None:
            yield claim
        elif kept := tuple(task for task in claim.tasks if task in tasks):
            yield dataclasses.replace(claim, tasks=kept)
