"""What a run would do, in words and numbers."""

from __future__ import annotations

__all__ = ["describe", "summarise"]

from collections import Counter
from typing import Any

from dcdbench.harness.estimate import Estimator
from dcdbench.harness.identified import unidentified
from dcdbench.harness.matching import Share
from dcdbench.harness.plan import Plan
from dcdbench.harness.progress import clock
from dcdbench.harness.store import Store


def summarise(plan: Plan, store: Store, jobs: int) -> dict[str, Any]:
    """Counts of cells and stages, what the store has of them, what is shared, and the predicted time."""
    cells = [cell for cell in plan.cells if not cell.reason]
    cached = {stage.key for stage in plan.stages if store.inspect(stage.key)[0] is not None}
    estimator = Estimator(store, plan.stages)
    seconds = {s.key: estimator.seconds(s) for s in plan.stages if s.key not in cached}
    labels = {stage.key: stage.label for stage in plan.stages}
    uses = Counter(key for cell in cells for key in cell.trained)
    reasons = unidentified(plan.suite)
    return {
        "suite": plan.suite.name,
        "cells": len(cells),
        "skipped": [
            {"task": task, "method": method, "reason": reason}
            for task, method, reason in dict.fromkeys(
                (c.task, c.method, c.reason) for c in plan.cells if c.reason
            )
        ],
        "stages": _by_kind(plan, {s.key for s in plan.stages}),
        "cached": _by_kind(plan, cached),
        "shared": {kind: n for kind, n in _by_kind(plan, {k for k, n in uses.items() if n > 1}).items() if n},
        "shared_by": sum(n for n in uses.values() if n > 1),
        "identifiable": {name: name not in reasons for name in plan.suite.tasks},
        "warnings": [{"task": name, "reason": reason} for name, reason in reasons.items()],
        "scaled": [
            {"task": task, "method": method, "factor": share.factor, "reason": share.reason}
            for task, method, share in dict.fromkeys((c.task, c.method, c.share) for c in cells)
            if share != Share()
        ],
        "jobs": jobs,
        "core_seconds": sum(seconds.values()),
        "untried": [{"stage": labels[key], "reason": why} for key, why in estimator.untried.items()],
        "seconds": max(sum(seconds.values()) / jobs, max(seconds.values(), default=0.0)),
        "rows": [_row(plan, cell, cached, seconds) for cell in plan.cells],
    }


def describe(plan: Plan, store: Store, jobs: int) -> str:
    """The summary as text."""
    s = summarise(plan, store, jobs)
    counts = ", ".join(f"{n} {kind}" for kind, n in s["stages"].items())
    hits = sum(s["cached"].values())
    lines = [
        f"{s['suite']}: {s['cells']} cells, {len(plan.stages)} stages ({counts})",
        f"in the store: {hits} of {len(plan.stages)} stages",
        f"shared: {sum(s['shared'].values())} trainings serve {s['shared_by']} cells' phases, each done once",
        f"predicted: {clock(s['core_seconds'])} of one core, {clock(s['seconds'])} with -j {jobs}",
    ]
    lines += _untried(s["untried"])
    lines += [_scaled(x) for x in s["scaled"]]
    lines += [f"skipped: {x['task']}/{x['method']}: {x['reason']}" for x in s["skipped"]]
    lines += [f"warning: {x['task']} is not identifiable: {x['reason']}" for x in s["warnings"]]
    return "\n".join(lines)


def _scaled(entry: dict[str, Any]) -> str:
    """A line for a method whose images are not those of the suite, or ought not to be."""
    who = f"{entry['task']}/{entry['method']}"
    if entry["reason"]:
        return f"unmatched: {who} has the images of the suite, not equal operations: {entry['reason']}"
    return f"matched: {who} trains on {entry['factor']:.3g} times the images, for equal operations"


def _untried(stages: list[dict[str, str]]) -> list[str]:
    """A line for each reason why the work of stages could not be counted."""
    alike: dict[str, list[str]] = {}
    for stage in stages:
        alike.setdefault(stage["reason"], []).append(stage["stage"])
    return [
        f"guessed: {_count(labels)}, as {labels[0]}, whose work could not be counted: {reason}"
        for reason, labels in alike.items()
    ]


def _count(labels: list[str]) -> str:
    return f"{len(labels)} stage{'s' if len(labels) > 1 else ''}"


def _by_kind(plan: Plan, keys: set[str]) -> dict[str, int]:
    return dict(Counter(stage.kind for stage in plan.stages if stage.key in keys))


def _row(plan: Plan, cell: Any, cached: set[str], seconds: dict[str, float]) -> dict[str, Any]:
    keys = [*cell.stages.values(), *cell.trained]
    return {
        "task": cell.task,
        "method": cell.method,
        "seed": cell.seed,
        "reason": cell.reason,
        "stages": {**cell.stages, "trained": list(cell.trained)},
        "cached": sum(key in cached for key in keys),
        "seconds": sum(seconds.get(key, 0.0) for key in keys),
    }
