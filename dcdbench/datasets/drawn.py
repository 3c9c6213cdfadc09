"""What data sources share that draw fresh signals, without an analytic law."""

from __future__ import annotations

__all__ = ["draw_fresh", "draw_labelled"]

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from dcdbench.protocols import Data
from dcdbench.streams import Stream

LABELLED = ("reference", "floor")  # the splits whose classes are kept
TRAIN, HELDOUT = 20_000, 2_000  # draws by default
MOST = 500_000  # a number with a digit too many would fill the memory

Draw = Callable[[str, int, torch.Generator], Tensor]
LabelledDraw = Callable[[str, int, torch.Generator], tuple[Tensor, Tensor]]


def draw_fresh(
    draw: Draw, train: int | None, heldout: int | None, stream: Stream, default: int | None = None
) -> Data:
    """Independent draws for every split: `train` of them, and `heldout` (by default 2 000) for each other.

    Args:
        draw: Of a split's name, a count and a generator: so many signals, `(n, *signal)`.
        train: How many to train on; None for `default`.
        heldout: How many for each of the other splits; None for 2 000.
        stream: The address; each split has its own below it.
        default: See `train`; None for 20 000.
    """
    usual = TRAIN if default is None else default
    sizes = {"train": usual if train is None else train}
    sizes |= dict.fromkeys(("val", "test", "reference", "floor"), HELDOUT if heldout is None else heldout)
    for name, n in sizes.items():
        if not 1 <= n <= MOST:
            raise ValueError(f"{name} = {n} must be at least 1, and must fit into {MOST} draws")
    drawn = {name: draw(name, n, (stream / name).rng()).float() for name, n in sizes.items()}
    return Data(drawn["train"], drawn["val"], drawn["test"], drawn["reference"], drawn["floor"])


def draw_labelled(
    draw: LabelledDraw, train: int | None, heldout: int | None, stream: Stream, default: int | None = None
) -> Data:
    """As `draw_fresh`, of signals and their classes, `(n,)`, which `reference` and `floor` alone keep."""
    labels = {}

    def noted(split: str, n: int, rng: torch.Generator) -> Tensor:
        x, classes = draw(split, n, rng)
        if split in LABELLED:
            labels[split] = classes
        return x

    return replace(draw_fresh(noted, train, heldout, stream, default), labels=labels)
