"""What the draws of linear operators share: slicing, moving, and being stored, by their fields."""

from __future__ import annotations

__all__ = ["LinearDraw"]

from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class LinearDraw:
    """Draws of a linear operator whose fields are tensors with one entry per sample.

    A subclass adds the fields and `__call__`, `adjoint` and `pinv`. What it does not say
    is that of an operator that measures every entry of `y` and has no further corruption.
    """

    linear: ClassVar[bool] = True

    def restrict(self, y: Tensor) -> Tensor:
        """Zeroes the entries of `y` that were not measured: none here."""
        return y

    def further(self, delta: float, rng: torch.Generator) -> Self | None:
        """A further corruption that drops a share `delta` of what was measured: none here."""
        return None

    def condition(self) -> Tensor | None:
        """What a network is shown of this draw: nothing here."""
        return None

    def tensors(self) -> dict[str, Tensor]:
        """The fields, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __getitem__(self, index: Tensor | slice) -> Self:
        return replace(self, **{name: t[index] for name, t in self.tensors().items()})

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """The same draws on another device, or in another floating type."""
        return replace(self, **{name: t.to(device=device, dtype=dtype) for name, t in self.tensors().items()})
