"""Convolutions of images with a kernel, one for all samples or one per sample."""

from __future__ import annotations

__all__ = [
    "STEPS",
    "Convolution",
    "amplification",
    "amplified",
    "apply",
    "convolve",
    "convolve_adjoint",
    "dense",
    "divide",
    "frequencies",
]

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from dcdbench.linalg import least_squares
from dcdbench.operators.boundary import Boundary, pad, unpad
from dcdbench.operators.draw import LinearDraw
from dcdbench.operators.separable import CUTOFF

DENSE = 64  # up to so many pixels, the pseudo-inverse is that of a matrix per sample
CHUNK = 1024  # samples whose matrices are formed at once
ROUNDING = 1e-5  # of the sum of a kernel in float32
STEPS = 1000  # beyond: the most steps of conjugate gradients


@dataclass(frozen=True)
class Convolution(LinearDraw):
    r"""A kernel per sample, $(Ax)_i = \sum_j k_j x_{i-j}$ in each channel.

    Args:
        kernels: `(B, 1, height, width)` with odd height and width.
        boundary: How signals are continued.
    """

    kernels: Tensor
    boundary: Boundary

    shared: ClassVar[tuple[str, ...]] = ("boundary",)

    @property
    def contracts(self) -> bool:
        """Whether no signal gains in size in `back(A(.))`: reflections count edges more than once."""
        return self.boundary != "reflect"

    def __call__(self, x: Tensor) -> Tensor:
        """`k * x`."""
        return convolve(x, self.kernels, self.boundary)

    def adjoint(self, y: Tensor) -> Tensor:
        """The transposed convolution, and entries beyond the edges brought back."""
        return convolve_adjoint(y, self.kernels, self.boundary)

    def back(self, y: Tensor) -> Tensor:
        """`A^T y`, divided by `(sum |k|)^2` where that is more than 1."""
        return self.adjoint(y) / amplification(self.kernels).to(y)

    def gain(self, signal: Tensor) -> Tensor:
        """A bound of the eigenvalues of `back(A(.))`, `(B or 1,)`, for signals `(n, 0, C, H, W)`."""
        return amplified(self.kernels, self.boundary, *signal.shape[-2:])

    def pinv(self, y: Tensor) -> Tensor:
        """By division of frequencies where circular, by a matrix where small, else by iterations.

        Frequencies and singular values below a share of 1e-8 of the greatest count as zero.
        """
        if self.boundary == "circular":
            return divide(y, self.kernels)
        if math.prod(y.shape[2:]) <= DENSE:
            parts = zip(self.kernels.split(CHUNK), y.split(CHUNK), strict=True)
            return torch.cat([self._dense_pinv(kernels, part) for kernels, part in parts])
        return least_squares(self, self.adjoint, y, steps=STEPS)

    def _dense_pinv(self, kernels: Tensor, y: Tensor) -> Tensor:
        matrices = dense(kernels, self.boundary, *y.shape[2:])
        return apply(torch.linalg.pinv(matrices, rtol=CUTOFF), y)


def amplification(kernels: Tensor) -> Tensor:
    """A bound of `|A|^2` away from reflecting edges, `(B or 1, 1, 1, 1)`; 1 for kernels with sum 1."""
    total = kernels.double().abs().sum((1, 2, 3), keepdim=True)
    return torch.where(total > 1 + ROUNDING, total.square(), 1.0)


def amplified(kernels: Tensor, boundary: Boundary, height: int, width: int) -> Tensor:
    """A bound of `|A|^2`, `(B or 1,)`, in units of `amplification`.

    By Schur's test: the greatest sum of a row of `|A|`, times that of a column.
    """
    size = kernels.double().abs()
    ones = torch.ones(len(size), 1, height, width, dtype=size.dtype, device=size.device)
    columns = convolve_adjoint(ones, size, boundary).amax((1, 2, 3))
    return size.sum((1, 2, 3)) * columns / amplification(kernels).flatten()


def radii_of(kernels: Tensor) -> tuple[int, int]:
    """By how many rows and columns a kernel reaches to each side."""
    return kernels.shape[-2] // 2, kernels.shape[-1] // 2


def convolve(x: Tensor, kernels: Tensor, boundary: Boundary) -> Tensor:
    """`k * x` for images `(B, C, H, W)` and kernels `(B or 1, 1, h, w)`."""
    radii, folded, weight = radii_of(kernels), _fold(x), _weights(x, kernels)
    if boundary == "zero":
        return F.conv2d(folded, weight, padding=radii, groups=len(weight)).reshape(x.shape)
    return F.conv2d(pad(folded, radii, boundary), weight, groups=len(weight)).reshape(x.shape)


def convolve_adjoint(y: Tensor, kernels: Tensor, boundary: Boundary) -> Tensor:
    """The adjoint of `convolve` in its first argument."""
    radii, folded, weight = radii_of(kernels), _fold(y), _weights(y, kernels)
    if boundary == "zero":
        return F.conv_transpose2d(folded, weight, padding=radii, groups=len(weight)).reshape(y.shape)
    spread = F.conv_transpose2d(folded, weight, groups=len(weight))
    return unpad(spread, radii, boundary).reshape(y.shape)


def _fold(x: Tensor) -> Tensor:
    """Samples and channels as groups of one convolution: the fastest way on a CPU, by far."""
    b, c, h, w = x.shape
    return x.reshape(1, b * c, h, w)


def _weights(x: Tensor, kernels: Tensor) -> Tensor:
    """A kernel for each sample and channel. Flipped, for torch's convolution is a correlation."""
    _, _, h, w = kernels.shape
    each = kernels.flip(-2, -1).expand(len(x), x.shape[1], h, w)
    return each.reshape(len(x) * x.shape[1], 1, h, w)


def dense(kernels: Tensor, boundary: Boundary, height: int, width: int) -> Tensor:
    """The matrices, `(B or 1, H W, H W)` in float64, that act on flattened channels."""
    d = height * width
    basis = torch.eye(d, dtype=torch.float64, device=kernels.device).reshape(1, d, height, width)
    columns = convolve(basis.expand(len(kernels), -1, -1, -1), kernels.double(), boundary)
    return columns.flatten(2).mT


def apply(matrices: Tensor, y: Tensor) -> Tensor:
    """Matrices, `(B or 1, H W, H W)`, on the flattened channels of images `(B, C, H, W)`."""
    return (y.flatten(2) @ matrices.to(y.dtype).mT).reshape(y.shape)


def divide(y: Tensor, kernels: Tensor) -> Tensor:
    """The pseudo-inverse of circular convolution, by division of frequencies."""
    size = y.shape[-2], y.shape[-1]
    gain = frequencies(kernels, size)
    power = gain.abs() ** 2
    seen = power > CUTOFF**2 * power.amax((-2, -1), keepdim=True)
    inverse = torch.where(seen, gain.conj() / torch.where(seen, power, 1.0), 0.0)
    return torch.fft.irfft2(torch.fft.rfft2(y.double()) * inverse, s=size).to(y.dtype)


def frequencies(kernels: Tensor, size: tuple[int, int]) -> Tensor:
    """The gain, `(B or 1, 1, H, W // 2 + 1)`, of circular convolution at each frequency."""
    impulse = torch.zeros(len(kernels), 1, *size, dtype=torch.float64, device=kernels.device)
    impulse[..., 0, 0] = 1.0
    return torch.fft.rfft2(convolve(impulse, kernels.double(), "circular"))
