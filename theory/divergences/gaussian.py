r"""Closed forms for Gaussians: W2 (Bures), KL, the Fisher divergence and the Sinkhorn divergence.

$W_2^2 = |\Delta\mu|^2 + \operatorname{tr}(A + B - 2 (A^{1/2} B A^{1/2})^{1/2})$;
$F(p \| q) = E_p |s_p - s_q|^2
= \operatorname{tr}[(A^{-1} - B^{-1}) A (A^{-1} - B^{-1})] + |B^{-1} \Delta\mu|^2$;
$OT_\epsilon = |\Delta\mu|^2 + \sum_i a_i + b_i - D_i + \frac\epsilon2 (1 - \log\epsilon)
+ \frac\epsilon2 \log(D_i + \epsilon/2)$, $D_i = (4 \kappa_i + \epsilon^2/4)^{1/2}$, with $\kappa_i$ the
eigenvalues of $A^{1/2} B A^{1/2}$, for the cost $|x - y|^2$ and $\epsilon KL(\pi | p \otimes q)$
(Janati et al., 2020, https://arxiv.org/abs/2006.02572).
"""

from __future__ import annotations

__all__ = ["fisher_gaussian", "kl", "sinkhorn_gaussian", "w2"]

import math

import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, NoDensity, frechet, kl_gaussian
from dcdbench.linalg import eigh_psd, sqrtm
from theory.divergences.estimate import Estimate


def w2(p: Gaussian, q: Gaussian) -> Estimate:
    """W2 (squared); laws may be degenerate."""
    _gaussians(p, q)
    return Estimate.exact(frechet(p, q))


def kl(p: Gaussian, q: Gaussian) -> Estimate:
    """KL(p || q), in nats; laws may be degenerate."""
    _gaussians(p, q)
    return Estimate.exact(kl_gaussian(p, q))


def fisher_gaussian(p: Gaussian, q: Gaussian) -> Estimate:
    """F(p || q), the mean under `p` of the squared difference of scores; infinite for a degenerate `p`."""
    _gaussians(p, q)
    if not q.has_density:
        raise NoDensity("the second law is degenerate and has no score; add noise to both")
    if not p.has_density:
        return Estimate.exact(math.inf)
    precision = torch.linalg.inv(q.cov)
    gap = precision @ (p.cov - q.cov)  # (B^-1 - A^-1) = B^-1 (A - B) A^-1, without the difference of inverses
    spread = (gap @ torch.linalg.solve(p.cov, gap.mT)).trace()
    return Estimate.exact((spread + (precision @ (p.mean - q.mean)).square().sum()).item())


def sinkhorn_gaussian(p: Gaussian, q: Gaussian, eps: float) -> Estimate:
    """The debiased Sinkhorn divergence, `OT(p, q) - OT(p, p) / 2 - OT(q, q) / 2`."""
    _gaussians(p, q)
    if eps <= 0:
        raise ValueError(f"eps must be > 0 (at 0 it is w2), got {eps}")
    cross = _entropic(p.cov, q.cov, eps)
    own = (_entropic(p.cov, p.cov, eps) + _entropic(q.cov, q.cov, eps)) / 2
    return Estimate.exact(((p.mean - q.mean).square().sum() + cross - own).item())


def _entropic(a: Tensor, b: Tensor, eps: float) -> Tensor:
    """The entropic cost of centred Gaussians."""
    root = sqrtm(a)
    d = (4 * eigh_psd(root @ b @ root)[0] + eps**2 / 4).sqrt()
    parts = eps / 2 * (1 - math.log(eps) + (d + eps / 2).log()) - d
    return a.trace() + b.trace() + parts.sum()


def _gaussians(p: Gaussian, q: Gaussian) -> None:
    if not (isinstance(p, Gaussian) and isinstance(q, Gaussian)):
        raise TypeError("the closed form is that of Gaussians; mixtures have quadratures and brackets")
    if p.dim != q.dim:
        raise ValueError(f"laws must have the same dimension, got {p.dim} and {q.dim}")
