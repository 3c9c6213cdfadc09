r"""Energy distance, $2 E|x - y| - E|x - x'| - E|y - y'|$ (Szekely & Rizzo, 2013).

https://doi.org/10.1016/j.jspi.2013.03.018. The V-statistic: a sample's distance to itself
counts, so that the value is never negative, and zero for equal samples; its floor is of
order `1/n` in any dimension.
"""

from __future__ import annotations

__all__ = ["Energy", "energy_distance"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.linalg import distances_by_products
from dcdbench.metrics import register
from dcdbench.metrics.pairs import clean_pair, clean_reason
from dcdbench.problem import Reference

BLOCK = 1024  # points at a time, which bounds the memory


def mean_distance(x: Tensor, y: Tensor) -> Tensor:
    """The mean Euclidean distance between points of `x`, `(n, d)`, and of `y`, `(m, d)`."""
    parts = (distances_by_products(part, y).sum().double() for part in x.split(BLOCK))
    return sum(parts, x.new_zeros((), dtype=torch.float64)) / (len(x) * len(y))


def energy_distance(x: Tensor, y: Tensor) -> float:
    """The energy distance (V-statistic, not its root) of `x`, `(n, d)`, and `y`, `(m, d)`."""
    value = 2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y)
    return max(value.item(), 0.0)  # at equal samples rounding may leave it just below


@register("energy")
@dataclass(frozen=True)
class Energy:
    """The energy distance between the samples and the clean reference."""

    needs: ClassVar[str] = "clean"
    sampling_unit: ClassVar[str] = "generated and clean samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {"energy": ("lower", "data unit")}

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        return clean_reason(reference)

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The score of `samples`, `(n, *signal)`."""
        return {"energy": energy_distance(*clean_pair(samples, reference))}
