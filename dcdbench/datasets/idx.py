"""The file format of MNIST, and of what has the form of MNIST."""

from __future__ import annotations

__all__ = ["InIdx", "four_files", "read_idx"]

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcdbench.datasets.parts import InParts, Part
from dcdbench.datasets.real_file import RealFile

NAMES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
BYTES = 8  # the code of unsigned bytes


def four_files(folder: str, url: str, known: tuple[tuple[str, int], ...]) -> tuple[RealFile, ...]:
    """The images and labels for training, then those for tests.

    Args:
        folder: The name of the folder that has them.
        url: Of the place where all four were published.
        known: The SHA-256 and the size of each.
    """
    return tuple(
        RealFile(f"{folder}/{name}-ubyte.gz", sha256, size, f"{url}/{name}-ubyte.gz")
        for name, (sha256, size) in zip(NAMES, known, strict=True)
    )


def read_idx(path: Path) -> np.ndarray:
    """The array of bytes in a compressed idx file.

    Its header is two zeros, the code of the type and the number of axes, and then their lengths in four bytes
    each, the highest first: http://yann.lecun.com/exdb/mnist/.

    Raises:
        ValueError: The header is another.
    """
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != bytes([0, 0, BYTES]):
        raise ValueError(
            f"{path} must be an idx file of bytes, which begins with 0, 0, {BYTES}; got {[*raw[:3]]}"
        )
    lengths = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(lengths)


@dataclass(frozen=True)
class InIdx(InParts):
    """A source of grey images, in four such files."""

    def parts(self) -> tuple[Part, Part]:
        """What the files hold."""
        images, labels, later, late_labels = (read_idx(file.path()) for file in self.files)
        return Part(images[:, None], labels), Part(later[:, None], late_labels)
