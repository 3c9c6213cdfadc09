"""Quantisation: a sensor that reads one of a few values."""

from __future__ import annotations

__all__ = ["Quantise"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.nonlinear import PointwiseDraw


@register("quantise")
@dataclass(frozen=True)
class Quantise:
    """Rounds every entry to the nearest of `levels` equally spaced values from `low` to `high`.

    Its gradient is 0 almost everywhere, so that no loss of the measurement can train a generator.
    Signals within one step are measured alike: it is not identifiable.

    Args:
        levels: How many values there are, >= 2: `2^bits` of a sensor with so many bits.
        low: The least value.
        high: The greatest value, > `low`.
    """

    levels: int = 8
    low: float = -1.0
    high: float = 1.0

    linear: ClassVar[bool] = False
    masks: ClassVar[bool] = False
    random: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise ValueError(f"levels must be >= 2, got {self.levels}")
        if not self.low < self.high:
            raise ValueError(f"low must be < high, got low = {self.low} and high = {self.high}")

    def read(self, x: Tensor) -> Tensor:
        """What the sensor reads of `x`."""
        step = (self.high - self.low) / (self.levels - 1)
        return self.low + step * ((x.clamp(self.low, self.high) - self.low) / step).round()

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
        """Never: signals within one step are measured alike."""
        return False
