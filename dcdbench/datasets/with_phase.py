"""Images of any source as complex ones, with a smooth random phase."""

from __future__ import annotations

__all__ = ["WithPhase"]

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.datasets import register, registry
from dcdbench.datasets.complex_image import COEFFICIENTS, turned
from dcdbench.protocols import Data, DataSource
from dcdbench.streams import Stream

TINY = 1e-12  # no uniform number is 0, whose normal quantile is infinite
SPLITS = ("train", "val", "test", "reference", "floor")


def _letters() -> DataSource:
    made: DataSource = registry["letters"]()
    return made


@register("with_phase")
@dataclass(frozen=True)
class WithPhase:
    """Square images in [-1, 1] as the magnitudes of complex images, as magnetic resonance measures them.

    The magnitude is `(1 + x) / 2`, in [0, 1], where `x` is the mean over colours. The phase is a random
    polynomial of degree 2 in the coordinates, as in the data `phantom`. Image `i` of a split has the phase of
    the split's address and of `i`. Classes stay those of the source.

    Args:
        of: The images.
        phase: The standard deviation of the phase's coefficients, in radians, >= 0; 0 for real images.
    """

    of: DataSource = field(default_factory=_letters)
    phase: float = 0.5

    corrupted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.phase >= 0:
            raise ValueError(f"phase must be >= 0, got {self.phase}")
        if self.of.corrupted:
            raise ValueError(f"of must be clean images, and {type(self.of).__name__} is corrupted")
        shape = self.of.shape()
        if len(shape) != 3 or shape[0] == 2 or shape[1] != shape[2]:
            raise ValueError(f"of must be square real images of 1 or 3 colours, got signals of shape {shape}")

    def missing(self) -> str | None:
        """The reason why the images cannot be loaded here, or None."""
        ask = getattr(self.of, "missing", None)
        return None if ask is None else ask()

    @property
    def divides(self) -> bool:
        """Whether the source divides what is held out."""
        return getattr(self.of, "divides", False)

    def shape(self) -> tuple[int, ...]:
        """`(2, size, size)`: real and imaginary parts."""
        return (2, *self.of.shape()[1:])

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """The splits of the source, each image with a phase of its own."""
        data = self.of.load(train, heldout, stream)
        fit, val, test, reference, floor = (
            self._turned(getattr(data, name), stream / "phase" / name) for name in SPLITS
        )
        return Data(fit, val, test, reference, floor, labels=data.labels)

    def _turned(self, x: Tensor, stream: Stream) -> Tensor:
        u = torch.rand(len(x), COEFFICIENTS, generator=stream.rng(), dtype=torch.float64)
        normal = torch.special.ndtri(u.clamp(min=TINY)).to(x)
        return turned((1 + x.mean(1)) / 2, self.phase * normal)
