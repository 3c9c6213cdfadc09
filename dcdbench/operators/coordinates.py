"""Random coordinates: a fixed number of a vector's entries is seen, and it is known which."""

from __future__ import annotations

__all__ = ["CoordinateMask", "Coordinates"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.inpainting import Mask, bernoulli


@dataclass(frozen=True)
class CoordinateMask(Mask):
    """A mask per sample that shows a known number of entries."""

    exact_share: ClassVar[bool] = False

    def further(self, delta: float, rng: torch.Generator) -> CoordinateMask:
        """Drops each seen entry with probability `delta`; of two or more, one at least if `delta > 0`.

        Were all of them left, one could count them, and know that no other was seen.
        """
        kept = self.mask * bernoulli(self.mask, 1 - delta, rng)
        if delta > 0:
            ranks = torch.rand(self.mask.shape, generator=rng, device=rng.device).to(self.mask)
            ranks = self.mask * (1 + ranks)
            chosen = torch.zeros_like(kept).scatter_(1, ranks.argmax(1, keepdim=True), 1.0)
            several = self.mask.sum(1, keepdim=True) > 1
            kept = kept * (1 - chosen * several)
        return CoordinateMask(kept)


@register("coordinates")
@dataclass(frozen=True)
class Coordinates:
    """A law over masks: `count` of a vector's entries are seen, every choice of them alike.

    One coordinate determines the laws of the coordinates alone, and no correlation: two are needed. A
    further corruption of one coordinate can only leave it, and then no other was seen, or drop it; one of
    several drops at least one, so that the others may have been seen.

    Args:
        count: How many entries are seen, >= 1.
    """

    count: int = 1

    linear: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.count >= 1:
            raise ValueError(f"count must be >= 1, got {self.count}")

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> CoordinateMask:
        """`n` independent masks."""
        (d,) = self.measured_shape(shape)
        chosen = torch.rand(n, d, generator=rng, device=rng.device).topk(self.count).indices
        return CoordinateMask(torch.zeros(n, d, device=rng.device).scatter_(1, chosen, 1.0))

    def restore(self, tensors: dict[str, Tensor]) -> CoordinateMask:
        """The masks that were stored."""
        return CoordinateMask(tensors["mask"])

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the signal, a vector with `count` entries or more."""
        if len(shape) != 1:
            raise ValueError(
                f"coordinates needs vectors, got signals of shape {shape}; for images: inpainting"
            )
        if self.count > shape[0]:
            raise ValueError(f"count must be <= {shape[0]}, the length of the vector, got {self.count}")
        return shape

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Always: `E[A^T A] = (count / d) I`. Second moments need a `count` of two or more."""
        return True
