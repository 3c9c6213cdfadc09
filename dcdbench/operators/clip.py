"""Saturation: a sensor that reads no further than its range."""

from __future__ import annotations

__all__ = ["Clip"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.nonlinear import PointwiseDraw


@register("clip")
@dataclass(frozen=True)
class Clip:
    """Saturation, `A(x) = min(max(gain x, low), high)` for every entry.

    Its gradient is `gain` within the range and 0 outside. What saturates is lost, so that only the
    law within the range can be learned: it is not identifiable.

    Args:
        gain: The sensor's gain, > 0: with images in [-1, 1], a gain above 1 saturates.
        low: The least value that is read.
        high: The greatest value that is read, > `low`.
    """

    gain: float = 1.0
    low: float = -1.0
    high: float = 1.0

    linear: ClassVar[bool] = False
    masks: ClassVar[bool] = False
    random: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.gain > 0:
            raise ValueError(f"gain must be > 0, got {self.gain}")
        if not self.low < self.high:
            raise ValueError(f"low must be < high, got low = {self.low} and high = {self.high}")

    def read(self, x: Tensor) -> Tensor:
        """What the sensor reads of `x`."""
        return (self.gain * x).clamp(self.low, self.high)

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> PointwiseDraw:
        """The sensor: the law has one outcome."""
        return PointwiseDraw(self.read)

    def restore(self, tensors: dict[str, Tensor]) -> PointwiseDraw:
        """The sensor, from no tensors."""
        return PointwiseDraw(self.read)

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the signal."""
        return shape

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Never: signals that differ where they saturate are measured alike."""
        return False
