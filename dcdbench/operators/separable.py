"""Linear operators that treat the axes of a signal one after the other."""

from __future__ import annotations

__all__ = ["RANK", "Axes", "Separable", "axis_matrix", "full_rank", "space_of"]

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from dcdbench.operators.draw import LinearDraw

# Singular values below this share of the greatest count as zero. Its square root of the machine
# epsilon balances what is cut off with what rounding adds to the rest.
CUTOFF = 1e-8
RANK = 1e-9  # eigenvalues of E[A^T A] below this share of the greatest count as zero


class Axes(Protocol):
    """One matrix per length of an axis; hashable, for the matrices are kept."""

    def __hash__(self) -> int: ...

    def matrix(self, length: int) -> Tensor:
        """The matrix, `(measured, length)` in float64, for an axis of `length` entries."""
        ...

    def length(self, measured: int) -> int:
        """How many entries an axis has in the signal, where it has `measured` in the measurement."""
        ...


@dataclass(frozen=True)
class Separable(LinearDraw):
    r"""A Kronecker product, $A = K_h \otimes K_w$, on each channel; `A = K` on vectors.

    The pseudo-inverse of a Kronecker product is that of its factors.

    Args:
        axes: The rule that gives the matrices.
    """

    axes: Axes

    shared: ClassVar[tuple[str, ...]] = ("axes",)

    def __call__(self, x: Tensor) -> Tensor:
        """`K_h x K_w^T`."""
        return _apply(x, *(axis_matrix(self.axes, n, x) for n in _lengths(x)))

    def adjoint(self, y: Tensor) -> Tensor:
        """`K_h^T y K_w`."""
        return _apply(y, *(axis_matrix(self.axes, n, y).mT for n in self._signal(y)))

    def pinv(self, y: Tensor) -> Tensor:
        """`K_h^+ y (K_w^+)^T`."""
        return _apply(y, *(axis_matrix(self.axes, n, y, inverse=True) for n in self._signal(y)))

    def _signal(self, y: Tensor) -> tuple[int, ...]:
        return tuple(self.axes.length(n) for n in _lengths(y))


def axis_matrix(axes: Axes, length: int, like: Tensor, *, inverse: bool = False) -> Tensor:
    """The matrix for an axis, or its pseudo-inverse, with the type and device of `like`."""
    return _matrix(axes, length, inverse, like.dtype, like.device)


@lru_cache(maxsize=64)
def _matrix(axes: Axes, length: int, inverse: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # what is kept must serve gradients later
        full = axes.matrix(length)
        full = torch.linalg.pinv(full, rtol=CUTOFF) if inverse else full
        return full.to(device=device, dtype=dtype)


def _lengths(x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape[1:] if x.ndim == 2 else x.shape[2:])


def _apply(x: Tensor, *factors: Tensor) -> Tensor:
    """Applies one matrix to each axis of vectors `(B, d)` or images `(B, C, H, W)`."""
    x = x @ factors[-1].mT
    return x if len(factors) == 1 else factors[0] @ x


def space_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of signals of `shape` that carry positions: all of a vector, the last two of an image."""
    return shape if len(shape) == 1 else shape[1:]


def full_rank(axes: Axes, shape: tuple[int, ...]) -> bool:
    """Whether the operator has full column rank on signals of `shape`: whether its factors have."""
    for length in space_of(shape):
        k = axes.matrix(length)
        values = torch.linalg.svdvals(k)
        if k.shape[0] < length or values[-1] ** 2 <= RANK * values[0] ** 2:
            return False
    return True
