"""The stage that measures: once per task and seed, on the CPU, the same for every method."""

from __future__ import annotations

__all__ = ["MEASURED", "load", "problem", "run"]

from torch import Tensor

from dcdbench.harness.context import Context, Outcome, Parent
from dcdbench.harness.stages import data as data_stage
from dcdbench.problem import Corruption, Measurement, Problem

MEASURED = ("train", "val", "test")


def run(context: Context, corruption: Corruption, corrupted: bool, shape: tuple[int, ...]) -> Outcome:
    """Corrupts each split with fresh draws, or takes data that are corrupted already as they are."""
    data = data_stage.load(context.parents["data"])
    tensors = {}
    for split in MEASURED:
        x = getattr(data, split)
        if corrupted:
            draws = {
                k.removeprefix(f"{split}/"): t for k, t in data.operator.items() if k.startswith(f"{split}/")
            }
            m = taken(x, corruption, draws, shape)
        else:
            m = corruption(x, (context.stream / split).rng())
        tensors[split] = {"y": m.y} | {f"A/{name}": t for name, t in m.A.tensors().items()}
    sizes = {k: len(t["y"]) for k, t in tensors.items()}
    return Outcome({"sizes": sizes, "shape": list(shape)}, tensors)


def taken(y: Tensor, corruption: Corruption, draws: dict[str, Tensor], shape: tuple[int, ...]) -> Measurement:
    """Measurements as they came, with the draws of A that came with them.

    Raises:
        ValueError: The operator's law needs draws that are not there, or that do not fit.
    """
    law = type(corruption.operator).__name__
    there = ", ".join(draws) or "none"
    try:
        A = corruption.operator.restore(draws)
    except KeyError as error:
        entry = error.args[0]
        raise ValueError(
            f"the data are corrupted, and {law} needs the draw of A behind each measurement: add an entry "
            f"{entry!r} beside them, one row per measurement, in an .npz or .safetensors file "
            f"(entries there: {there})"
        ) from error
    try:
        seen = A.restrict(y)
    except RuntimeError as error:
        raise ValueError(
            f"the draws of {law} do not fit measurements of shape {tuple(y.shape)}: {error}"
        ) from error
    if seen.shape != y.shape:
        raise ValueError(
            f"the draws of {law} turn measurements of shape {tuple(y.shape)} into {tuple(seen.shape)}"
        )
    return Measurement(seen, A, corruption.sigma_y, shape)


def load(parent: Parent, split: str, corruption: Corruption) -> Measurement:
    """The measurements of one split."""
    tensors: dict[str, Tensor] = parent.tensors(split)
    draws = {name.removeprefix("A/"): t for name, t in tensors.items() if name.startswith("A/")}
    shape = tuple(parent.result["shape"])
    return Measurement(tensors["y"], corruption.operator.restore(draws), corruption.sigma_y, shape)


def problem(parent: Parent, corruption: Corruption, shape: tuple[int, ...]) -> Problem:
    """What a method is given: the test split, like clean data, is not in it."""
    train, val = (load(parent, split, corruption) for split in ("train", "val"))
    return Problem(train, val, corruption, shape)
