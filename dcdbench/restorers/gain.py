"""The Gaussian update by conjugate gradients."""

from __future__ import annotations

__all__ = ["gain"]

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dcdbench.batch import expand


def gain(
    spread: Callable[[Tensor], Tensor],
    A: Callable[[Tensor], Tensor],
    adjoint: Callable[[Tensor], Tensor],
    r: Tensor,
    variance: float,
    *,
    steps: int,
    tol: float = 1e-4,
    beyond: float = math.inf,
) -> Tensor:
    r"""`S A^T (A S A^T + variance)^-1 r`: what measurements that are off by `r` say of signals.

    Signals have the covariance `S`, measurements the noise `variance`. Conjugate gradients (Hestenes and
    Stiefel, 1952, https://doi.org/10.6028/jres.049.044), each sample with its own step sizes: it rests once
    it has converged, or once `S` is seen not to be a covariance, as a network's Jacobian may not be.

    Args:
        spread: `S`, `(B, *signal)` to `(B, *signal)`, symmetric and without negative eigenvalues.
        A: A linear map for each sample, `(B, *signal)` to `(B, *measured)`.
        adjoint: Its transpose.
        r: `(B, *measured)`.
        variance: `> 0`.
        steps: The most steps.
        tol: A sample has converged when what is left of `r` is at most this share of it.
        beyond: For a doubtful `S`: if it is the signals' covariance, `r^T (A S A^T + variance)^-1 r` has the
            chi-squared law of as many degrees as entries are measured. Steps, but for the first, that would
            bring it so many standard deviations over its mean are not taken.
    """
    x, p, rho = torch.zeros_like(adjoint(r)), r, _squared(r)
    target, explained = tol**2 * rho, torch.zeros_like(rho)
    entries = (r != 0).flatten(1).sum(1)
    credible = entries + beyond * (2 * entries).sqrt()
    for k in range(steps):
        s = spread(adjoint(p))
        q = A(s) + variance * p
        bend = (p * q).flatten(1).sum(1)
        step = _ratio(rho, bend)
        explained = explained + step * rho
        going = (rho > target) & (bend > 0.99 * variance * _squared(p))
        if k:
            going &= explained <= credible
        if not going.any():
            break
        step = step * going
        x, r = x + expand(step, x) * s, r - expand(step, r) * q
        last, rho = rho, _squared(r)
        p = expand(going, r) * (r + expand(_ratio(rho, last), r) * p)
    return x


def _squared(x: Tensor) -> Tensor:
    """The squared norm per sample, `(B,)`."""
    return x.flatten(1).square().sum(1)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """`a / b`, and 0 where `b` is."""
    return torch.where(b > 0, a / torch.where(b > 0, b, torch.ones_like(b)), torch.zeros_like(a))
