"""Motion blur: each image is blurred along a line of its own."""

from __future__ import annotations

__all__ = ["MotionBlur", "lines"]

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.boundary import Boundary, check
from dcdbench.operators.convolution import Convolution


@register("motion_blur")
@dataclass(frozen=True)
class MotionBlur:
    """A law over blurs of images: a straight line of given length, at an angle uniform in [0, pi).

    Args:
        length: The length of the line in pixels, >= 1; the kernel is the least odd square that holds it.
        boundary: How signals are continued: `reflect` (without the edge), `circular` or `zero`.
    """

    length: int = 3
    boundary: Boundary = "reflect"

    linear: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    masks: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"length must be >= 1, got {self.length}")

    @property
    def random(self) -> bool:
        """Whether lines differ from sample to sample: those of one pixel do not."""
        return self.length > 1

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Convolution:
        """`n` independent lines."""
        self.measured_shape(shape)
        angles = math.pi * torch.rand(n, generator=rng, device=rng.device, dtype=torch.float64)
        return Convolution(lines(self.length, angles).float(), self.boundary)

    def restore(self, tensors: dict[str, Tensor]) -> Convolution:
        """The kernels that were stored."""
        return Convolution(tensors["kernels"], self.boundary)

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the signal."""
        if len(shape) != 3:
            raise ValueError(f"motion blur is for images (C, H, W), got signals of shape {shape}")
        for axis in (1, 2):
            check("length", 2 * (self.length // 2) + 1, axis, shape, self.boundary)
        return shape

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Always: a wave that some line blurs away is kept by the lines along its crests."""
        return True


def lines(length: int, angles: Tensor) -> Tensor:
    """Kernels `(n, 1, k, k)` of lines through the middle with sum 1, at `angles` `(n,)` in radians.

    A pixel's weight falls from 1 on the line to 0 at a distance of one pixel, so that no
    angle is special. Pixels are points, so a line of `length` pixels is `length - 1` long.
    """
    radius = length // 2
    j = torch.arange(-radius, radius + 1, dtype=angles.dtype, device=angles.device)
    row, column = j[:, None], j[None, :]
    cos, sin = (f(angles)[:, None, None] for f in (torch.cos, torch.sin))
    along = (column * cos + row * sin).clamp(-(length - 1) / 2, (length - 1) / 2)
    distance = torch.hypot(column - along * cos, row - along * sin)
    weight = (1 - distance).clamp(min=0)
    return (weight / weight.sum((1, 2), keepdim=True))[:, None]
