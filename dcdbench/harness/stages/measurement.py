"""The stage that measures: once per task and seed, on the CPU, the same for every method."""

from __future__ import annotations

__all__ = ["MEASURED", "load", "problem", "run"]

from torch import Tensor

from dcdbench.harness.context import Context, Outcome, Parent
from dcdbench.harness.stages import data as data_stage
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import OperatorLaw

MEASURED = ("train", "val", "test")


def run(context: Context, operator: OperatorLaw, sigma_y: float, corrupted: bool) -> Outcome:
    """Corrupts each split with fresh draws, or takes data that are corrupted already as they are."""
    data = data_stage.load(context.parents["data"])
    corruption = Corruption(operator, sigma_y)
    tensors = {}
    for split in MEASURED:
        x = getattr(data, split)
        if corrupted:
            draws = {k.removeprefix(f"{split}/"): t for k, t in data.operator.items() if k.startswith(f"{split}/")}
            m = Measurement(x, operator.restore(draws), sigma_y)
        else:
            m = corruption(x, (context.stream / split).rng())
        tensors[split] = {"y": m.y} | {f"A/{name}": t for name, t in m.A.tensors().items()}
    return Outcome({"sizes": {k: len(t["y"]) for k, t in tensors.items()}}, tensors)


def load(parent: Parent, split: str, corruption: Corruption) -> Measurement:
    """The measurements of one split."""
    tensors: dict[str, Tensor] = parent.tensors(split)
    draws = {name.removeprefix("A/"): t for name, t in tensors.items() if name.startswith("A/")}
    return Measurement(tensors["y"], corruption.operator.restore(draws), corruption.sigma_y)


def problem(parent: Parent, corruption: Corruption, shape: tuple[int, ...]) -> Problem:
    """What a method is given: the test split, like clean data, is not in it."""
    train, val = (load(parent, split, corruption) for split in ("train", "val"))
    return Problem(train, val, corruption, shape)
