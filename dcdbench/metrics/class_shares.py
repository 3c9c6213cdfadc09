r"""The shares of classes among the samples, by a classifier of the clean references.

With $q_c$ the share of samples that the classifier assigns to class $c$, and $p_c$ that of the references:

- `class_distance`: the total variation $\frac12 \sum_c |q_c - p_c|$;
- `class_entropy`: $H(q) - H(p)$, with $H(p) = -\sum_c p_c \log p_c$: negative where classes are missing or
  rare that are not so among the references.

Every sample is assigned to some class, also one that shows none: the shares say nothing of its quality.
"""

from __future__ import annotations

__all__ = ["ClassShares", "entropy", "shares"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.metrics import register
from dcdbench.metrics.pairs import classifier_of, classifier_reason
from dcdbench.problem import Reference


def shares(classes: Tensor, count: int) -> Tensor:
    """The share of each of `count` classes, `(count,)`, float64, among `classes`, `(n,)`."""
    return torch.bincount(classes, minlength=count).double() / len(classes)


def entropy(p: Tensor) -> float:
    """The entropy of shares `p`, `(K,)`, in nats."""
    return torch.special.entr(p).sum().item()


@register("class_shares")
@dataclass(frozen=True)
class ClassShares:
    """How far the shares of classes are from those of the references, and how much less even they are."""

    needs: ClassVar[str] = "labels"
    sampling_unit: ClassVar[str] = "generated and clean samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {
        "class_distance": ("lower", "total variation"),
        "class_entropy": ("neither", "nat"),
    }

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        return classifier_reason(reference)

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The scores of `samples`, `(n, *signal)`."""
        classifier, x, y = classifier_of(samples, reference)
        found = [classifier.classes(part) for part in (x, y)]
        count = 1 + max(int(part.max()) for part in found)
        q, p = (shares(part, count) for part in found)
        return {
            "class_distance": (q - p).abs().sum().item() / 2,
            "class_entropy": entropy(q) - entropy(p),
        }
