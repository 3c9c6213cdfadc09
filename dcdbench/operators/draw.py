"""What the draws of linear operators share: slicing, moving, and being stored, by their fields."""

from __future__ import annotations

__all__ = ["LinearDraw"]

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class LinearDraw:
    """Draws of a linear operator whose fields are tensors with one entry per sample.

    A subclass adds the fields and `__call__`, `adjoint` and `pinv`. What it does not say
    is that of an operator that measures every entry of `y` and has no further corruption.
    Fields named in `shared` are one for all samples, tensors or not: slicing keeps them, and
    they are not stored, since the law remakes them from its own parameters. Fields that are
    None are not stored either.
    """

    linear: ClassVar[bool] = True
    projects: ClassVar[bool] = False  # whether `back(A(x))` is an orthogonal projection
    shared: ClassVar[tuple[str, ...]] = ()
    exact_share: ClassVar[bool] = True  # whether `further` drops a share that is delta on average

    def restrict(self, y: Tensor) -> Tensor:
        """Zeroes the entries of `y` that were not measured: none here."""
        return y

    def back(self, y: Tensor) -> Tensor:
        """`y` as a signal, for a network to see: `A^T y` here."""
        return self.adjoint(y)

    def adjoint(self, y: Tensor) -> Tensor:
        """`A^T y`."""
        raise NotImplementedError

    def further(self, delta: float, rng: torch.Generator) -> Self | None:
        """A further corruption that drops a share `delta` of what was measured: none here."""
        return None

    def condition(self) -> Tensor | None:
        """What a network is shown of this draw: nothing here."""
        return None

    def tensors(self) -> dict[str, Tensor]:
        """The fields that differ from sample to sample, by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self.shared}
        return {name: t for name, t in values.items() if t is not None}

    def __getitem__(self, index: Tensor | slice) -> Self:
        return replace(self, **{name: t[index] for name, t in self.tensors().items()})

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """The same draws on another device, or in another floating type; whole numbers keep theirs."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(
            self, **{k: _moved(v, device, dtype) for k, v in values.items() if isinstance(v, Tensor)}
        )


def _moved(t: Tensor, device: Any, dtype: torch.dtype | None) -> Tensor:
    exact = t.is_floating_point() or t.is_complex()
    if dtype is not None and t.is_complex() and not dtype.is_complex:
        dtype = dtype.to_complex()
    return t.to(device=device, dtype=dtype if exact else None)
