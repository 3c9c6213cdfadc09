"""A fixed mask, the same for every sample: what it hides is never seen, so no method can learn it."""

from __future__ import annotations

__all__ = ["FixedMask"]

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.inpainting import Mask, bernoulli
from dcdbench.streams import Stream

Pattern = Literal["checkerboard", "half", "stripes", "random"]


@register("fixed_mask")
@dataclass(frozen=True)
class FixedMask:
    """One mask for all samples, in all channels at once: a probe that is not identifiable.

    A further corruption drops each seen entry with probability `delta`, and cannot help: what `A` hides
    is hidden whatever `A'` shows.

    Args:
        pattern: What is seen. `checkerboard`: entries whose indices have an even sum. `half`: the left half,
            with the middle. `stripes`: every other column, from the first. `random`: entries drawn once.
        keep: The probability that the random pattern shows an entry, in (0, 1].
        seed: Of the random pattern, which follows from it and the signal's shape alone.
        entries: The entries that are seen, in place of a pattern: indices of the vector, or of the image
            read row by row.
    """

    pattern: Pattern = "checkerboard"
    keep: float = 0.5
    seed: int = 0
    entries: tuple[int, ...] | None = None

    linear: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.pattern not in get_args(Pattern):
            raise ValueError(f"pattern must be one of {', '.join(get_args(Pattern))}, got {self.pattern!r}")
        if not 0 < self.keep <= 1:
            raise ValueError(f"keep must be in (0, 1], got {self.keep}")
        if self.entries is not None and min(self.entries, default=0) < 0:
            raise ValueError(f"entries must be indices >= 0, got {self.entries}")

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Mask:
        """The mask, `n` times."""
        mask = self.mask(shape).to(rng.device)
        return Mask(mask.repeat(n, *(1,) * mask.ndim))

    def mask(self, shape: tuple[int, ...]) -> Tensor:
        """The mask for signals of `shape`: `(1, H, W)` for images, `(d,)` for vectors."""
        space = shape if len(shape) == 1 else (1, *shape[1:])
        if self.entries is not None:
            return _marked(self.entries, space)
        if self.pattern == "random":
            address = Stream(self.seed) / "fixed_mask" / "x".join(map(str, space))
            return bernoulli(torch.empty(space), self.keep, address.rng())
        column = torch.arange(space[-1])
        if self.pattern == "half":
            seen = 2 * column < space[-1]
        elif self.pattern == "stripes" or len(space) == 1:
            seen = column % 2 == 0
        else:
            seen = (torch.arange(space[-2])[:, None] + column) % 2 == 0
        return seen.expand(space).float()

    def restore(self, tensors: dict[str, Tensor]) -> Mask:
        """The masks that were stored."""
        return Mask(tensors["mask"])

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the signal."""
        return shape

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Only where nothing is hidden."""
        return bool(self.mask(shape).all())


def _marked(entries: tuple[int, ...], space: tuple[int, ...]) -> Tensor:
    """1 at the entries, else 0."""
    mask = torch.zeros(space).flatten()
    if max(entries, default=-1) >= len(mask):
        raise ValueError(f"entries must be below {len(mask)} for a mask of shape {space}, got {entries}")
    mask[list(entries)] = 1
    return mask.reshape(space)
