"""Random blocks: one square of each image is missing, or is all that is seen."""

from __future__ import annotations

__all__ = ["BlockMask", "Blocks"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.inpainting import Mask, bernoulli


@dataclass(frozen=True)
class BlockMask(Mask):
    """A mask per sample from which one block is missing, of one size for all."""

    exact_share: ClassVar[bool] = False

    def further(self, delta: float, rng: torch.Generator) -> BlockMask:
        """Drops each seen entry with probability `delta`, and if `delta > 0` another block, or two.

        Which of the blocks is missing from `A` is then not known, so that `A` may have seen any entry: the
        blocks have none in common, where the image has room for two apart.
        """
        kept = self.mask * bernoulli(self.mask, 1 - delta, rng)
        if delta == 0 or not len(kept):
            return BlockMask(kept)
        corner, block = _hole(self.mask)
        for other in _others(corner, block, _sides(self.mask), rng):
            kept = kept * ~_covered(other, block, self.mask)
        return BlockMask(kept)


@register("blocks")
@dataclass(frozen=True)
class Blocks:
    """A law over masks: a square block, anywhere inside the image, is missing in all channels at once.

    A vector is an image of one row: an interval of it is missing. Where only the block is seen, no two
    entries that lie further apart than its sides are ever seen together, and what a further corruption
    leaves of it tells where it was: `E[A^T A | A']` has full rank for blocks that are missing alone.

    Args:
        size: The block's side: a number of pixels, or if below 1 a share of the image's shorter side. What
            is larger than the image is cut.
        missing: Whether the block is missing, or all that is seen.
    """

    size: float = 2.0
    missing: bool = True

    linear: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.size > 0 or (self.size > 1 and self.size != int(self.size)):
            raise ValueError(f"size must be a whole number of pixels or a share in (0, 1), got {self.size}")

    def block(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """The block's height and width in signals of `shape`."""
        sides = shape[-2:] if len(shape) > 1 else (1, *shape)
        share = self.size * min(shape[-2:]) if self.size < 1 else self.size
        side = max(1, round(share))
        return min(side, sides[0]), min(side, sides[1])

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Mask:
        """`n` independent masks."""
        mask = torch.ones(n, *(shape if len(shape) == 1 else (1, *shape[1:])), device=rng.device)
        block = self.block(shape)
        room = torch.tensor(_sides(mask), device=rng.device) - torch.tensor(block, device=rng.device) + 1
        corner = (torch.rand(n, 2, generator=rng, device=rng.device, dtype=torch.float64) * room).long()
        covered = _covered(corner, block, mask)
        return BlockMask(mask * ~covered) if self.missing else Mask(mask * covered)

    def restore(self, tensors: dict[str, Tensor]) -> Mask:
        """The masks that were stored."""
        return BlockMask(tensors["mask"]) if self.missing else Mask(tensors["mask"])

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the signal."""
        return shape

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Unless each block that fits hides the middle: where the image has room for two blocks apart."""
        (h, w), sides = self.block(shape), shape[-2:] if len(shape) > 1 else (1, *shape)
        return not self.missing or 2 * h <= sides[0] or 2 * w <= sides[1]


def _sides(mask: Tensor) -> tuple[int, int]:
    """Height and width of masks `(B, 1, H, W)` or `(B, d)`; a vector is one row."""
    return (mask.shape[-2], mask.shape[-1]) if mask.ndim > 2 else (1, mask.shape[-1])


def _covered(corner: Tensor, block: tuple[int, int], like: Tensor) -> Tensor:
    """Whether blocks whose first row and column are `corner`, `(B, 2)`, cover the entries of a mask."""
    inside = []
    for axis, side in enumerate(_sides(like)):
        offset = torch.arange(side, device=like.device) - corner[:, axis, None].to(like.device)
        inside.append((offset >= 0) & (offset < block[axis]))
    return (inside[0][:, :, None] & inside[1][:, None]).reshape(like.shape)


def _hole(mask: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """The corners, `(B, 2)`, and the size of the missing blocks: the most rows and columns with a hole."""
    hidden = (mask == 0).reshape(len(mask), *_sides(mask))
    rows, columns = hidden.any(2), hidden.any(1)
    corner = torch.stack([rows.int().argmax(1), columns.int().argmax(1)], 1)
    return corner, (int(rows.sum(1).max()), int(columns.sum(1).max()))


def _others(
    corner: Tensor, block: tuple[int, int], sides: tuple[int, int], rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Corners of two more blocks, so that the three have no entry in common where that can be.

    The first lies apart from the block at `corner` if there is room, and is then repeated. Else the two lie
    apart from each other.
    """
    axes = [torch.arange(side - b + 1, device=rng.device) for side, b in zip(sides, block, strict=True)]
    places = torch.cartesian_prod(*axes)  # (m, 2)
    size = torch.tensor(block, device=rng.device)
    lonely = (places < size) & (places + 2 * size > torch.tensor(sides, device=rng.device))

    def apart(corner: Tensor) -> Tensor:
        return ((corner[:, None].to(rng.device) - places).abs() >= size).any(2)  # (B, m)

    def choose(allowed: Tensor) -> Tensor:
        weight = (allowed | ~allowed.any(1, keepdim=True)).float()
        return places[torch.multinomial(weight, 1, generator=rng)[:, 0]]

    clear = apart(corner)
    room = clear.any(1, keepdim=True)
    first = choose(torch.where(room, clear, ~lonely.all(1)))
    return first, torch.where(room, first, choose(apart(first)))
