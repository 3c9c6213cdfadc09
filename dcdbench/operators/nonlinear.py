"""What the draws of nonlinear operators share: they act on each entry alone, alike on all samples."""

from __future__ import annotations

__all__ = ["PointwiseDraw"]

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class PointwiseDraw:
    """One function of numbers, applied to every entry of every sample.

    Args:
        function: From a tensor to one of the same shape.
    """

    function: Callable[[Tensor], Tensor] = field(repr=False)

    linear: ClassVar[bool] = False
    projects: ClassVar[bool] = False
    exact_share: ClassVar[bool] = True

    def __call__(self, x: Tensor) -> Tensor:
        """The function of every entry."""
        return self.function(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """There is none.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a nonlinear operator has no adjoint: ask for `linear` first, or use `back`")

    def pinv(self, y: Tensor) -> Tensor:
        """There is none.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a nonlinear operator has no pseudo-inverse: ask for `linear` first")

    def restrict(self, y: Tensor) -> Tensor:
        """`y`: every entry is measured."""
        return y

    def back(self, y: Tensor) -> Tensor:
        """`y`, which has the shape of a signal."""
        return y

    def further(self, delta: float, rng: torch.Generator) -> None:
        """None: nothing can be dropped."""

    def condition(self) -> None:
        """None: there is nothing to show."""

    def tensors(self) -> dict[str, Tensor]:
        """None: all samples are measured alike."""
        return {}

    def __getitem__(self, index: Tensor | slice) -> Self:
        return self

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """Itself: it holds no tensor."""
        return self
