"""Blur with a given kernel."""

from __future__ import annotations

__all__ = ["Blur", "FixedConvolution"]

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.linalg import least_squares
from dcdbench.operators import register
from dcdbench.operators.boundary import Boundary, check
from dcdbench.operators.convolution import (
    STEPS,
    amplification,
    amplified,
    apply,
    convolve,
    convolve_adjoint,
    dense,
    divide,
    frequencies,
)
from dcdbench.operators.draw import LinearDraw
from dcdbench.operators.separable import CUTOFF, RANK

Kernel = tuple[tuple[float, ...], ...]

DENSE = 1024  # up to so many pixels, the pseudo-inverse is that of a matrix, made once
ROW = (1 / 9, 1 / 9, 1 / 9)


@dataclass(frozen=True)
class FixedConvolution(LinearDraw):
    """The same kernel for all samples.

    Args:
        kernel: Its rows.
        boundary: How signals are continued.
    """

    kernel: Kernel
    boundary: Boundary

    shared: ClassVar[tuple[str, ...]] = ("kernel", "boundary")

    @property
    def contracts(self) -> bool:
        """Whether no signal gains in size in `back(A(.))`: reflections count edges more than once."""
        return self.boundary != "reflect"

    def __call__(self, x: Tensor) -> Tensor:
        """`k * x`."""
        images = _images(x)
        return convolve(images, _tensor(self.kernel, x.dtype, x.device), self.boundary).reshape(x.shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """The transposed convolution, and entries beyond the edges brought back."""
        images, kernels = _images(y), _tensor(self.kernel, y.dtype, y.device)
        return convolve_adjoint(images, kernels, self.boundary).reshape(y.shape)

    def back(self, y: Tensor) -> Tensor:
        """`A^T y`, divided by `(sum |k|)^2` where that is more than 1."""
        return self.adjoint(y) / float(amplification(_tensor(self.kernel, torch.float64, y.device)))

    def gain(self, signal: Tensor) -> Tensor:
        """A bound of the eigenvalues of `back(A(.))`, `(1,)`, for signals like `signal`, `(n, 0, *shape)`."""
        height, width = signal.shape[-2:] if signal.ndim > 3 else (1, signal.shape[-1])
        return amplified(_tensor(self.kernel, torch.float64, signal.device), self.boundary, height, width)

    def pinv(self, y: Tensor) -> Tensor:
        """By division of frequencies where circular, by a matrix where small, else by iterations.

        Frequencies and singular values below a share of 1e-8 of the greatest count as zero.
        """
        images = _images(y)
        if self.boundary == "circular":
            return divide(images, _tensor(self.kernel, torch.float64, y.device)).reshape(y.shape)
        if math.prod(images.shape[2:]) <= DENSE:
            height, width = images.shape[2:]
            inverse = _inverse(self.kernel, self.boundary, height, width).to(y.device)
            return apply(inverse, images).reshape(y.shape)
        return least_squares(self, self.adjoint, y, steps=STEPS)


@register("blur")
@dataclass(frozen=True)
class Blur:
    r"""Convolution with a given kernel, $(Ax)_i = \sum_j k_j x_{i-j}$, in each channel.

    A vector is an image of one row: its kernel has one row.

    Args:
        kernel: The kernel's rows, of odd number and length; its middle is its origin.
        boundary: How signals are continued: `reflect` (without the edge), `circular` or `zero`.
    """

    kernel: Kernel = (ROW, ROW, ROW)
    boundary: Boundary = "reflect"

    linear: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    masks: ClassVar[bool] = False
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.kernel}
        if len(self.kernel) % 2 == 0 or len(widths) != 1 or widths.pop() % 2 == 0:
            sizes = [len(row) for row in self.kernel]
            raise ValueError(
                f"kernel must have an odd number of rows, all of one odd length, got lengths {sizes}"
            )
        entries = [k for row in self.kernel for k in row]
        if not all(math.isfinite(k) for k in entries) or not any(entries):
            raise ValueError(f"kernel must hold finite numbers that are not all zero, got {self.kernel}")

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> FixedConvolution:
        """The blur: the law has one outcome."""
        self.measured_shape(shape)
        return FixedConvolution(self.kernel, self.boundary)

    def restore(self, tensors: dict[str, Tensor]) -> FixedConvolution:
        """The blur, from no tensors."""
        return FixedConvolution(self.kernel, self.boundary)

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the signal."""
        if len(shape) == 1 and len(self.kernel) != 1:
            raise ValueError(f"kernel must have one row for vectors, got {len(self.kernel)} rows")
        if len(shape) > 1:
            check("kernel height", len(self.kernel), len(shape) - 2, shape, self.boundary)
        check("kernel width", len(self.kernel[0]), len(shape) - 1, shape, self.boundary)
        return shape

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Whether no frequency is lost, up to rounding.

        Beyond 1024 pixels, unless circular, it is that of circular signals of the period that
        the boundary gives them, which is exact for symmetric kernels that reflect.
        """
        height, width = shape[-2:] if len(shape) > 1 else (1, *shape)
        if self.boundary != "circular" and height * width <= DENSE:
            values = _singular_values(self.kernel, self.boundary, height, width)
        else:
            size = self._period(height), self._period(width)
            values = frequencies(_tensor(self.kernel, torch.float64, torch.device("cpu")), size).abs()
        return float(values.min() ** 2) > RANK * float(values.max() ** 2)

    def _period(self, n: int) -> int:
        return {"circular": n, "reflect": max(2 * (n - 1), 1), "zero": 2 * (n + 1)}[self.boundary]


def _images(x: Tensor) -> Tensor:
    return x[:, None, None] if x.ndim == 2 else x


@lru_cache(maxsize=16)
def _tensor(kernel: Kernel, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # what is kept must serve gradients later
        return torch.tensor(kernel, dtype=dtype, device=device)[None, None]


def _dense(kernel: Kernel, boundary: Boundary, height: int, width: int) -> Tensor:
    return dense(_tensor(kernel, torch.float64, torch.device("cpu")), boundary, height, width)


@lru_cache(maxsize=4)
def _inverse(kernel: Kernel, boundary: Boundary, height: int, width: int) -> Tensor:
    with torch.inference_mode(False):
        return torch.linalg.pinv(_dense(kernel, boundary, height, width), rtol=CUTOFF)


@lru_cache(maxsize=16)
def _singular_values(kernel: Kernel, boundary: Boundary, height: int, width: int) -> Tensor:
    return torch.linalg.svdvals(_dense(kernel, boundary, height, width))
