"""Patches of the two photographs in colour that come with scikit-learn."""

from __future__ import annotations

__all__ = ["Photos"]

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dcdbench.datasets import register
from dcdbench.datasets.drawn import draw_labelled
from dcdbench.protocols import Data
from dcdbench.streams import Stream

NAMES = ("china.jpg", "flower.jpg")
HEIGHT, WIDTH = 427, 640
ROLES = ("train", "test", "train", "val", "train")  # of blocks along a row; the next row is two ahead
LEAST = 4  # pixels along each side of a patch
SPREAD = 2  # blocks are at least so many patches high and wide


@register("photos")
@dataclass(frozen=True)
class Photos:
    """Square patches of two photographs, a temple in China and a flower, red, green and blue in [-1, 1].

    `load_sample_images` of scikit-learn, 427 by 640 pixels each:
    https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_sample_images.html.

    Splits share no pixel. Each photograph is cut into a grid of blocks, at least two patches high and wide.
    Along a row, blocks are for training, for scores (`test`), for training, to choose checkpoints (`val`),
    for training, and so on; each row is two blocks ahead of the row above, so that every split has blocks
    all over both photographs. A patch lies inside of one block: the block is uniform among those of the
    split, and the place is uniform in the block. The floor is of the blocks for training, and references are
    of those for scores. Patches of one block overlap, and neighbouring blocks are alike: that a method does
    well here does not say that it would on other photographs. The smaller a patch is on a photograph, the
    more blocks there are, and the more alike are the laws of the splits.

    Patch `i` of a split is a function of the split's address and of `i`. Labels are 0 for the temple and 1
    for the flower.

    Args:
        size: Pixels along each side of a patch, at least 4; at most a tenth of the photograph's width.
        reduce: Photographs are first made smaller by means over `reduce` by `reduce` pixels.
    """

    size: int = 16
    reduce: int = 1

    corrupted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        most = WIDTH // (len(ROLES) * SPREAD) // LEAST
        if not 1 <= self.reduce <= most:
            raise ValueError(f"reduce must be between 1 and {most}, got {self.reduce}")
        most = WIDTH // self.reduce // (len(ROLES) * SPREAD)
        if not LEAST <= self.size <= most:
            raise ValueError(
                f"size must be between {LEAST} and {most} where reduce is {self.reduce}, got {self.size}"
            )

    def shape(self) -> tuple[int, ...]:
        """`(3, size, size)`."""
        return (3, self.size, self.size)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """Fresh draws for every split."""
        return draw_labelled(self._draw, train, heldout, stream)

    def blocks(self, split: str) -> Tensor:
        """The blocks of a split, `(m, 4)`: top, bottom, left and right, in pixels after `reduce`."""
        role = {"floor": "train", "reference": "test"}.get(split, split)
        rows, columns = (_cuts(n // self.reduce, SPREAD * self.size) for n in (HEIGHT, WIDTH))
        return torch.tensor(
            [
                (*rows[i : i + 2], *columns[j : j + 2])
                for i in range(len(rows) - 1)
                for j in range(len(columns) - 1)
                if ROLES[(j + 2 * i) % len(ROLES)] == role
            ]
        )

    def places(self, split: str, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """The photographs of `n` patches, 0 or 1, and their top and left ends, `(n,)` each."""
        u = torch.rand(n, 4, generator=rng, dtype=torch.float64)  # one row after the other
        blocks = self.blocks(split)
        top, bottom, left, right = blocks[(u[:, 1] * len(blocks)).long()].unbind(1)
        down = (u[:, 2] * (bottom - top - self.size + 1)).long()
        across = (u[:, 3] * (right - left - self.size + 1)).long()
        return (u[:, 0] * len(NAMES)).long(), top + down, left + across

    def _draw(self, split: str, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Patches, `(n, 3, size, size)`, and labels, `(n,)`."""
        which, top, left = self.places(split, n, rng)
        inside = torch.arange(self.size)
        rows, columns = top[:, None, None] + inside[:, None], left[:, None, None] + inside
        patches = _photographs(self.reduce)[which[:, None, None], rows, columns].movedim(-1, 1)
        return patches.float() / (127.5 * self.reduce**2) - 1, which


def _cuts(length: int, least: int) -> list[int]:
    """The ends of intervals of nearly equal lengths, as many as there can be of at least `least`."""
    count = length // least
    return [i * length // count for i in range(count + 1)]


@cache
def _photographs(reduce: int) -> Tensor:
    """Both, `(2, height, width, 3)`: sums over `reduce` by `reduce` pixels, integers."""
    from sklearn.datasets import load_sample_images

    found = load_sample_images()
    images = dict(zip((name.rpartition("/")[2] for name in found.filenames), found.images, strict=True))
    pixels = np.stack([images[name] for name in NAMES])
    height, width = HEIGHT // reduce, WIDTH // reduce
    cut = pixels[:, : height * reduce, : width * reduce].astype(np.int32)
    return torch.from_numpy(cut.reshape(2, height, reduce, width, reduce, 3).sum((2, 4), dtype=np.int32))
