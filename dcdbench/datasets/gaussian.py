"""A Gaussian on a linear subspace, with a chosen spectrum."""

from __future__ import annotations

__all__ = ["LowRankGaussian"]

from dataclasses import dataclass
from typing import ClassVar

import torch

from dcdbench.analytic import Gaussian
from dcdbench.datasets import register
from dcdbench.datasets.laws import draw_splits
from dcdbench.protocols import Data
from dcdbench.streams import Stream


@register("gaussian")
@dataclass(frozen=True)
class LowRankGaussian:
    """`N(0, E diag(spectrum) E^T)`, with `E` a random orthonormal frame that is the same for every seed.

    Args:
        dim: The dimension of the space.
        rank: The dimension of the subspace, at most `dim`.
        spectrum: The variances along the subspace, `rank` of them; one number for all alike.
        frame: The seed of the frame.
    """

    dim: int = 16
    rank: int = 4
    spectrum: float | tuple[float, ...] = 1.0
    frame: int = 0

    corrupted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= self.dim:
            raise ValueError(f"rank must be between 1 and dim = {self.dim}, got {self.rank}")
        if len(self._variances()) != self.rank:
            raise ValueError(f"spectrum must have rank = {self.rank} entries, got {len(self._variances())}")
        if min(self._variances()) <= 0:
            raise ValueError(f"spectrum must be positive, got {self.spectrum}")

    def _variances(self) -> tuple[float, ...]:
        return self.spectrum if isinstance(self.spectrum, tuple) else (self.spectrum,) * self.rank

    def shape(self) -> tuple[int, ...]:
        """`(dim,)`."""
        return (self.dim,)

    def law(self) -> Gaussian:
        """The analytic law."""
        rng = (Stream(self.frame) / "frame").rng()
        normal = torch.randn(self.dim, self.dim, generator=rng, dtype=torch.float64)
        frame = torch.linalg.qr(normal)[0][:, : self.rank]
        variances = torch.tensor(self._variances(), dtype=torch.float64)
        return Gaussian(torch.zeros(self.dim, dtype=torch.float64), frame * variances @ frame.T)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """Fresh draws for every split."""
        return draw_splits(self.law(), train, heldout, stream)
