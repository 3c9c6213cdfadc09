r"""Sliced W2: the root mean square of W2 over one-dimensional projections.

$SW_2^2(p, q) = E_\theta W_2^2(\theta^T p, \theta^T q)$ with $\theta$ uniform on the sphere
(Bonneel et al., 2015, https://hal.science/hal-00881872).
"""

from __future__ import annotations

__all__ = ["SlicedW2", "directions", "sliced_w2", "w2_squared_1d"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.metrics import register
from dcdbench.metrics.pairs import clean_pair, clean_reason
from dcdbench.problem import Reference

BLOCK = 64  # projections at a time


def directions(count: int, dim: int, rng: torch.Generator) -> Tensor:
    """`count` independent uniform unit vectors, `(count, dim)`, float64 on `rng.device`."""
    z = torch.randn(count, dim, generator=rng, dtype=torch.float64, device=rng.device)
    return z / z.norm(dim=1, keepdim=True)


def w2_squared_1d(x: Tensor, y: Tensor) -> Tensor:
    r"""The squared W2 distances, `(P,)`, of one-dimensional samples `(P, n)` and `(P, m)`.

    $\int_0^1 (F_x^{-1} - F_y^{-1})^2$, exact also for `n != m`: both quantile functions are
    constant between neighbouring multiples of `1/n` and `1/m`.
    """
    x, y = x.sort(dim=1).values, y.sort(dim=1).values
    n, m = x.shape[1], y.shape[1]
    if n == m:
        return (x - y).square().mean(1)
    i, j = torch.arange(n + 1, device=x.device) * m, torch.arange(m + 1, device=x.device) * n
    grid = torch.cat([i, j]).unique()  # in units of 1/(n m), so that ties are exact
    width = grid.diff().to(x.dtype) / (n * m)
    left = grid[:-1]
    return (x[:, left // m] - y[:, left // n]).square() @ width


def sliced_w2(x: Tensor, y: Tensor, projections: Tensor) -> float:
    """Sliced W2 (not squared) of `x`, `(n, d)`, and `y`, `(m, d)`, along `projections`, `(P, d)`."""
    xt, yt = x.mT, y.to(x).mT
    parts = [w2_squared_1d(p @ xt, p @ yt) for p in projections.to(x).split(BLOCK)]
    return torch.cat(parts).mean().sqrt().item()


@register("sliced_w2")
@dataclass(frozen=True)
class SlicedW2:
    """Sliced W2 between the samples and the clean reference.

    Args:
        projections: How many directions; the same for all samples that get the same `rng`.
    """

    projections: int = 500

    needs: ClassVar[str] = "clean"
    sampling_unit: ClassVar[str] = "generated and clean samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {"sliced_w2": ("lower", "data unit")}

    def __post_init__(self) -> None:
        if self.projections < 1:
            raise ValueError(f"projections must be >= 1, got {self.projections}")

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        return clean_reason(reference)

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The score of `samples`, `(n, *signal)`."""
        x, y = clean_pair(samples, reference)
        return {"sliced_w2": sliced_w2(x, y, directions(self.projections, x.shape[1], rng))}
