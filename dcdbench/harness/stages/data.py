"""The stage that draws or divides the data of a task and seed: the same for every method."""

from __future__ import annotations

__all__ = ["SPLITS", "load", "run"]

from torch import Tensor

from dcdbench.harness.context import Context, Outcome, Parent
from dcdbench.protocols import Data, DataSource

SPLITS = ("train", "val", "test", "reference", "floor")


def run(context: Context, data: DataSource, train: int | None, heldout: int | None) -> Outcome:
    """Stores the splits, and the draws of operators that came with the data."""
    drawn = data.load(train, heldout, context.stream)
    splits: dict[str, Tensor] = {name: getattr(drawn, name) for name in SPLITS}
    sizes = {name: len(x) for name, x in splits.items()}
    return Outcome(
        {"shape": list(data.shape()), "sizes": sizes}, {"splits": splits, "operator": dict(drawn.operator)}
    )


def load(parent: Parent) -> Data:
    """What the stage stored."""
    return Data(**parent.tensors("splits"), operator=parent.tensors("operator"))
