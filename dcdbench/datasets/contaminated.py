"""Signals of which some are something else altogether."""

from __future__ import annotations

__all__ = ["Contaminated", "Outliers"]

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from dcdbench.datasets import register, registry
from dcdbench.protocols import Data, DataSource
from dcdbench.streams import Stream

Outliers = Literal["uniform", "gaussian"]


def _digits() -> DataSource:
    made: DataSource = registry["digits"]()
    return made


@register("contaminated")
@dataclass(frozen=True)
class Contaminated:
    """A source with outliers among what is trained on, and among what chooses checkpoints, before corruption.

    What is held out for scores stays clean, as does the law, where there is one: the truth is the law of
    signals without outliers, as in Huber's model of contamination,
    https://doi.org/10.1214/aoms/1177703732. What theory expects of a method is for such signals, too.

    Args:
        of: The signals.
        fraction: The share of outliers, in [0, 1], rounded to whole signals.
        by: Outliers of independent entries: `uniform` in [-scale, scale], or `gaussian` with standard
            deviation `scale`.
        scale: See `by`; in the unit of signals.
        outliers: A source of outliers instead, of the same shape.
    """

    of: DataSource = field(default_factory=_digits)
    fraction: float = 0.1
    by: Outliers = "uniform"
    scale: float = 1.0
    outliers: DataSource | None = None

    corrupted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.fraction <= 1:
            raise ValueError(f"fraction must be in [0, 1], got {self.fraction}")
        if not self.scale > 0:
            raise ValueError(f"scale must be > 0, got {self.scale}")
        for name, source in (("of", self.of), ("outliers", self.outliers)):
            if source is not None and source.corrupted:
                raise ValueError(f"{name} must be clean signals, and {type(source).__name__} is corrupted")

    @property
    def law(self) -> Callable[[], Any]:
        """The law of signals without outliers; no attribute where their source has none."""
        found: Callable[[], Any] = self.of.law  # type: ignore[attr-defined]
        return found

    def missing(self) -> str | None:
        """The reason why signals or outliers cannot be loaded here, or None."""
        asked = (getattr(source, "missing", None) for source in (self.of, self.outliers))
        return next((reason for ask in asked if ask is not None and (reason := ask())), None)

    @property
    def divides(self) -> bool:
        """Whether the data that are contaminated divide what is held out."""
        return getattr(self.of, "divides", False)

    def shape(self) -> tuple[int, ...]:
        """That of the signals."""
        return self.of.shape()

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """The splits of the source, with outliers in the first two."""
        data = self.of.load(train, heldout, stream)
        counts = {"train": self._count(data.train), "val": self._count(data.val)}
        drawn = self._drawn(counts, stream / "outliers")
        fit, val = (replaced(getattr(data, name), drawn[name], stream / name) for name in counts)
        return replace(data, train=fit, val=val)

    def _count(self, x: Tensor) -> int:
        return round(self.fraction * len(x))

    def _drawn(self, counts: dict[str, int], stream: Stream) -> dict[str, Tensor]:
        """The outliers of each split."""
        if self.outliers is None:
            return {name: self._noise(n, (stream / name).rng()) for name, n in counts.items()}
        if self.outliers.shape() != self.shape():
            raise ValueError(
                f"outliers must have the shape {self.shape()} of the signals, got {self.outliers.shape()}"
            )
        others = self.outliers.load(max(1, counts["train"]), max(3, 3 * counts["val"]), stream)
        return {name: getattr(others, name)[:n] for name, n in counts.items()}

    def _noise(self, n: int, rng: torch.Generator) -> Tensor:
        if self.by == "gaussian":
            return self.scale * torch.randn(n, *self.shape(), generator=rng)
        return self.scale * (2 * torch.rand(n, *self.shape(), generator=rng) - 1)


def replaced(x: Tensor, by: Tensor, stream: Stream) -> Tensor:
    """`x`, `(n, *)`, with as many of its entries, at random places, replaced as there are in `by`."""
    where = torch.randperm(len(x), generator=(stream / "places").rng())[: len(by)]
    return x.index_copy(0, where, by)
