r"""Precision and recall, density and coverage, by nearest neighbours in data space.

With `B(c)` the ball around `c` that reaches its k-th nearest neighbour among its own kind:

- precision: the share of samples in some `B(clean)`; recall: of clean in some `B(sample)`
  (Kynkaanniemi et al., 2019, https://arxiv.org/abs/1904.06991);
- density: how many `B(clean)` hold a sample, over k, on average; coverage: the share of
  `B(clean)` that hold a sample (Naeem et al., 2020, https://arxiv.org/abs/2002.09797).

Density and coverage use open balls, as their authors' code does: then equal samples have density 1.
"""

from __future__ import annotations

__all__ = ["Manifold", "manifold_scores"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.linalg import distances
from dcdbench.metrics import register
from dcdbench.metrics.pairs import clean_pair, clean_reason
from dcdbench.problem import Reference

BLOCK = 1024  # points at a time, which bounds the memory


def _radii(x: Tensor, k: int) -> Tensor:
    """The distance of each point of `x` to its k-th nearest neighbour, itself not counted."""
    return torch.cat([distances(part, x).kthvalue(k + 1, dim=1).values for part in x.split(BLOCK)])


def manifold_scores(x: Tensor, y: Tensor, k: int) -> dict[str, float]:
    """The four scores of samples `x`, `(n, d)`, against clean `y`, `(m, d)`; both longer than `k`."""
    if min(len(x), len(y)) <= k:
        raise ValueError(f"k={k} neighbours need more than {k} samples, got {len(x)} and {len(y)}")
    rx, ry = _radii(x, k), _radii(y, k)
    precise = held = 0
    recalled = torch.zeros(len(y), dtype=torch.bool, device=y.device)
    covered = recalled.clone()
    for part, radii in zip(x.split(BLOCK), rx.split(BLOCK), strict=True):
        d = distances(part, y)
        precise += int((d <= ry).any(1).sum())
        recalled |= (d <= radii[:, None]).any(0)
        inside = d < ry
        held += int(inside.sum())
        covered |= inside.any(0)
    return {
        "precision": precise / len(x),
        "recall": recalled.double().mean().item(),
        "density": held / (k * len(x)),
        "coverage": covered.double().mean().item(),
    }


@register("manifold")
@dataclass(frozen=True)
class Manifold:
    """Precision, recall, density and coverage of the samples.

    Args:
        k: The neighbour that a ball reaches.
    """

    k: int = 5

    needs: ClassVar[str] = "clean"
    sampling_unit: ClassVar[str] = "generated and clean samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {
        "precision": ("higher", "share of samples"),
        "recall": ("higher", "share of clean"),
        "density": ("higher", "clean balls per k"),
        "coverage": ("higher", "share of clean"),
    }

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be >= 1, got {self.k}")

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        return clean_reason(reference, least=self.k + 1)

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The scores of `samples`, `(n, *signal)`."""
        return manifold_scores(*clean_pair(samples, reference), self.k)
