"""Slices of a real T1-weighted brain, complex images with a smooth random phase."""

from __future__ import annotations

__all__ = ["Brain"]

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, pad

from dcdbench.datasets import register
from dcdbench.datasets.complex_image import with_phase
from dcdbench.datasets.drawn import draw_fresh
from dcdbench.datasets.real_file import RealFile
from dcdbench.protocols import Data
from dcdbench.streams import Stream

FILE = RealFile(
    "brain_t1_56x80x112_u8.npz", "73d05c529d5d2dfd9310e392007f4332e6476602395596a9b0047889b37b93f9", 183_505
)
COUNT, WIDTH, SIDE = 56, 80, 112  # slices, and voxels of 2 mm; a slice is made square
FIRST = 8  # slices above it hold little brain; 48 are left
WHITE = 128.0  # brighter voxels, 4 in 10 000, are cut
BLOCK = 3  # slices of one split in a row, 4 mm apart
ROLES = ("train", "test", "train", "train", "val", "train")  # of blocks, again and again
TURN = math.radians(10)
SHIFT = 0.07  # of half the image
STEP = 256  # images at a time, which bounds the memory


@register("brain")
@dataclass(frozen=True)
class Brain:
    """Axial slices of ONE real brain with a smooth random phase, `(real, imaginary)` in [-1, 1].

    A skull-stripped T1 volume, `brain_t1_56x80x112_u8.npz` in the folder `DCDBENCH_DATA`, from
    https://github.com/voxelmorph/voxelmorph. Each signal is a random slice, mirrored in half of the cases,
    turned by up to 10 degrees and moved by up to 4 voxels, then averaged over pixels; its phase is a
    random polynomial of degree 2.

    Splits share no slice: blocks of three slices in a row are 33 for training and the floor, 6 to choose
    checkpoints (`val`), and 9 for scores (`test`, `reference`). Neighbours at the ends of blocks are alike
    nevertheless, and all are of one subject: that a method does well here does not say that it would on
    other brains. Only augmentation makes the signals many.

    Args:
        size: Pixels along each side.
        phase: The standard deviation of the phase's coefficients, in radians; 0 for real images.
    """

    size: int = 32
    phase: float = 0.5

    corrupted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 4 <= self.size <= SIDE:
            raise ValueError(f"size must be between 4 and {SIDE}, got {self.size}")
        if self.phase < 0:
            raise ValueError(f"phase must be >= 0, got {self.phase}")

    def missing(self) -> str | None:
        """None, or the reason why there are no such data here."""
        return FILE.missing()

    def shape(self) -> tuple[int, ...]:
        """`(2, size, size)`."""
        return (2, self.size, self.size)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """Fresh draws for every split, by default 5 000 for training; the floor is of training slices."""
        slices = _slices()

        def draw(split: str, n: int, rng: torch.Generator) -> Tensor:
            own = slices[_indices(split)]
            return with_phase(_augmented(own, n, self.size, rng), self.phase, rng)

        return draw_fresh(draw, train, heldout, stream, default=5_000)


def _slices() -> Tensor:
    """Square slices, `(48, 112, 112)` in [0, 1], the face at the top."""
    with np.load(FILE.path()) as volume:
        x = torch.from_numpy(volume["images"][FIRST:]).float() / WHITE
    return pad(x.clamp_max(1).rot90(1, (1, 2)), ((SIDE - WIDTH) // 2,) * 2)


def _indices(split: str) -> list[int]:
    """The slices of a split."""
    role = {"floor": "train", "reference": "test"}.get(split, split)
    return [i for i in range(COUNT - FIRST) if ROLES[i // BLOCK % len(ROLES)] == role]


def _augmented(slices: Tensor, n: int, size: int, rng: torch.Generator) -> Tensor:
    """`n` random slices, mirrored, turned and moved, `(n, size, size)`."""
    which = torch.randint(len(slices), (n,), generator=rng)
    mirror, turn, dx, dy = (2 * torch.rand(4, n, generator=rng) - 1).unbind()
    c, s, side = (TURN * turn).cos(), (TURN * turn).sin(), mirror.sign()
    # From the image's coordinates to the slice's.
    theta = torch.stack([side * c, -side * s, SHIFT * dx, s, c, SHIFT * dy], 1).view(n, 2, 3)
    fine = math.ceil(SIDE / size)  # at least one point for each voxel
    parts = []
    for i, t in zip(which.split(STEP), theta.split(STEP), strict=True):
        grid = affine_grid(t, [len(i), 1, fine * size, fine * size], align_corners=False)
        turned = grid_sample(slices[i][:, None], grid, align_corners=False)
        parts.append(avg_pool2d(turned, fine)[:, 0])
    return torch.cat(parts)
