"""The identity, `A = I`: with measurement noise, the task of denoising."""

from __future__ import annotations

__all__ = ["Identity", "IdentityDraw"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.draw import LinearDraw


@dataclass(frozen=True)
class IdentityDraw(LinearDraw):
    """The identity on every sample."""

    projects: ClassVar[bool] = True

    def __call__(self, x: Tensor) -> Tensor:
        """`x` itself."""
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        """`y` itself."""
        return y

    def pinv(self, y: Tensor) -> Tensor:
        """`y` itself."""
        return y


@register("identity")
@dataclass(frozen=True)
class Identity:
    """The identity, `A = I`."""

    linear: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    masks: ClassVar[bool] = False
    random: ClassVar[bool] = False

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> IdentityDraw:
        """The identity: the law has one outcome."""
        return IdentityDraw()

    def restore(self, tensors: dict[str, Tensor]) -> IdentityDraw:
        """The identity, from no tensors."""
        return IdentityDraw()

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the signal."""
        return shape

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Always: `E[A^T A] = I`."""
        return True
