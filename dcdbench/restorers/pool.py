"""Which measurements are restored, and in which portions."""

from __future__ import annotations

__all__ = ["PORTION", "at_most", "in_portions"]

from collections.abc import Callable

import torch
from torch import Tensor

from dcdbench.problem import Measurement
from dcdbench.streams import Stream

PORTION = 1024  # signals that are restored at once: their gradients stay in the cache of a processor


def at_most(m: Measurement, pool: int, stream: Stream) -> Measurement:
    """All measurements, or `pool` of them, drawn without replacement."""
    if len(m) <= pool:
        return m
    return m[torch.randperm(len(m), generator=stream.rng(m.y.device), device=m.y.device)[:pool]]


def in_portions(
    restore: Callable[[Measurement, torch.Generator], Tensor], m: Measurement, rng: torch.Generator
) -> Tensor:
    """Restores measurements portion by portion, `(n, *signal)`, in their order."""
    return torch.cat([restore(m[i : i + PORTION], rng) for i in range(0, len(m), PORTION)])
