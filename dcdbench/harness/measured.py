"""The measurements of a task, as its stages make them, without a store."""

from __future__ import annotations

__all__ = ["measurements"]

from pathlib import Path

from torch import Tensor

from dcdbench.harness.context import Context, Outcome, Parent
from dcdbench.harness.stages import data, measurement
from dcdbench.harness.suite import Task
from dcdbench.methods.ideal import denoising
from dcdbench.streams import Stream


def measurements(task: Task, seed: int) -> Tensor:
    """The training measurements of a task and seed, `(n, *)`: those that a run trains on.

    Raises:
        ValueError: The task is not one of white noise alone, or its data are not there.
    """
    if not denoising(task.corruption):
        raise ValueError(
            f"task {task.name!r} is not one of white noise alone: the prediction needs y = x + sigma_y n, "
            f"so the operator identity and no other noise; this operator is {task.operator!r}"
        )
    missing = getattr(task.data, "missing", None)
    if missing is not None and (reason := missing()):
        raise ValueError(f"task {task.name!r}: {reason}")
    drawn = data.run(_context(seed, "data", {}), task.data, task.train, task.heldout)
    place = _context(seed, "measurement", {"data": drawn})
    made = measurement.run(place, task.corruption, bool(task.data.corrupted), tuple(task.data.shape()))
    return made.tensors["train"]["y"]


def _context(seed: int, kind: str, parents: dict[str, Outcome]) -> Context:
    found = {role: _parent(outcome) for role, outcome in parents.items()}
    return Context(Stream(seed) / kind, "cpu", Path(), found, lambda fraction, text: None)


def _parent(outcome: Outcome) -> Parent:
    return Parent({"result": outcome.result}, lambda name: dict(outcome.tensors[name]))
