"""Random inpainting: each pixel is seen with a given probability, and it is known which."""

from __future__ import annotations

__all__ = ["Inpainting", "Mask"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.draw import LinearDraw


@dataclass(frozen=True)
class Mask(LinearDraw):
    """A mask per sample, `A = diag(m)`: unseen entries read 0.

    Args:
        mask: 1 where seen, 0 elsewhere; `(B, 1, *space)` for images, `(B, d)` for vectors.
    """

    mask: Tensor

    projects: ClassVar[bool] = True

    def __call__(self, x: Tensor) -> Tensor:
        """`m x`."""
        return self.mask * x

    def adjoint(self, y: Tensor) -> Tensor:
        """`m y`: a mask is symmetric."""
        return self.mask * y

    def pinv(self, y: Tensor) -> Tensor:
        """`m y`: a mask is an orthogonal projection."""
        return self.mask * y

    def restrict(self, y: Tensor) -> Tensor:
        """`m y`."""
        return self.mask * y

    def further(self, delta: float, rng: torch.Generator) -> Mask:
        """Drops each seen pixel with probability `delta`, independently."""
        return Mask(self.mask * bernoulli(self.mask, 1 - delta, rng))

    def condition(self) -> Tensor:
        """The mask."""
        return self.mask


@register("inpainting")
@dataclass(frozen=True)
class Inpainting:
    """A law over masks: each pixel is kept with probability `keep`, in all channels at once.

    Args:
        keep: The probability that a pixel is seen, in (0, 1].
    """

    keep: float = 0.5

    linear: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise ValueError(f"keep must be in (0, 1], got {self.keep}")

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Mask:
        """`n` independent masks."""
        space = shape if len(shape) == 1 else (1, *shape[1:])
        return Mask(bernoulli(torch.empty(n, *space, device=rng.device), self.keep, rng))

    def restore(self, tensors: dict[str, Tensor]) -> Mask:
        """The masks that were stored."""
        return Mask(tensors["mask"])

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the signal."""
        return shape

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Always: `E[A^T A] = keep I`, and every pair of pixels is seen together with `keep^2`."""
        return True


def bernoulli(like: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Independent 0/1 entries that are 1 with probability `p`."""
    return (torch.rand(like.shape, generator=rng, device=rng.device) < p).to(like)
