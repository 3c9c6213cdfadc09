r"""The exact W2 distance of two samples, by linear programming (POT), https://pythonot.github.io.

Its floor decays like $n^{-1/d}$, so in more than a few dimensions it says little without the
clean-against-clean value at the same n, and it favours samples that are too narrow.
"""

from __future__ import annotations

__all__ = ["W2", "empirical_w2"]

import math
import os
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from dcdbench.linalg import distances
from dcdbench.metrics import register
from dcdbench.metrics.pairs import clean_pair, clean_reason
from dcdbench.problem import Reference

ITERATIONS = 10**8  # the solver stops by itself; its default limit is too low for 2000 points


def _pot() -> Any:
    """POT's solver, without the array libraries that POT would import besides NumPy."""
    for backend in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{backend}", "1")
    import ot

    return ot


def empirical_w2(x: Tensor, y: Tensor) -> float:
    """The W2 distance of the empirical laws of `x`, `(n, d)`, and `y`, `(m, d)`; not squared."""
    cost = distances(x, y).square().double().cpu().numpy()
    ot = _pot()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an unfinished solution is no distance
        squared = float(ot.emd2([], [], cost, numItermax=ITERATIONS))
    return math.sqrt(max(squared, 0.0))


@register("w2")
@dataclass(frozen=True)
class W2:
    """W2 between the samples and the clean reference.

    Args:
        limit: At most so many of either are compared, since the cost matrix holds their
            product; the choice is drawn from `rng`.
    """

    limit: int = 4000

    needs: ClassVar[str] = "clean"
    sampling_unit: ClassVar[str] = "generated and clean samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {"w2": ("lower", "data unit")}

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"limit must be >= 1, got {self.limit}")

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        return clean_reason(reference)

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The score of `samples`, `(n, *signal)`."""
        x, y = (self._thin(z, rng) for z in clean_pair(samples, reference))
        return {"w2": empirical_w2(x, y)}

    def _thin(self, x: Tensor, rng: torch.Generator) -> Tensor:
        if len(x) <= self.limit:
            return x
        return x[torch.randperm(len(x), generator=rng, device=rng.device)[: self.limit].to(x.device)]
