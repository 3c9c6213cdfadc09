r"""The Frechet distance of the fitted Gaussians, in data space (Dowson & Landau, 1982).

$|m_x - m_y|^2 + \operatorname{tr}(C_x + C_y - 2 (C_x^{1/2} C_y C_x^{1/2})^{1/2})$: FID's
formula, squared as FID is, on the signals themselves instead of a network's features.
"""

from __future__ import annotations

__all__ = ["Frechet", "empirical_frechet"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.linalg import bures_factors, sqrtm
from dcdbench.metrics import register
from dcdbench.metrics.pairs import clean_pair, clean_reason
from dcdbench.problem import Reference


def _factor(x: Tensor) -> Tensor:
    """A factor of the covariance of `x`, `(n, d)`, with as few columns as it needs."""
    centred = (x - x.mean(0)) / max(len(x) - 1, 1) ** 0.5
    return centred.mT if len(x) < x.shape[1] else sqrtm(centred.mT @ centred)


def empirical_frechet(x: Tensor, y: Tensor) -> float:
    """The squared Frechet distance of samples `x`, `(n, d)`, and `y`, `(m, d)`."""
    return ((x.mean(0) - y.mean(0)).square().sum() + bures_factors(_factor(x), _factor(y))).item()


@register("frechet")
@dataclass(frozen=True)
class Frechet:
    """The squared Frechet distance between the samples and the clean reference."""

    needs: ClassVar[str] = "clean"
    sampling_unit: ClassVar[str] = "generated and clean samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {"frechet": ("lower", "data unit^2")}

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        return clean_reason(reference, least=2)

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The score of `samples`, `(n, *signal)`."""
        return {"frechet": empirical_frechet(*clean_pair(samples, reference))}
