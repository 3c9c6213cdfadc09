"""Gaussian blur: each entry becomes a weighted mean of its neighbours."""

from __future__ import annotations

__all__ = ["Gaussian", "GaussianBlur"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.boundary import Boundary, check, padding
from dcdbench.operators.convolution import convolve, convolve_adjoint
from dcdbench.operators.separable import Separable, axis_matrix, full_rank, space_of

LONG = 256  # up to so many rows and columns together, matrices are faster than convolution


@dataclass(frozen=True)
class Gaussian(Separable):
    """The blur with one kernel along all axes, by matrices or by convolution: whichever is faster."""

    axes: GaussianBlur

    @property
    def contracts(self) -> bool:
        """Whether no signal gains in size in `back(A(.))`: reflections count edges more than once."""
        return self.axes.boundary != "reflect"

    def __call__(self, x: Tensor) -> Tensor:
        """`K_h x K_w^T`."""
        if not self._long(x):
            return super().__call__(x)
        return convolve(x, self._square(x), self.axes.boundary)

    def adjoint(self, y: Tensor) -> Tensor:
        """`K_h^T y K_w`."""
        if not self._long(y):
            return super().adjoint(y)
        return convolve_adjoint(y, self._square(y), self.axes.boundary)

    def gain(self, signal: Tensor) -> Tensor:
        """The greatest eigenvalue of `A^T A`, `(1,)`, for signals like `signal`, `(n, 0, *shape)`."""
        matrices = [axis_matrix(self.axes, n, signal.double()) for n in space_of(tuple(signal.shape[2:]))]
        norms = [torch.linalg.matrix_norm(matrix, 2) for matrix in matrices]
        return torch.stack(norms).prod().square()[None]

    def _long(self, x: Tensor) -> bool:
        return x.ndim == 4 and sum(x.shape[2:]) > max(LONG, 4 * self.axes.size**2)

    def _square(self, x: Tensor) -> Tensor:
        kernel = self.axes.kernel()
        return kernel.outer(kernel)[None, None].to(x)


@register("gaussian_blur")
@dataclass(frozen=True)
class GaussianBlur:
    r"""Blur by $k_j \propto e^{-j^2 / 2 s^2}$ along each axis, with sum 1; vectors along their axis.

    Args:
        size: The odd number of entries of the kernel along an axis.
        std: The standard deviation s, in pixels, > 0.
        boundary: How signals are continued: `reflect` (without the edge), `circular` or `zero`.
    """

    size: int = 3
    std: float = 1.0
    boundary: Boundary = "reflect"

    linear: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    masks: ClassVar[bool] = False
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise ValueError(f"size must be odd and >= 1, got {self.size}")
        if not self.std > 0:
            raise ValueError(f"std must be > 0, got {self.std}")

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Gaussian:
        """The blur: the law has one outcome."""
        self.measured_shape(shape)
        return Gaussian(self)

    def restore(self, tensors: dict[str, Tensor]) -> Gaussian:
        """The blur, from no tensors."""
        return Gaussian(self)

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the signal."""
        for axis in range(min(len(shape) - 1, 1), len(shape)):
            check("size", self.size, axis, shape, self.boundary)
        return shape

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Whether no frequency is lost, up to rounding."""
        return full_rank(self, shape)

    def matrix(self, length: int) -> Tensor:
        """The blur along an axis, `(length, length)` in float64."""
        windows = padding(length, self.size // 2, self.boundary).unfold(0, self.size, 1)
        return windows @ self.kernel()

    def kernel(self) -> Tensor:
        """The kernel along an axis, `(size,)` in float64."""
        j = torch.arange(self.size, dtype=torch.float64) - self.size // 2
        kernel = torch.exp(-(j**2) / (2 * self.std**2))
        return kernel / kernel.sum()

    def length(self, measured: int) -> int:
        """That of the measurement."""
        return measured
