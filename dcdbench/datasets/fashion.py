"""Fashion-MNIST: photographs of clothes."""

from __future__ import annotations

__all__ = ["Fashion"]

import gzip
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from dcdbench.datasets import register
from dcdbench.datasets.real_file import RealFile
from dcdbench.protocols import Data
from dcdbench.streams import Stream

SIDE = 28
SIZES = (28, 14, 7)


def _file(name: str, sha256: str) -> RealFile:
    return RealFile(f"fashion-mnist/{name}-ubyte.gz", sha256)


TRAIN = (
    _file("train-images-idx3", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    _file("train-labels-idx1", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
)
TEST = (
    _file("t10k-images-idx3", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    _file("t10k-labels-idx1", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)


@register("fashion")
@dataclass(frozen=True)
class Fashion:
    """Fashion-MNIST, 60 000 + 10 000 grey photographs of clothes, in [-1, 1].

    Xiao, Rasul and Vollgraf (2017), https://arxiv.org/abs/1708.07747, from the folder `fashion-mnist` in
    the folder `DCDBENCH_DATA`. Training data and the floor come from its training part, all that is held
    out from its test part.

    Args:
        size: Pixels along each side: 28, or means over 2 by 2 (14) or 4 by 4 (7) of them.
        classes: The labels, 0 to 9, of the images to take; by default all.
    """

    size: int = SIDE
    classes: tuple[int, ...] = ()

    corrupted: ClassVar[bool] = False
    divides: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ValueError(f"size must be one of {', '.join(map(str, SIZES))}, got {self.size}")
        if not set(self.classes) <= set(range(10)) or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes must be different numbers from 0 to 9, got {self.classes}")

    def missing(self) -> str | None:
        """None, or the reason why there are no such data here."""
        return next(filter(None, (file.missing() for file in (*TRAIN, *TEST))), None)

    def shape(self) -> tuple[int, ...]:
        """`(1, size, size)`."""
        return (1, self.size, self.size)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """A random choice per seed: by default all for training, and 2 000 that are held out.

        A third of those chooses checkpoints, the rest is for scores.
        """
        early, late = self._part(TRAIN), self._part(TEST)
        count = len(early) if train is None else train
        held = min(2000, len(late)) if heldout is None else heldout
        if not (1 <= count <= len(early) and 3 <= held <= len(late)):
            raise ValueError(
                f"train = {count} and heldout = {held} (at least 3) must fit into "
                f"{len(early)} images for training and {len(late)} to hold out"
            )
        order = torch.randperm(len(early), generator=(stream / "train").rng())
        chosen = torch.randperm(len(late), generator=(stream / "heldout").rng())[:held]
        val, test = chosen.split([held // 3, held - held // 3])
        fit, floor = order[:count], order[: len(test)]
        fitted, floored = self._images(early[fit]), self._images(early[floor])
        valid, tested = self._images(late[val]), self._images(late[test])
        return Data(fitted, valid, tested, tested.clone(), floored)

    def _part(self, files: tuple[RealFile, RealFile]) -> Tensor:
        """The images of one part that are of the classes, `(n, 28, 28)`, bytes."""
        pixels, labels = (np.frombuffer(gzip.decompress(f.path().read_bytes()), np.uint8) for f in files)
        images, kinds = pixels[16:].reshape(-1, SIDE, SIDE), labels[8:]  # behind the headers
        return torch.from_numpy(images[np.isin(kinds, self.classes)] if self.classes else images.copy())

    def _images(self, pixels: Tensor) -> Tensor:
        return avg_pool2d(pixels[:, None].float(), SIDE // self.size) / 127.5 - 1
