"""Handwritten digits, 8 by 8 pixels, as they come with scikit-learn."""

from __future__ import annotations

__all__ = ["Digits"]

from dataclasses import dataclass
from typing import ClassVar

import torch

from dcdbench.datasets import register
from dcdbench.datasets.finite import divide
from dcdbench.protocols import Data
from dcdbench.streams import Stream


@register("digits")
@dataclass(frozen=True)
class Digits:
    """1 797 scanned handwritten digits, 8 by 8 pixels in [-1, 1].

    Labels are the digits. Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998),
    https://doi.org/10.24432/C50P49, the test part, embedded in scikit-learn.
    """

    corrupted: ClassVar[bool] = False
    divides: ClassVar[bool] = True

    def shape(self) -> tuple[int, ...]:
        """`(1, 8, 8)`."""
        return (1, 8, 8)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """A random division per seed."""
        from sklearn.datasets import load_digits

        found = load_digits()
        x = torch.from_numpy(found.images / 8 - 1).float().reshape(-1, 1, 8, 8)
        return divide(x, train, heldout, stream, clean=x, labels=torch.from_numpy(found.target))
