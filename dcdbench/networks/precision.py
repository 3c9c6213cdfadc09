"""The floating type in which a network computes; its weights, its input and its output keep theirs."""

from __future__ import annotations

__all__ = ["Precision", "check", "computing"]

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

import torch
from torch import Tensor

Precision = Literal["float32", "bfloat16"]


def check(precision: str) -> None:
    """Raises a ValueError for an unknown precision."""
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}")


def computing(precision: Precision, x: Tensor) -> AbstractContextManager[Any]:
    """In which products are those of `precision` on the device of `x`; sums in them have float32's digits.

    A `bfloat16` has 8 significant bits: entries of products are off by up to `2^-9` of themselves.
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(x.device.type, dtype=torch.bfloat16)
