"""Labelled images that were published in two parts, one to train on and one to test with."""

from __future__ import annotations

__all__ = ["InParts", "Part"]

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from dcdbench.datasets.real_file import RealFile, lacking
from dcdbench.protocols import Data
from dcdbench.streams import Stream

CLASSES = 10
FACTORS = (1, 2, 4)  # of pooling


class Part(NamedTuple):
    """Images, `(n, channels, side, side)`, bytes, and their labels, `(n,)`, 0 to 9."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class InParts(ABC):
    """What such sources share: the choice of classes, means over pixels, and the division for one seed.

    Args:
        size: Pixels along each side: those of the files, or a half or a quarter of them, by means.
        classes: The labels of the images to take; by default all.
    """

    size: int = 28
    classes: tuple[int, ...] = ()

    corrupted: ClassVar[bool] = False
    divides: ClassVar[bool] = True
    files: ClassVar[tuple[RealFile, ...]]
    channels: ClassVar[int] = 1
    side: ClassVar[int] = 28  # of the images in the files

    def __post_init__(self) -> None:
        sizes = [self.side // factor for factor in FACTORS]
        if self.size not in sizes:
            raise ValueError(f"size must be one of {', '.join(map(str, sizes))}, got {self.size}")
        if not set(self.classes) <= set(range(CLASSES)) or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes must be different numbers from 0 to 9, got {self.classes}")

    def missing(self) -> str | None:
        """None, or the reason why there are no such data here."""
        return lacking(self.files)

    def shape(self) -> tuple[int, ...]:
        """`(channels, size, size)`."""
        return (self.channels, self.size, self.size)

    @abstractmethod
    def parts(self) -> tuple[Part, Part]:
        """What the files hold: the part for training, then the part for tests."""

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """A random choice per seed: by default all for training, and 2 000 that are held out.

        Training data and the floor come from the part for training, all that is held out from the part for
        tests; a third of those chooses checkpoints, the rest is for scores.
        """
        early, late = map(self._chosen, self.parts())
        count = len(early.labels) if train is None else train
        held = min(2000, len(late.labels)) if heldout is None else heldout
        if not (1 <= count <= len(early.labels) and 3 <= held <= len(late.labels)):
            raise ValueError(
                f"train = {count} and heldout = {held} (at least 3) must fit into "
                f"{len(early.labels)} images for training and {len(late.labels)} to hold out"
            )
        order = torch.randperm(len(early.labels), generator=(stream / "train").rng())
        chosen = torch.randperm(len(late.labels), generator=(stream / "heldout").rng())[:held]
        val, test = chosen.split([held // 3, held - held // 3])
        floor = order[: len(test)]
        fitted, valid = self._images(early, order[:count]), self._images(late, val)
        tested, floored = self._images(late, test), self._images(early, floor)
        labels = {"reference": _labels(late, test), "floor": _labels(early, floor)}
        return Data(fitted, valid, tested, tested.clone(), floored, labels=labels)

    def _chosen(self, part: Part) -> Part:
        """The images of the classes."""
        if not self.classes:
            return part
        which = np.isin(part.labels, self.classes)
        return Part(part.images[which], part.labels[which])

    def _images(self, part: Part, which: Tensor) -> Tensor:
        pixels = torch.from_numpy(part.images[which.numpy()])
        return avg_pool2d(pixels.float(), self.side // self.size) / 127.5 - 1


def _labels(part: Part, which: Tensor) -> Tensor:
    return torch.from_numpy(part.labels[which.numpy()].astype(np.int64))
