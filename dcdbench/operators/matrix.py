"""Any linear operator, given by its matrix."""

from __future__ import annotations

__all__ = ["Dense", "Matrix"]

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.draw import LinearDraw
from dcdbench.operators.separable import CUTOFF, RANK


@dataclass(frozen=True)
class Dense(LinearDraw):
    """A matrix that all samples share, on flattened signals.

    Args:
        law: Where the matrix is from.
        signal: `(B, 0, *shape)`: no numbers, but the shape of the signals, which the flat
            measurements do not tell. None for vectors.
    """

    law: Matrix
    signal: Tensor | None = None

    shared: ClassVar[tuple[str, ...]] = ("law",)

    def __call__(self, x: Tensor) -> Tensor:
        """`A x`, `(B, m)`."""
        return x.flatten(1) @ self.law.matrix(x.dtype, x.device).mT

    def adjoint(self, y: Tensor) -> Tensor:
        """`A^T y`."""
        return self._shaped(y @ self.law.matrix(y.dtype, y.device))

    def pinv(self, y: Tensor) -> Tensor:
        """`A^+ y`; singular values below a share of 1e-8 of the greatest count as zero."""
        return self._shaped(y @ self.law.matrix(y.dtype, y.device, inverse=True).mT)

    def back(self, y: Tensor) -> Tensor:
        """`A^T y / |A|^2`, which has the scale of a signal and does not amplify noise."""
        return self.adjoint(y) / self.law.norm() ** 2

    def _shaped(self, x: Tensor) -> Tensor:
        return x if self.signal is None else x.reshape(-1, *self.signal.shape[2:])


@register("matrix")
@dataclass(frozen=True)
class Matrix:
    """A given matrix with one row per measurement, on vectors or flattened images.

    Args:
        entries: The rows; not read where there is a file.
        file: A .npy file of one array of two axes, or a .npz file that holds only that.
    """

    entries: tuple[tuple[float, ...], ...] = ((1.0, 0.5),)
    file: Path | None = None

    linear: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    masks: ClassVar[bool] = False
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.file is not None:
            self._full()
            return
        if not self.entries or len({len(row) for row in self.entries}) != 1 or not self.entries[0]:
            sizes = [len(row) for row in self.entries]
            raise ValueError(f"entries must be rows of one length, at least one, got lengths {sizes}")
        if not all(math.isfinite(a) for row in self.entries for a in row):
            raise ValueError("entries must be finite numbers")

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Dense:
        """The matrix: the law has one outcome."""
        self.measured_shape(shape)
        return Dense(self, None if len(shape) == 1 else torch.empty(n, 0, *shape, device=rng.device))

    def restore(self, tensors: dict[str, Tensor]) -> Dense:
        """The matrix, for signals of the shape that was stored, else for vectors."""
        return Dense(self, tensors.get("signal"))

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """`(m,)` for m rows."""
        rows, columns = self._full().shape
        if math.prod(shape) != columns:
            source = "entries" if self.file is None else self.file
            raise ValueError(
                f"{source} has {columns} columns, signals of shape {shape} have {math.prod(shape)} entries"
            )
        return (rows,)

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Whether the matrix has full column rank, up to rounding."""
        full = self._full()
        values = torch.linalg.svdvals(full)
        return len(full) >= full.shape[1] and bool(values[-1] ** 2 > RANK * values[0] ** 2)

    def matrix(self, dtype: torch.dtype, device: torch.device, *, inverse: bool = False) -> Tensor:
        """The matrix, `(m, d)`, or its pseudo-inverse."""
        changed = None if self.file is None else self.file.stat().st_mtime_ns
        return _matrix(self, changed, dtype, device, inverse)

    def norm(self) -> float:
        """The spectral norm."""
        return _norm(self, None if self.file is None else self.file.stat().st_mtime_ns)

    def _full(self) -> Tensor:
        if self.file is None:
            return torch.tensor(self.entries, dtype=torch.float64)
        if not self.file.is_file():
            raise ValueError(f"file must be a file that exists, got {self.file}")
        return _read(self.file, self.file.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _matrix(
    law: Matrix, changed: int | None, dtype: torch.dtype, device: torch.device, inverse: bool
) -> Tensor:
    with torch.inference_mode(False):  # what is kept must serve gradients later
        full = law._full()
        return (torch.linalg.pinv(full, rtol=CUTOFF) if inverse else full).to(device=device, dtype=dtype)


@lru_cache(maxsize=16)
def _norm(law: Matrix, changed: int | None) -> float:
    return float(torch.linalg.matrix_norm(law._full(), 2))


@cache
def _read(path: Path, changed: int) -> Tensor:
    """A file's matrix in float64. A plan asks for it often."""
    try:
        loaded = np.load(path, allow_pickle=False)
    except Exception as error:  # NumPy raises many kinds, by the way in which a file is broken
        raise ValueError(f"file cannot be read: {path}: {error}") from error
    arrays = [loaded] if isinstance(loaded, np.ndarray) else list(loaded.values())
    if len(arrays) != 1 or arrays[0].ndim != 2 or 0 in arrays[0].shape or arrays[0].dtype.kind not in "fiub":
        shapes = [(a.shape, str(a.dtype)) for a in arrays]
        raise ValueError(f"file must hold one array of real numbers with two axes, {path} holds {shapes}")
    if not np.isfinite(arrays[0]).all():
        raise ValueError(f"file must hold finite numbers, {path} holds NaN or infinity")
    return torch.from_numpy(arrays[0].astype(np.float64))
