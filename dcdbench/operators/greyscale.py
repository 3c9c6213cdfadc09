"""Greyscale: a weighted sum of the channels of an image."""

from __future__ import annotations

__all__ = ["Greyscale", "WeightedSum"]

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.draw import LinearDraw


@dataclass(frozen=True)
class WeightedSum(LinearDraw):
    r"""The sum $y = \sum_c w_c x_c$ over channels.

    Args:
        weights: The weights w, `(C, 1, 1)`, of all samples.
    """

    weights: Tensor

    projects: ClassVar[bool] = True
    shared: ClassVar[tuple[str, ...]] = ("weights",)

    def __call__(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, 1, H, W)`."""
        return (self.weights * x).sum(1, keepdim=True)

    def adjoint(self, y: Tensor) -> Tensor:
        """`w y`."""
        return self.weights * y

    def pinv(self, y: Tensor) -> Tensor:
        """`w y / |w|^2`."""
        return self.weights * y / self.weights.square().sum()

    def back(self, y: Tensor) -> Tensor:
        """`A^+ y`, which has the scale of a signal."""
        return self.pinv(y)


@register("greyscale")
@dataclass(frozen=True)
class Greyscale:
    """The grey image of one in colour.

    Args:
        weights: One weight per channel; by default the luma of red, green and blue of ITU-R BT.601,
            https://www.itu.int/rec/R-REC-BT.601.
    """

    weights: tuple[float, ...] = (0.299, 0.587, 0.114)

    linear: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    masks: ClassVar[bool] = False
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not all(math.isfinite(w) for w in self.weights) or not any(self.weights):
            raise ValueError(f"weights must be finite numbers that are not all zero, got {self.weights}")

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> WeightedSum:
        """The weighted sum: the law has one outcome."""
        self.measured_shape(shape)
        return WeightedSum(torch.tensor(self.weights, device=rng.device)[:, None, None])

    def restore(self, tensors: dict[str, Tensor]) -> WeightedSum:
        """The weighted sum, from no tensors."""
        return WeightedSum(torch.tensor(self.weights)[:, None, None])

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the signal with one channel."""
        if len(shape) != 3 or shape[0] != len(self.weights):
            raise ValueError(
                f"weights are for images of {len(self.weights)} channels, got signals of shape {shape}"
            )
        return (1, *shape[1:])

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Only where there is one channel."""
        return len(self.weights) == 1
