r"""Covariance matrices: square roots, and the Bures-Wasserstein distance; and distances of points."""

from __future__ import annotations

__all__ = ["bures", "bures_factors", "distances", "eigh_psd", "sqrtm", "symmetric"]

import torch
from torch import Tensor

EXACT_DIM = 128  # up to here, differences are formed one by one rather than by a matrix product


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
