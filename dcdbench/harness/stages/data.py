"""The stage that draws or divides the data of a task and seed: the same for every method."""

from __future__ import annotations

__all__ = ["SPLITS", "load", "run"]

from torch import Tensor

from dcdbench.harness.context import Context, Outcome, Parent
from dcdbench.protocols import Data, DataSource

SPLITS = ("train", "val", "test", "reference", "floor")


def run(context: Context, data: DataSource, train: int | None, heldout: int | None) -> Outcome:
    """Stores the splits, the draws of operators that came with the data, and the labels of clean splits."""
    drawn = data.load(train, heldout, context.stream)
    splits: dict[str, Tensor] = {name: getattr(drawn, name) for name in SPLITS}
    sizes = {name: len(x) for name, x in splits.items()}
    groups = {"splits": splits, "operator": dict(drawn.operator), "labels": dict(drawn.labels)}
    return Outcome({"shape": list(data.shape()), "sizes": sizes}, groups)


def load(parent: Parent) -> Data:
    """What the stage stored."""
    stored = parent.tensors
    return Data(**stored("splits"), operator=stored("operator"), labels=stored("labels"))
