"""The best deterministic value of a divergence for the laws at hand."""

from __future__ import annotations

__all__ = ["fisher", "kl", "w2"]

from dcdbench.analytic import Gaussian, Law
from theory.divergences import gaussian
from theory.divergences.bounds import w2_bracket
from theory.divergences.estimate import Estimate
from theory.divergences.fisher import fisher_quadrature
from theory.divergences.grid import PER_DEVIATION
from theory.divergences.kl import kl_quadrature, kl_upper


def w2(p: Law, q: Law) -> Estimate:
    """W2 (squared): exact for Gaussians and on the line, else a bracket."""
    return w2_bracket(p, q)


def kl(p: Law, q: Law) -> Estimate:
    """KL(p || q): exact for Gaussians and in at most two dimensions, else from 0 to an upper bound."""
    if isinstance(p, Gaussian) and isinstance(q, Gaussian):
        return gaussian.kl(p, q)
    return kl_quadrature(p, q) if p.dim in PER_DEVIATION else kl_upper(p, q)


def fisher(p: Law, q: Law) -> Estimate:
    """F(p || q): exact, for Gaussians and in at most two dimensions."""
    if isinstance(p, Gaussian) and isinstance(q, Gaussian):
        return gaussian.fisher_gaussian(p, q)
    return fisher_quadrature(p, q)
