"""What lies beyond the edges of a signal: its mirror image, its other end, or zeros."""

from __future__ import annotations

__all__ = ["Boundary", "check", "pad", "padding", "unpad"]

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Boundary = Literal["reflect", "circular", "zero"]  # reflect does not repeat the entry at the edge

MODES: dict[Boundary, str] = {"reflect": "reflect", "circular": "circular", "zero": "constant"}


def check(name: str, size: int, axis: int, shape: tuple[int, ...], boundary: Boundary) -> None:
    """Raises `ValueError` where an axis is too short to be continued by half of `size` entries.

    Args:
        name: What has this size, for the message.
        size: The odd size of a kernel.
        axis: An axis of signals of `shape`.
        shape: That of the signal, without the batch.
        boundary: How signals are continued.
    """
    least = {"reflect": size // 2 + 1, "circular": size // 2, "zero": 1}[boundary]
    if shape[axis] < least:
        raise ValueError(
            f"{name} {size} with boundary {boundary!r} needs at least {least} entries along axis {axis}, "
            f"signals of shape {shape} have {shape[axis]}: take a smaller {name} or boundary 'zero'"
        )


def padding(length: int, radius: int, boundary: Boundary) -> Tensor:
    """The matrix, `(length + 2 radius, length)` in float64, that continues an axis at both ends."""
    place = torch.arange(-radius, length + radius)
    if boundary == "circular":
        place = place % length
    elif boundary == "reflect":
        last = length - 1
        place = last - (last - place.abs()).abs()
    return (place[:, None] == torch.arange(length)).double()


def pad(x: Tensor, radii: tuple[int, int], boundary: Boundary) -> Tensor:
    """Continues images `(B, C, H, W)` by `radii` rows and columns at each side."""
    rows, columns = radii
    return F.pad(x, (columns, columns, rows, rows), mode=MODES[boundary])


def unpad(y: Tensor, radii: tuple[int, int], boundary: Boundary) -> Tensor:
    """The adjoint of `pad`: entries beyond the edges are added to those they were copied from."""
    return _fold(_fold(y, radii[1], -1, boundary), radii[0], -2, boundary)


def _fold(y: Tensor, radius: int, axis: int, boundary: Boundary) -> Tensor:
    n = y.shape[axis] - 2 * radius
    before, inside, after = y.split([radius, n, radius], axis)
    if radius == 0 or boundary == "zero":
        return inside
    out = inside.clone()
    if boundary == "circular":
        out.narrow(axis, n - radius, radius).add_(before)
        out.narrow(axis, 0, radius).add_(after)
    else:
        out.narrow(axis, 1, radius).add_(before.flip(axis))
        out.narrow(axis, n - 1 - radius, radius).add_(after.flip(axis))
    return out
