"""CIFAR-10: small photographs in colour."""

from __future__ import annotations

__all__ = ["Cifar10"]

import pickle
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dcdbench.datasets import register
from dcdbench.datasets.parts import InParts, Part
from dcdbench.datasets.real_file import RealFile

NAME = "cifar-10-python.tar.gz"
TRAIN, TEST = tuple(f"data_batch_{i}" for i in range(1, 6)), ("test_batch",)


@register("cifar10")
@dataclass(frozen=True)
class Cifar10(InParts):
    """CIFAR-10, 50 000 + 10 000 photographs of ten kinds of things, red, green and blue in [-1, 1].

    Krizhevsky (2009), https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf, from the file
    `cifar-10-python.tar.gz` in the folder `DCDBENCH_DATA`, or downloaded where `DCDBENCH_DOWNLOAD` is 1.
    Training data and the floor come from its training part, all that is held out from its test part. Labels
    are the kinds, 0 to 9.

    Args:
        size: Pixels along each side: 32, or means over 2 by 2 (16) or 4 by 4 (8) of them.
        classes: The labels, 0 to 9, of the images to take; by default all.
    """

    size: int = 32
    classes: tuple[int, ...] = ()

    files: ClassVar[tuple[RealFile, ...]] = (
        RealFile(
            NAME,
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            170_498_071,
            f"https://www.cs.toronto.edu/~kriz/{NAME}",
        ),
    )
    channels: ClassVar[int] = 3
    side: ClassVar[int] = 32

    def parts(self) -> tuple[Part, Part]:
        """What the archive holds."""
        batches = _batches(self.files[0].path())
        return self._part(batches, TRAIN), self._part(batches, TEST)

    def _part(self, batches: dict[str, dict[bytes, Any]], names: tuple[str, ...]) -> Part:
        pixels = np.concatenate([batches[name][b"data"] for name in names])
        labels = np.concatenate([np.asarray(batches[name][b"labels"], np.uint8) for name in names])
        return Part(pixels.reshape(-1, self.channels, self.side, self.side), labels)


def _batches(path: Path) -> dict[str, dict[bytes, Any]]:
    """The batches of the archive by their names.

    They are pickled, and unpickling runs what a file says: `path` must have been compared with its SHA-256.
    """
    batches = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if name in TRAIN + TEST and (file := archive.extractfile(member)):
                batches[name] = pickle.loads(file.read(), encoding="bytes")
    return batches
