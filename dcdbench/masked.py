"""The exact denoiser of signals that are seen through masks."""

from __future__ import annotations

__all__ = ["filled"]

import torch
from torch import Tensor

from dcdbench.analytic import Law

CHUNK = 2**20  # numbers in the greatest array


def filled(law: Law, x: Tensor, mask: Tensor, sigma: float | Tensor) -> Tensor:
    """`E[x | A x + sigma A n, A]`, `(B, d)`, from the entries of noisy signals that masks show.

    Differentiable in `x`. Computed in float64, it answers in the type of `x`.

    Args:
        law: That of signals.
        x: Noisy signals, `(B, d)`; what masks hide of them does not count.
        mask: 1 where an entry is seen, 0 elsewhere, `(B, d)`.
        sigma: The noise level, > 0, a number or `(B,)`.
    """
    levels = torch.as_tensor(sigma, dtype=torch.float64, device=x.device).expand(len(x))
    weights, means, covs = (part.to(x.device) for part in law.components)
    size = max(1, CHUNK // covs.numel())
    parts = zip(x.double().split(size), mask.double().split(size), levels.split(size), strict=True)
    return torch.cat([_filled(weights, means, covs, *part) for part in parts]).to(x.dtype)


def _filled(weights: Tensor, means: Tensor, covs: Tensor, x: Tensor, mask: Tensor, sigma: Tensor) -> Tensor:
    """By the posterior mean of each component, and how likely it is."""
    r = mask[:, None] * (x[:, None] - means)  # (B, K, d)
    factor = _factor(covs, mask, sigma)
    white = torch.linalg.solve_triangular(factor, r[..., None], upper=False)
    logs = -0.5 * white.square().sum((2, 3)) - factor.diagonal(dim1=2, dim2=3).log().sum(2)
    share = torch.softmax(logs + weights.log(), 1)
    solved = torch.linalg.solve_triangular(factor.mT, white, upper=True)[..., 0]
    return share @ means + torch.einsum("bk,bkd,kde->be", share, mask[:, None] * solved, covs)


@torch.no_grad()
def _factor(covs: Tensor, mask: Tensor, sigma: Tensor) -> Tensor:
    """Of the covariances of what is seen, `(B, K, d, d)`: of `sigma^2` alone where nothing is."""
    seen = (mask[:, :, None] * mask[:, None])[:, None] * covs
    seen.diagonal(dim1=2, dim2=3).add_(sigma.square()[:, None, None])
    return torch.linalg.cholesky(seen)
