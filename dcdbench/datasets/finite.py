"""How a finite set of signals is divided for one seed."""

from __future__ import annotations

__all__ = ["divide"]

import torch
from torch import Tensor

from dcdbench.protocols import Data
from dcdbench.streams import Stream


def divide(
    x: Tensor,
    train: int | None,
    heldout: int | None,
    stream: Stream,
    clean: Tensor | None = None,
    operator: dict[str, Tensor] | None = None,
    labels: Tensor | None = None,
) -> Data:
    """Divides `x`, `(n, *)`, by a random order: held-out entries first, then those for training.

    A third of the held-out entries chooses checkpoints, the rest is for scores. The floor is
    clean training data, as many as there are references.

    Args:
        x: Signals, or measurements.
        train: How many to train on; None for all that are not held out.
        heldout: How many to hold out; None for 30 %, at most 2 000.
        stream: The address of the random order.
        clean: The clean signals behind `x`, entry by entry; `x` itself if it is clean; None without any.
        operator: The draws of the operator behind each entry of `x`.
        labels: The classes of clean signals, `(n,)`; those of references and of the floor are kept.
    """
    held = min(2000, round(0.3 * len(x))) if heldout is None else heldout
    count = len(x) - held if train is None else train
    if held < 3 or count < 1 or held + count > len(x):
        raise ValueError(f"train = {count} and heldout = {held} (at least 3) must fit into {len(x)} signals")
    order = torch.randperm(len(x), generator=(stream / "order").rng())
    val, test, fit = order.split([held // 3, held - held // 3, len(x) - held])
    fit = fit[:count]
    scored = {"reference": test, "floor": fit[: len(test)]}
    draws = {f"{split}/{k}": t[i] for k, t in (operator or {}).items() for split, i in _named(fit, val, test)}
    reference, floor = (x[:0] if clean is None else clean[i] for i in scored.values())
    known = {split: labels[i].long() for split, i in scored.items()} if labels is not None else {}
    return Data(x[fit], x[val], x[test], reference, floor, draws, known)


def _named(fit: Tensor, val: Tensor, test: Tensor) -> tuple[tuple[str, Tensor], ...]:
    return (("train", fit), ("val", val), ("test", test))
