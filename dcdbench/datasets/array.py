"""A user's own array: .npy, .npz or .safetensors."""

from __future__ import annotations

__all__ = ["Array"]

import zipfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dcdbench.datasets import register
from dcdbench.datasets.own import CORRUPTED, checked, classes, existing, own_data
from dcdbench.protocols import Data
from dcdbench.streams import Stream

SUFFIXES = (".npy", ".npz", ".safetensors")
NUMBERS = "fiub"  # NumPy's kinds of real numbers
SIGNALS = ("x", "y")  # entries that are never draws of an operator
LABELS = "labels"  # the entry of classes


@register("array")
@dataclass(frozen=True)
class Array:
    """Your own signals or measurements, from a .npy, .npz or .safetensors file.

    Floats of shape `(n, d)`, `(n, height, width)` or `(n, channels, height, width)`, taken as they
    are: `sigma_y` is in their unit. Where data are `corrupted`, entries beside the measurements with
    one row each, such as `mask`, are the draws of the operator. An entry `labels` beside clean signals, one
    whole number for each, has their classes, which scores alone may use.

    Args:
        path: The file.
        corrupted: Whether it holds measurements already, or clean signals that the benchmark corrupts.
        key: The entry of a file with several; by default the only one, else `y` where corrupted, else `x`.
        reference: A file of clean, held-out signals for scores of corrupted data: half reference, half
            floor. No method sees them.
    """

    path: Path
    corrupted: bool = field(metadata=CORRUPTED)
    key: str | None = None
    reference: Path | None = None

    divides: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._shape_in("path", self.path, self._signal())
        if self.reference is None:
            return
        if not self.corrupted:
            raise ValueError("reference is for corrupted data: clean data are their own reference")
        self._shape_in("reference", self.reference, "x")

    def _signal(self) -> str:
        return "y" if self.corrupted else "x"

    def _shape_in(self, name: str, path: Path, signal: str) -> tuple[int, ...]:
        existing(name, path)
        shapes = _shapes(path, _changed(path))
        return shapes[_entry(name, path, tuple(shapes), self.key if name == "path" else None, signal)]

    def shape(self) -> tuple[int, ...]:
        """That of a reference where there is one, else that of an entry."""
        if self.reference is not None:
            full = self._shape_in("reference", self.reference, "x")
        else:
            full = self._shape_in("path", self.path, self._signal())
        return (1, *full[1:]) if len(full) == 3 else full[1:]

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """A random division per seed."""
        entries = _read(self.path)
        name = _entry("path", self.path, tuple(entries), self.key, self._signal())
        x = checked(entries[name], _named(self.path, name))
        draws = _draws(entries, name, x, self.path) if self.corrupted else {}
        reference, labels = None, None if self.corrupted else _labels(entries, x, self.path)
        if self.reference is not None:
            clean = _read(self.reference)
            name = _entry("reference", self.reference, tuple(clean), None, "x")
            reference = checked(clean[name], _named(self.reference, name))
            labels = _labels(clean, reference, self.reference)
        return own_data(x, self.corrupted, reference, train, heldout, stream, draws, labels)


def _draws(entries: dict[str, Tensor], name: str, x: Tensor, path: Path) -> dict[str, Tensor]:
    """The entries beside the measurements, one row each; a mask of images without a channel gets one."""
    if LABELS in entries:
        raise ValueError(
            f"{_named(path, LABELS)} has no use, because the data are corrupted: labels are of clean "
            "signals, and stand in the file that `reference` names"
        )
    draws = {}
    for other, t in entries.items():
        if other == name or other in SIGNALS or (t.ndim < 2 and t.shape != (len(x),)):
            continue
        if len(t) != len(x):
            raise ValueError(
                f"{_named(path, other)} has {len(t)} rows and {name!r} has {len(x)}: "
                "each measurement needs its own"
            )
        if not torch.isfinite(t).all():
            raise ValueError(f"{_named(path, other)} holds NaN or infinity")
        images = x.ndim == 4 and t.shape[1:] == x.shape[2:]
        draws[other] = (t[:, None] if images else t).float()
    return draws


def _labels(entries: dict[str, Tensor], x: Tensor, path: Path) -> Tensor | None:
    """The classes of clean signals, `(n,)`, where there are any."""
    return classes(entries[LABELS], len(x), _named(path, LABELS)) if LABELS in entries else None


def _entry(field: str, path: Path, names: tuple[str, ...], key: str | None, signal: str) -> str:
    """The name of the entry that holds the signals."""
    names = tuple(name for name in names if name != LABELS)
    there = f"{path.name} has the entries {', '.join(names)}"
    if key is not None:
        if key not in names:
            raise ValueError(f"key must name an entry: {there}; got {key!r}")
        return key
    if len(names) == 1:
        return names[0]
    other = SIGNALS[1 - SIGNALS.index(signal)]
    for name in (signal, other):
        if name in names:
            return name
    which = "name one with `key`" if field == "path" else f"call that of the signals {signal!r}"
    raise ValueError(f"{field} must say which entry to take: {there}; {which}")


def _named(path: Path, name: str) -> str:
    return str(path) if path.suffix == ".npy" else f"{path}, entry {name!r},"


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns


@cache
def _shapes(path: Path, changed: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a file's entries, from its headers alone. A plan asks for them often."""
    try:
        return _headers(path)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise ValueError(f"path cannot be read: {path}: {error}") from error
    except Exception as error:  # safetensors raises its own
        raise ValueError(f"path cannot be read: {path}: {type(error).__name__}: {error}") from error


def _headers(path: Path) -> dict[str, tuple[int, ...]]:
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, "np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    if path.suffix == ".npy":
        return {"x": np.load(path, mmap_mode="r").shape}
    if path.suffix != ".npz":
        raise ValueError(f"a file of a kind that is known ends in {', '.join(SUFFIXES)}")
    shapes = {}
    with zipfile.ZipFile(path) as members:
        for member in members.namelist():
            with members.open(member) as file:
                version = np.lib.format.read_magic(file)
                known = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }
                shapes[member.removesuffix(".npy")] = known[version](file)[0]
    return shapes


def _read(path: Path) -> dict[str, Tensor]:
    """The entries of a file that hold real numbers."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    loaded = np.load(path, allow_pickle=False)
    arrays = {"x": loaded} if path.suffix == ".npy" else dict(loaded.items())
    if LABELS in arrays and arrays[LABELS].dtype.kind not in NUMBERS:
        raise ValueError(f"{_named(path, LABELS)} must hold whole numbers, got {arrays[LABELS].dtype}")
    return {name: _tensor(array) for name, array in arrays.items() if array.dtype.kind in NUMBERS}


def _tensor(array: np.ndarray) -> Tensor:
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("="), copy=False))
