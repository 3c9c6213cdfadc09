r"""Covariance matrices: square roots, and the Bures-Wasserstein distance; distances; least squares."""

from __future__ import annotations

__all__ = [
    "bures",
    "bures_factors",
    "distances",
    "distances_by_products",
    "eigh_psd",
    "least_squares",
    "sqrtm",
    "symmetric",
]

from collections.abc import Callable

import torch
from torch import Tensor

from dcdbench.batch import expand

EXACT_DIM = 128  # up to here, differences are formed one by one rather than by a matrix product
PRODUCTS_DIM = 16  # from here on, products in float64 are faster than differences in float32


def symmetric(a: Tensor) -> Tensor:
    """The symmetric part of matrices, `(*, d, d)`."""
    return (a + a.mT) / 2


def eigh_psd(a: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, `(*, d)`, and eigenvectors, `(*, d, d)`, of covariance matrices.

    Eigenvalues that rounding cannot tell from zero become exactly zero, so that a singular
    matrix stays singular: their square roots would else be as large as `1e-8`.

    Raises:
        ValueError: If a matrix has an eigenvalue that is negative beyond rounding.
    """
    values, vectors = torch.linalg.eigh(symmetric(a))
    largest = values.abs().amax(-1, keepdim=True)
    tol = 4 * a.shape[-1] * torch.finfo(a.dtype).eps * largest
    if (values < -1e-6 * largest).any():  # float32 covariances are off by so much
        raise ValueError(f"a covariance must have eigenvalues >= 0, got {values.min().item():.3g}")
    return torch.where(values > tol, values, torch.zeros_like(values)), vectors


def sqrtm(a: Tensor) -> Tensor:
    """The symmetric square root of covariance matrices, `(*, d, d)`."""
    values, vectors = eigh_psd(a)
    return (vectors * values.sqrt().unsqueeze(-2)) @ vectors.mT


def bures_factors(f: Tensor, g: Tensor) -> Tensor:
    r"""The squared Bures distance of `f f^T` and `g g^T`, from the factors, `(d, k)` and `(d, l)`.

    $\min_U \|f - gU\|_F^2$ over orthogonal `U` (Procrustes), in which nothing cancels: close
    covariances keep their relative accuracy, and the result is never negative.
    See https://arxiv.org/abs/1712.01504.
    """
    k = max(f.shape[1], g.shape[1])
    f = torch.nn.functional.pad(f, (0, k - f.shape[1]))
    g = torch.nn.functional.pad(g, (0, k - g.shape[1]))
    p, _, qt = torch.linalg.svd(g.mT @ f)
    return (f - g @ (p @ qt)).square().sum()


def bures(a: Tensor, b: Tensor) -> Tensor:
    r"""The squared Bures distance of two covariances, `(d, d)`, also singular ones.

    $\operatorname{tr} a + \operatorname{tr} b - 2 \operatorname{tr} (a^{1/2} b a^{1/2})^{1/2}$,
    which is the squared W2 distance of centred Gaussians.
    """
    return bures_factors(sqrtm(a), sqrtm(b))


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances of points `(n, d)` and `(m, d)`, as `(n, m)`.

    A matrix product is faster in high dimension, but gives `1e-8` for the distance of a
    point to itself.
    """
    mode = "donot_use_mm_for_euclid_dist" if x.shape[1] <= EXACT_DIM else "use_mm_for_euclid_dist"
    return torch.cdist(x, y, compute_mode=mode)


def distances_by_products(x: Tensor, y: Tensor) -> Tensor:
    r"""Euclidean distances of points `(n, d)` and `(m, d)`, as `(n, m)`, for means over many pairs.

    From 16 dimensions on they come of matrix products in float64, in the form $|x|^2 + |y|^2 - 2 x^T y$ of
    points less their mean, which takes a seventh of the time of differences in 64 dimensions. The rounding
    error of the square is at most about $(d + 4) \epsilon r^2$, where $r = |x| + |y|$ and $\epsilon$ is
    1.1e-16; so that of a distance is at most $r \sqrt{(d + 4) \epsilon}$, 1e-7 of `r` in 64 dimensions,
    for points however near to each other, and far less for others. The distance of a point to itself may
    come out as large as this bound.
    """
    if x.shape[1] < PRODUCTS_DIM:
        return distances(x, y)
    centre = y.double().mean(0)
    pair = (x.double() - centre, y.double() - centre)
    return torch.cdist(*pair, compute_mode="use_mm_for_euclid_dist")


def least_squares(
    A: Callable[[Tensor], Tensor],
    adjoint: Callable[[Tensor], Tensor],
    y: Tensor,
    *,
    ridge: float = 0.0,
    tol: float | None = None,
    steps: int | None = None,
) -> Tensor:
    r"""The `x` that minimises `|A x - y|^2 + ridge |x|^2`, and among several the one of least norm.

    Conjugate gradients on the normal equations (CGLS; Paige and Saunders, 1982,
    https://doi.org/10.1145/355984.355989, also for when to stop). They start at 0, so `x` stays in the range
    of `A^T`. Each sample has its own step sizes, and rests once it has converged: it depends on no other
    sample. Differentiable.

    Args:
        A: A linear map for each sample, `(B, *)` to `(B, *)`.
        adjoint: Its transpose.
        y: What is to be met, `(B, *)`.
        ridge: The weight of Tikhonov's regularisation, `>= 0`.
        tol: A sample has converged when its residual `r` is at most this share of `y`, or `|A^T r|` of
            `|A| |r|`; by default four times the rounding error of the type of `y`.
        steps: The most steps; by default ten for each entry of `x`, where exact arithmetic needs one.
    """
    eps = torch.finfo(y.dtype).eps
    tol = 4 * eps if tol is None else tol
    r, s = y, adjoint(y)
    x, p, gamma = torch.zeros_like(s), s, _squared(s)
    norm, target = torch.zeros_like(gamma), tol**2 * _squared(y)  # norm: that of A, squared, as far as seen
    for _ in range(10 * s[:1].numel() if steps is None else steps):
        q = A(p)
        length, missed = _squared(p), _squared(r) + ridge * _squared(x)
        bend = _squared(q) + ridge * length
        norm = torch.maximum(norm, _ratio(bend, length))
        # A direction that A maps to rounding errors is one of its null space.
        going = (missed > target) & (gamma > tol**2 * norm * missed) & (bend > eps**2 * norm * length)
        if not going.any():
            break
        step = _ratio(gamma, bend) * going
        x, r = x + expand(step, x) * p, r - expand(step, r) * q
        s = adjoint(r) - ridge * x
        last, gamma = gamma, _squared(s)
        p = expand(going, s) * (s + expand(_ratio(gamma, last), s) * p)
    return x


def _squared(x: Tensor) -> Tensor:
    """The squared norm per sample, `(B,)`."""
    return x.flatten(1).square().sum(1)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """`a / b`, and 0 where `b` is: no gradient divides by 0 either."""
    return torch.where(b > 0, a / torch.where(b > 0, b, torch.ones_like(b)), torch.zeros_like(a))
