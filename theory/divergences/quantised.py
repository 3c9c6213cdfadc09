r"""A bracket of W2 in the plane, by quantising both laws.

$|W_2(p, q) - W_2(p_h, q_h)| \le \delta_p + \delta_q$, the triangle inequality, with $p_h$ the law of the
mean of the cell that a point is in, and $\delta_p^2 = E |x - E[x | cell]|^2 \ge W_2^2(p, p_h)$. Each
component is cut along its own axes, where masses, means and variances of cells are those of a truncated
normal; the outermost cells are unbounded, so that no tail is left out.
"""

from __future__ import annotations

__all__ = ["quantise", "w2_quantised"]

import math

import torch
from torch import Tensor

from dcdbench.analytic import Law
from dcdbench.linalg import distances
from theory.divergences.estimate import Estimate
from theory.divergences.transport import transport

MOST_DIM = 2


def cells(count: int) -> tuple[Tensor, Tensor, float]:
    r"""The standard normal in `count` cells: their masses, means, and the mean variance within.

    Edges are quantiles of N(0, 3), the density of the best cells as their number grows.
    """
    share = torch.arange(1, count, dtype=torch.float64) / count
    edges = torch.cat([torch.tensor([-math.inf]), math.sqrt(3) * torch.special.ndtri(share)]).double()
    edges = torch.cat([edges, torch.tensor([math.inf], dtype=torch.float64)])
    # Both tails by the lower one: near 1, differences of the cdf would cancel.
    lower = torch.special.ndtr(-edges.abs())
    straddles = (edges[:-1] < 0) & (edges[1:] > 0)
    mass = torch.where(straddles, 1 - lower[:-1] - lower[1:], (lower[1:] - lower[:-1]).abs())
    density = torch.exp(-edges.square() / 2) / math.sqrt(2 * math.pi)
    mean = -density.diff() / mass
    return mass, mean, 1 - (mass * mean.square()).sum().item()


def quantise(law: Law, count: int) -> tuple[Tensor, Tensor, float]:
    r"""Weights `(N,)` and points `(N, d)` of the quantised law, and $\delta$; `count` cells an axis."""
    weights, means, _ = law.components
    values, vectors = law.spectrum
    mass, centre, within = cells(count)
    index = torch.cartesian_prod(*[torch.arange(count)] * law.dim).reshape(-1, law.dim)
    z, share = centre[index], mass[index].prod(1)
    points = means[:, None] + torch.einsum("kde,ke,ne->knd", vectors, values.sqrt(), z)
    delta = math.sqrt(within * (weights @ values.sum(1)).item())
    return (weights[:, None] * share).flatten(), points.flatten(0, 1), delta


def w2_quantised(p: Law, q: Law, count: int = 12) -> Estimate:
    """W2 (squared) between two laws of one or two dimensions, by `count` cells an axis of a component."""
    if p.dim > MOST_DIM:
        raise ValueError(f"cells are too many beyond {MOST_DIM} dimensions, and the laws have {p.dim}")
    (a, x, off), (b, y, other) = quantise(p, count), quantise(q, count)
    middle = math.sqrt(transport(a, b, distances(x, y).square()))
    return Estimate.bracket(max(middle - off - other, 0.0) ** 2, (middle + off + other) ** 2)
