"""What a user's own data share: their checks, and their division."""

from __future__ import annotations

__all__ = ["CORRUPTED", "checked", "classes", "existing", "own_data"]

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from dcdbench.datasets.finite import divide
from dcdbench.protocols import Data
from dcdbench.streams import Stream

# Metadata of the field `corrupted`, which has no default: a wrong guess would go unnoticed.
CORRUPTED = {
    "advice": "true if these are measurements already, false if clean signals that are to be corrupted"
}


def existing(field: str, path: Path) -> None:
    """Raises `ValueError`, naming the field, where there is no such file or folder."""
    if not path.exists():
        raise ValueError(f"{field} must be a file or folder that exists, got {path}")


def checked(x: Tensor, source: str) -> Tensor:
    """Float32 signals `(n, d)` or `(n, channels, height, width)`; `(n, height, width)` gets one channel.

    Raises:
        ValueError: Numbers are no floats or not finite, or the shape is another.
    """
    if not x.is_floating_point():
        raise ValueError(
            f"{source} holds {str(x.dtype).removeprefix('torch.')} numbers: store floats, in the "
            "unit of sigma_y, for example `x / 127.5 - 1` for 8-bit images"
        )
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise ValueError(
            f"{source} must have shape (n, d), (n, height, width) or (n, channels, height, width), "
            f"got {tuple(x.shape)}"
        )
    odd = (~torch.isfinite(x)).flatten(1).any(1).nonzero()
    if len(odd):
        raise ValueError(
            f"{source}: entry {int(odd[0])} holds NaN or infinity ({len(odd)} of {len(x)} entries do); "
            "what was not measured reads 0, and a mask says where"
        )
    return (x[:, None] if x.ndim == 3 else x).float()


def classes(labels: Tensor, n: int, source: str) -> Tensor:
    """The classes of `n` signals, int64.

    Raises:
        ValueError: They are no whole numbers, or not as many.
    """
    if labels.is_floating_point() or labels.shape != (n,):
        raise ValueError(
            f"{source} must have one whole number for each of {n} signals, "
            f"got {str(labels.dtype).removeprefix('torch.')} numbers of shape {tuple(labels.shape)}"
        )
    return labels.long()


def own_data(
    x: Tensor,
    corrupted: bool,
    reference: Tensor | None,
    train: int | None,
    heldout: int | None,
    stream: Stream,
    operator: dict[str, Tensor] | None = None,
    labels: Tensor | None = None,
) -> Data:
    """Divides a user's signals, or measurements, for one seed.

    Clean references of corrupted data are signals of their own, not those behind the measurements:
    a random half is the reference, the other half the floor. `labels` are the classes of the clean signals.
    """
    if not corrupted:
        return divide(x, train, heldout, stream, clean=x, labels=labels)
    data = divide(x, train, heldout, stream, operator=operator)
    if reference is None:
        return data
    half = len(reference) // 2
    order = torch.randperm(len(reference), generator=(stream / "reference").rng())
    halves = {"reference": order[:half], "floor": order[half : 2 * half]}
    known = {split: labels[i] for split, i in halves.items()} if labels is not None else {}
    clean = {split: reference[i] for split, i in halves.items()}
    return replace(data, reference=clean["reference"], floor=clean["floor"], labels=known)
