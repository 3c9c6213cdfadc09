r"""Products, and deterministic bounds of W2 between mixtures.

- W2 (squared) and KL add over independent blocks.
- Lower: Gelbrich, $W_2^2 \ge |\Delta\mu|^2 + Bures^2$ of mean and covariance; and for an orthonormal basis
  $\theta_i$, $W_2^2 \ge \sum_i W_2^2(\theta_i^T p, \theta_i^T q)$, since the optimal coupling is one of the
  projections too.
- Upper: $W_2 \le MW_2$, where plans are mixtures themselves: a linear programme over the components with
  their W2 as cost (Delon and Desolneux, 2020, https://arxiv.org/abs/1907.05254).
"""

from __future__ import annotations

__all__ = ["bases_2d", "gelbrich", "marginals", "mw2", "product", "product_law", "w2_bracket"]

import math
from collections.abc import Iterable, Sequence
from functools import reduce

import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture, Law, frechet
from dcdbench.linalg import sqrtm
from theory.divergences import gaussian
from theory.divergences.estimate import Estimate
from theory.divergences.line import w2_line
from theory.divergences.transport import transport

COARSE = 1e-8  # the smallest panel of a projection: a bound needs few digits


def product(blocks: Iterable[Estimate]) -> Estimate:
    """The W2 (squared), or KL, of products of independent blocks: the sum."""
    return reduce(Estimate.__add__, blocks)


def product_law(laws: Sequence[Law]) -> GaussianMixture:
    """The joint law of independent blocks: a mixture of all combinations of their components."""

    def join(p: tuple[Tensor, Tensor, Tensor], q: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
        k, m = len(p[0]), len(q[0])
        means = torch.cat([p[1].repeat_interleave(m, 0), q[1].repeat(k, 1)], 1)
        covs = torch.stack([torch.block_diag(a, b) for a in p[2] for b in q[2]])
        return (p[0][:, None] * q[0]).flatten(), means, covs

    joint: tuple[Tensor, ...] = laws[0].components
    for law in laws[1:]:
        joint = join(joint, law.components)  # type: ignore[arg-type]
    return GaussianMixture(*joint)


def gelbrich(p: Law, q: Law) -> float:
    """The lower bound by means and covariances."""
    return frechet(p, q)


def marginals(p: Law, q: Law, basis: Tensor, smallest: float = COARSE) -> Estimate:
    """The sum of the W2 (squared) of projections onto the columns of an orthonormal `basis`, `(d, d)`."""
    rows = basis.mT.double()
    if not torch.allclose(rows @ rows.mT, torch.eye(len(rows), dtype=torch.float64), atol=1e-10):
        raise ValueError("the basis must be orthonormal, or the sum is no bound")
    return product(w2_line(p.affine(row[None]), q.affine(row[None]), smallest) for row in rows)


def bases_2d(count: int) -> list[Tensor]:
    """`count` rotations of the plane, by equal angles up to a right one."""
    angles = [math.pi / 2 * i / count for i in range(count)]
    return [
        torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]], dtype=torch.float64)
        for a in angles
    ]


def component_costs(p: Law, q: Law) -> Tensor:
    """The W2 (squared) between components, `(K, L)`."""
    (_, means, covs), (_, others, other_covs) = p.components, q.components
    roots, other_roots = sqrtm(covs), sqrtm(other_covs)
    cross = torch.linalg.svdvals(roots[:, None] @ other_roots[None]).sum(-1)
    traces = covs.diagonal(dim1=1, dim2=2).sum(1)[:, None] + other_covs.diagonal(dim1=1, dim2=2).sum(1)
    return (traces - 2 * cross).clamp_min(0) + (means[:, None] - others).square().sum(-1)


def mw2(p: Law, q: Law) -> float:
    """The upper bound by plans between components."""
    return transport(p.components[0], q.components[0], component_costs(p, q))


def w2_bracket(p: Law, q: Law, bases: Sequence[Tensor] | None = None) -> Estimate:
    """W2 (squared): exact for Gaussians and on the line, else the best of the bounds here.

    Args:
        p: A law on R^d.
        q: Another one.
        bases: Orthonormal bases of projections, `(d, d)`; by default the axes, the eigenvectors of both
            covariances, and in the plane some rotations.
    """
    if isinstance(p, Gaussian) and isinstance(q, Gaussian):
        return gaussian.w2(p, q)
    if p.dim == 1:
        return w2_line(p, q)
    if bases is None:
        eye = torch.eye(p.dim, dtype=torch.float64)
        bases = [eye, *(torch.linalg.eigh(law.cov)[1] for law in (p, q))]
        bases = bases_2d(4) + list(bases[1:]) if p.dim == 2 else bases
    high = mw2(p, q)
    low = max([gelbrich(p, q), *(marginals(p, q, basis).low for basis in bases)])
    return Estimate.bracket(min(low, high), high)  # they are equal up to rounding where both are sharp
