r"""Frechet distance and coverage in the features of a classifier of the clean references.

The formulas are those of `frechet` (FID's, Heusel et al., 2017, https://arxiv.org/abs/1706.08500) and of
`manifold` (coverage, Naeem et al., 2020, https://arxiv.org/abs/2002.09797), on the layer before the classes
of a small network that the harness trains on the task's own labelled references. Numbers compare within a
task and seed alone: another seed has another network. The references trained it, and neither samples nor the
floor did; what this costs is in the floor too.
"""

from __future__ import annotations

__all__ = ["Features"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.metrics import register
from dcdbench.metrics.frechet import empirical_frechet
from dcdbench.metrics.manifold import manifold_scores
from dcdbench.metrics.pairs import classifier_of, classifier_reason
from dcdbench.problem import Reference


@register("features")
@dataclass(frozen=True)
class Features:
    """The squared Frechet distance and the coverage of the samples, in a classifier's features.

    Args:
        k: The neighbour that a ball of the coverage reaches.
    """

    k: int = 5

    needs: ClassVar[str] = "labels"
    sampling_unit: ClassVar[str] = "generated and clean samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {
        "feature_frechet": ("lower", "feature unit^2"),
        "feature_coverage": ("higher", "share of clean"),
    }

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be >= 1, got {self.k}")

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        return classifier_reason(reference, least=self.k + 1)

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The scores of `samples`, `(n, *signal)`."""
        classifier, x, y = classifier_of(samples, reference)
        fx, fy = classifier.features(x), classifier.features(y)
        coverage = manifold_scores(fx, fy, self.k)["coverage"]
        return {"feature_frechet": empirical_frechet(fx, fy), "feature_coverage": coverage}
