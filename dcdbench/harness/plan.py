"""From a suite to a plan: which stages each cell needs, each stage once however many share it."""

from __future__ import annotations

__all__ = ["Cell", "Plan", "make_plan", "values_of"]

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dcdbench.harness.board import CLEAN, CONTROL, FEW, Pair, ValueInfo
from dcdbench.harness.claimed import claim_stages
from dcdbench.harness.matching import Matcher, Share
from dcdbench.harness.stage import Stage
from dcdbench.harness.suite import Suite, Task
from dcdbench.protocols import Method, Metric, Setting

CHECKPOINTS = 8  # candidates of every training that does not ask for fewer, teachers and students alike
STAGES = "dcdbench.harness.stages"


@dataclass(frozen=True)
class Cell:
    """One method on one task with one seed.

    Args:
        task: The task's name.
        method: The method's name.
        seed: The seed.
        reason: Why the method cannot work on the task; such a cell has no stages.
        marks: What a reader must know of the method.
        stages: Keys by role: data, measurement, samples, scores; classifier, floor, theory where there are.
        trained: The keys of its trainings, in order.
        share: By how much its budget is scaled, so that operations are equal.
    """

    task: str
    method: str
    seed: int
    reason: str = ""
    marks: tuple[str, ...] = ()
    stages: Mapping[str, str] = field(default_factory=dict)
    trained: tuple[str, ...] = ()
    share: Share = field(default_factory=Share)

    @property
    def label(self) -> str:
        """For humans."""
        return f"{self.task}/{self.method}/seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """The cells of a suite, and the stages they need, parents first."""

    suite: Suite
    cells: tuple[Cell, ...]
    stages: tuple[Stage, ...]

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Students, and the methods that sample the students' very own teachers."""
        students = [cell for cell in self.cells if len(cell.trained) > 1 and not cell.marks]
        found = {
            Pair(a.task, a.method, b.method): None
            for a in students
            for b in self.cells
            if (a.task, a.seed) == (b.task, b.seed) and b.trained == a.trained[:-1]
        }
        return tuple(found)

    @cached_property
    def baseline(self) -> str:
        """The method that trains nothing and knows nothing; empty if the suite has none."""
        idle = [c for c in self.cells if not c.reason and not c.trained and not {CLEAN, FEW} & {*c.marks}]
        return min(idle, key=lambda c: CONTROL in c.marks).method if idle else ""

    def users(self, key: str) -> list[Cell]:
        """The cells that need a stage."""
        return [cell for cell in self.cells if key in cell.stages.values() or key in cell.trained]


def make_plan(suite: Suite, device: str = "cpu") -> Plan:
    """The plan of a suite on a kind of device, seed by seed so that whole tables are done early."""
    builder = _Builder(suite, device)
    cells = tuple(
        builder.cell(suite.tasks[task], name, method, seed)
        for task, seed in suite.rounds
        for name, method in suite.methods.items()
    )
    return Plan(suite, cells, (*builder.stages.values(), *claim_stages(suite.package)))


class _Builder:
    """Collects stages by key."""

    def __init__(self, suite: Suite, device: str) -> None:
        self.suite, self.device = suite, device.partition(":")[0]
        self.metrics = tuple(suite.metrics.values())
        self.classifies = any(metric.needs == "labels" for metric in self.metrics)
        self.stages: dict[str, Stage] = {}
        self.bases: dict[tuple[str, int], dict[str, str]] = {}  # by task and seed: what all methods share
        self.floors: dict[tuple[str, int], str] = {}
        self.laws: dict[tuple[str, bytes], Method] = {}
        self.matcher = Matcher()
        self.ideals: dict[tuple[str, str], Method | None] = {}

    def ideal(self, task: Task, name: str, method: Method) -> Method | None:
        """The first method of which theory expects what it expects of this one; None if nothing."""
        if (task.name, name) not in self.ideals:
            law = None
            if hasattr(task.data, "law"):
                law = method.expected(task.data.law(), task.corruption)
            first = None if law is None else self.laws.setdefault((task.name, pickle.dumps(law)), method)
            self.ideals[task.name, name] = first
        return self.ideals[task.name, name]

    def cell(self, task: Task, name: str, method: Method, seed: int) -> Cell:
        marks = _marks(method) + (CONTROL,) * (name in self.suite.controls)
        reason = _unsupported(task, method)
        if reason:
            return Cell(task.name, name, seed, reason, marks)
        share = self.share(task, name, method)
        setting = share.of(_setting(task, method))
        made = _CellBuilder(self, task, name, seed)
        made.base()
        trained = tuple(made.train(method.phases(setting)))
        made.score(method, method.phases(setting), method.sampler(setting), trained)
        return Cell(task.name, name, seed, "", marks, made.keys, trained, share)

    def share(self, task: Task, name: str, method: Method) -> Share:
        """All of the budget's images, or as many as have the operations of the suite's reference."""
        reference = self.suite.reference
        matched = task.budget.match == "flops" or name in self.suite.equal_flops
        if not matched or reference is None:
            return Share()
        settings = (_setting(task, method), reference, _setting(task, reference))
        return self.matcher.share(method, *settings, tuple(task.data.shape()))

    def add(self, stage: Stage) -> str:
        """Enters a stage once, and gives its key."""
        self.stages.setdefault(stage.key, stage)
        return stage.key


class _CellBuilder:
    """The stages of one cell."""

    def __init__(self, plan: _Builder, task: Task, method: str, seed: int) -> None:
        self.plan, self.task, self.method, self.seed = plan, task, method, seed
        self.keys: dict[str, str] = {}

    def stage(self, kind: str, module: str, parents: Mapping[str, str], shared: bool, **spec: Any) -> str:
        who = [self.task.name] + ([] if shared else [self.method])
        label = "/".join([*who, f"seed {self.seed}", kind])
        # What data and measurements are read from is in the keys of those stages; metrics have files too.
        files = tuple(_paths(spec if kind in ("data", "measurement") else spec.get("metrics")))
        stage = Stage(kind, f"{STAGES}.{module}:run", spec, dict(parents), self.seed, files, label)
        return self.plan.add(stage)

    def parents(self, *roles: str, **more: str) -> dict[str, str]:
        return {role: self.keys[role] for role in roles} | more

    def base(self) -> None:
        """Data and measurements: of the task and the seed alone."""
        known = self.plan.bases.get((self.task.name, self.seed))
        if known is None:
            self._base()
            known = self.plan.bases[self.task.name, self.seed] = dict(self.keys)
        self.keys = dict(known)

    def _base(self) -> None:
        task = self.task
        data = {"data": task.data, "train": task.train, "heldout": task.heldout}
        self.keys["data"] = self.stage("data", "data", {}, True, **data)
        spec = self.corruption() | {"corrupted": bool(task.data.corrupted), "shape": tuple(task.data.shape())}
        self.keys["measurement"] = self.stage(
            "measurement", "measurement", self.parents("data"), True, **spec
        )
        if self.plan.classifies:  # whether there are labels, only the data know
            self.keys["classifier"] = self.stage("classifier", "classifier", self.parents("data"), True)

    def train(self, phases: tuple[Any, ...]) -> Iterator[str]:
        """One stage per phase, each on top of the one before."""
        trained: dict[str, str] = {}
        before = None
        for phase in phases:
            parents = self.parents("measurement", **trained)
            if phase.needs_clean:
                parents |= self.parents("data")
            candidates = getattr(phase, "checkpoints", None) or CHECKPOINTS
            spec = self.seen() | {"phase": phase, "before": before, "checkpoints": candidates}
            key = self.stage(phase.kind, "training", parents, False, **spec)
            trained, before = {"trained": key}, phase
            yield key

    def corruption(self) -> dict[str, Any]:
        return {"corruption": self.task.corruption}

    def seen(self) -> dict[str, Any]:
        return self.corruption() | {"shape": tuple(self.task.data.shape()), "device": self.plan.device}

    def score(self, method: Method, phases: tuple[Any, ...], sampler: Any, trained: tuple[str, ...]) -> None:
        """Samples and their scores; with them the floor, and what theory expects."""
        last = {"trained": trained[-1]} if trained else {}
        phase = phases[-1] if phases else None
        spec = self.seen() | {"sampler": sampler, "phase": phase}
        self.keys["samples"] = self.stage(
            "samples", "samples", self.parents("measurement", **last), False, **spec
        )
        previewed = phase is not None and sampler == phase.preview(self.task.sigma_y)
        regret = self.plan.suite.primary_of(self.task.name) if previewed else ()
        self.keys["scores"] = self.scores("samples", last if regret else {}, False, regret=regret)
        if getattr(self.task.data, "corrupted", False) and not _has_reference(self.task):
            return
        self.keys["floor"] = self._floor()
        ideal = self.plan.ideal(self.task, self.method, method)
        if ideal is not None:
            self.keys["theory"] = self.scores("ideal", {}, True, method=ideal)

    def _floor(self) -> str:
        place = self.task.name, self.seed
        if place not in self.plan.floors:
            self.plan.floors[place] = self.scores("floor", {}, True)
        return self.plan.floors[place]

    def scores(
        self,
        source: str,
        last: Mapping[str, str],
        shared: bool,
        method: Method | None = None,
        regret: tuple[str, ...] = (),
    ) -> str:
        parents = self.parents("data", "measurement", **last)
        if "classifier" in self.keys:
            parents |= self.parents("classifier")
        if source == "samples":
            parents |= self.parents("samples")
        spec = self.corruption() | {"source": source, "metrics": self.plan.metrics, "data": self.task.data}
        return self.stage("scores", "scores", parents, shared, **spec, method=method, regret=regret)


def _setting(task: Task, method: Method) -> Setting:
    """What a task gives to a method, for the images of the suite."""
    budget, source = task.budget, task.data if method.needs_clean else None
    return Setting(
        task.corruption, task.network, budget.teacher_kimg, budget.student_kimg, budget.batch, source
    )


def _marks(method: Method) -> tuple[str, ...]:
    """What a table says of a method that is granted clean data."""
    if not method.needs_clean:
        return ()
    return (FEW,) if getattr(method, "few_shot", False) else (CLEAN,)


def _unsupported(task: Task, method: Method) -> str | None:
    missing = getattr(task.data, "missing", None)
    if missing is not None and (reason := missing()):
        return str(reason)
    if method.needs_clean and task.data.corrupted:
        return "needs clean data, and the task has none"
    try:
        measured = task.operator.measured_shape(task.data.shape())
    except ValueError as error:
        return f"the operator does not take the data: {error}"
    if task.data.corrupted and tuple(measured) != tuple(task.data.shape()):
        return "the data are measurements, whose shape tells that of signals only where both are equal"
    asks = getattr(method, "supports_source", None)  # of a method that is granted the law of the data
    return method.supports(task.corruption, task.data.shape()) or (asks(task.data) if asks else None)


def _has_reference(task: Task) -> bool:
    return getattr(task.data, "reference", None) is not None


def _paths(value: Any) -> Iterator[Path]:
    """The files and folders that a component names in its fields."""
    if isinstance(value, Path):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            yield from _paths(getattr(value, f.name))
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _paths(entry)
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from _paths(entry)


def values_of(metrics: Mapping[str, Metric]) -> dict[str, ValueInfo]:
    """Every value of the metrics: its direction, its unit and what it needs."""
    return {
        name: ValueInfo(name, direction, unit, metric.sampling_unit, metric.needs)
        for metric in metrics.values()
        for name, (direction, unit) in metric.values.items()
    }
