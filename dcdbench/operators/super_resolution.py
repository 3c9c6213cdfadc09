"""Super-resolution: an image is measured on a coarser grid."""

from __future__ import annotations

__all__ = ["Sampling", "ShiftedSampling", "SuperResolution", "keys"]

from dataclasses import dataclass
from types import EllipsisType
from typing import ClassVar, Literal

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.draw import LinearDraw
from dcdbench.operators.separable import RANK, Separable, space_of

Kernel = Literal["average", "bicubic", "nearest"]


@dataclass(frozen=True)
class Sampling(Separable):
    """Weighted means around the points of a coarse grid, the same grid for all samples."""

    axes: SuperResolution

    projects: ClassVar[bool] = True

    def __call__(self, x: Tensor) -> Tensor:
        """The image on the coarse grid."""
        if self.axes.kernel != "nearest":
            return super().__call__(x)
        return x[self._points(x)]

    def adjoint(self, y: Tensor) -> Tensor:
        """The measurements, spread on the fine grid."""
        if self.axes.kernel != "nearest":
            return super().adjoint(y)
        x = y.new_zeros(*y.shape[: 1 if y.ndim == 2 else 2], *self._signal(y))
        x[self._points(y)] = y
        return x

    def back(self, y: Tensor) -> Tensor:
        """`A^+ y`, which has the scale of a signal."""
        return self.pinv(y)

    def _points(self, x: Tensor) -> tuple[EllipsisType | slice, ...]:
        return (..., *(slice(None, None, self.axes.factor) for _ in range(max(x.ndim - 2, 1))))


@dataclass(frozen=True)
class ShiftedSampling(LinearDraw):
    """A coarse grid per sample: `Sampling` of the signal that is shifted circularly.

    Args:
        columns: 1 where a cell of the grid starts along the last axis, `(B, 1, 1, W)`; for
            vectors `(B, d)`.
        rows: The same along the other axis, `(B, 1, H, 1)`; None for vectors.
        grid: The sampling on the grid that is not shifted.
    """

    columns: Tensor
    rows: Tensor | None
    grid: Sampling

    projects: ClassVar[bool] = True
    shared: ClassVar[tuple[str, ...]] = ("grid",)

    def __call__(self, x: Tensor) -> Tensor:
        """The image on each sample's coarse grid."""
        return self.grid(self._shift(x, 1))

    def adjoint(self, y: Tensor) -> Tensor:
        """The adjoint on the grid, shifted back."""
        return self._shift(self.grid.adjoint(y), -1)

    def pinv(self, y: Tensor) -> Tensor:
        """The pseudo-inverse on the grid, shifted back: a shift is orthogonal."""
        return self._shift(self.grid.pinv(y), -1)

    def back(self, y: Tensor) -> Tensor:
        """`A^+ y`, which has the scale of a signal."""
        return self.pinv(y)

    def condition(self) -> Tensor:
        """1 where a cell of the sample's grid starts: `(B, 1, H, W)`, for vectors `(B, d)`."""
        return self.columns if self.rows is None else self.rows * self.columns

    def _shift(self, x: Tensor, sign: int) -> Tensor:
        place = _moved(self.columns, -1, sign)
        if self.rows is None:
            return x.gather(1, place)
        place = _moved(self.rows, -2, sign) * x.shape[-1] + place  # (B, 1, H, W)
        flat = x.flatten(2)
        return flat.gather(2, place.flatten(2).expand(flat.shape)).reshape(x.shape)


def _moved(starts: Tensor, axis: int, sign: int) -> Tensor:
    """The places along an axis, moved by the phase of each sample, or back by it."""
    n = starts.shape[axis]
    place = torch.arange(n, device=starts.device)
    place = place if axis == -1 else place[:, None]
    return (place + sign * starts.argmax(axis, keepdim=True)) % n


@register("super_resolution")
@dataclass(frozen=True)
class SuperResolution:
    """A law over coarse grids: every `factor`-th entry along each axis, after averaging.

    Args:
        factor: How many pixels are between two measurements along an axis, >= 1; it must divide
            the axes. A vector has one axis.
        kernel: The mean of each cell (`average`), its first pixel (`nearest`), or the cubic kernel
            widened by the factor, against aliasing, about the middle of each cell (`bicubic`).
        phase: One grid for all samples (`fixed`), or each sample's is shifted circularly along each
            axis by a uniform number of pixels below the factor (`random`). Beyond the edges the
            bicubic kernel sees the mirror image (with the edge), or the other end where random.
    """

    factor: int = 2
    kernel: Kernel = "average"
    phase: Literal["fixed", "random"] = "fixed"

    linear: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    masks: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"factor must be >= 1, got {self.factor}")

    @property
    def random(self) -> bool:
        """Whether grids differ from sample to sample."""
        return self.phase == "random" and self.factor > 1

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Sampling | ShiftedSampling:
        """`n` independent grids, or the one that is fixed."""
        self.measured_shape(shape)
        if self.phase == "fixed":
            return Sampling(self)
        phases = torch.randint(self.factor, (len(space_of(shape)), n), generator=rng, device=rng.device)
        starts = [_starts(p, length, self.factor) for p, length in zip(phases, space_of(shape), strict=True)]
        if len(shape) == 1:
            return ShiftedSampling(starts[0], None, Sampling(self))
        return ShiftedSampling(starts[1][:, None, None, :], starts[0][:, None, :, None], Sampling(self))

    def restore(self, tensors: dict[str, Tensor]) -> Sampling | ShiftedSampling:
        """The grids that were stored."""
        if self.phase == "fixed":
            return Sampling(self)
        return ShiftedSampling(tensors["columns"], tensors.get("rows"), Sampling(self))

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the coarse grid."""
        space = space_of(shape)
        for n in space:
            if n % self.factor:
                raise ValueError(
                    f"factor {self.factor} must divide the axes {space} of signals of shape {shape}: "
                    "cut or pad them"
                )
        return (*shape[: len(shape) - len(space)], *(n // self.factor for n in space))

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Whether no frequency is lost: point sampling with a random phase, or a factor of 1.

        With a random phase `E[A^T A]` is a circular convolution, whose gains are the kernel's.
        """
        if self.phase == "fixed":
            return self.factor == 1
        gains = [torch.fft.fft(self.matrix(n)[0]).abs() ** 2 for n in space_of(shape)]
        return all(bool(g.min() > RANK * g.max()) for g in gains)

    def matrix(self, length: int) -> Tensor:
        """The sampling along an axis, `(length / factor, length)` in float64."""
        f, m = self.factor, length // self.factor
        if self.kernel != "bicubic":
            cell = torch.zeros(f, dtype=torch.float64)
            cell[: 1 if self.kernel == "nearest" else f] = 1
            return torch.kron(torch.eye(m, dtype=torch.float64), cell / cell.sum())
        first = (f - 1) // 2 - 2 * f  # a margin that holds the support, 2 f to each side of a middle
        reach = torch.arange(first, first + 4 * f + 2)
        weight = keys((reach - (f - 1) / 2) / f)
        place = f * torch.arange(m)[:, None] + reach
        return torch.zeros(m, length, dtype=torch.float64).scatter_add(
            1, self._within(place, length), (weight / weight.sum()).expand(m, -1)
        )

    def _within(self, place: Tensor, length: int) -> Tensor:
        if self.phase == "random":
            return place % length
        place = place % (2 * length)
        return torch.minimum(place, 2 * length - 1 - place)

    def length(self, measured: int) -> int:
        """How many entries an axis has, of which `measured` are measured."""
        return self.factor * measured


def keys(t: Tensor) -> Tensor:
    """The cubic convolution kernel with a = -1/2, https://doi.org/10.1109/TASSP.1981.1163711."""
    t = t.double().abs()
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return torch.where(t <= 1, near, torch.where(t < 2, far, 0.0))


def _starts(phase: Tensor, length: int, factor: int) -> Tensor:
    """1 where a cell starts, `(n, length)`: entries whose place is `phase` modulo the factor."""
    place = torch.arange(length, device=phase.device)
    return (place % factor == phase[:, None]).float()
