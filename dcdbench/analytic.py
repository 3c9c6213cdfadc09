r"""Laws with exact densities, scores, denoisers and posteriors: Gaussians and their mixtures.

A law lives on flat vectors, `(B, d)`. It computes in float64, and answers in the dtype and
on the device of what it was asked about. With `sigma` the law is first convolved with
$N(0, \sigma^2 I)$, so that `score(x, sigma)` and `denoise(x, sigma)` are those of diffusion:
$D(x, \sigma) = E[x_0 | x] = x + \sigma^2 \nabla \log p_\sigma(x)$ (Tweedie).
"""

from __future__ import annotations

__all__ = ["Gaussian", "GaussianMixture", "Law", "NoDensity", "frechet", "kl_gaussian", "w2_gaussian"]

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from dcdbench.linalg import bures, eigh_psd, symmetric

RANK_TOL = 1e-10  # relative; what lies below counts as outside the range of a covariance


class NoDensity(ValueError):
    """A degenerate law was asked for its density or its score."""


def _double(value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64).detach()


class Law(ABC):
    """A mixture of `K >= 1` Gaussians, by the spectra of its components' covariances."""

    mean: Tensor  # (d,)
    cov: Tensor  # (d, d)

    @property
    @abstractmethod
    def components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights `(K,)`, means `(K, d)` and covariances `(K, d, d)`."""

    @abstractmethod
    def noised(self, sigma: float) -> Law:
        r"""The law convolved with $N(0, \sigma^2 I)$, for `sigma >= 0`."""

    @abstractmethod
    def affine(self, matrix: Tensor, offset: Tensor | None = None, sigma: float = 0.0) -> Law:
        r"""The law of `matrix x + offset + sigma n`, for `matrix` of shape `(m, d)`."""

    @abstractmethod
    def posterior(self, y: Tensor, A_matrix: Tensor, sigma_y: float) -> Law:
        """The law of `x` given one measurement `y = A x + sigma_y n`, `(m,)`; `sigma_y` may be 0."""

    @property
    def dim(self) -> int:
        """The dimension `d`."""
        return self.components[1].shape[1]

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues `(K, d)` and eigenvectors `(K, d, d)` of the components' covariances."""
        return eigh_psd(self.components[2])

    @property
    def has_density(self) -> bool:
        """Whether the law has a density: every component has full rank."""
        return bool((self.spectrum[0] > 0).all())

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` independent draws, `(n, d)`, float64 on `rng.device`."""
        weights, means, _ = (part.to(rng.device) for part in self.components)
        values, vectors = (part.to(rng.device) for part in self.spectrum)
        k = torch.multinomial(weights, n, replacement=True, generator=rng)
        z = torch.randn(n, self.dim, generator=rng, dtype=torch.float64, device=rng.device)
        factors = vectors * values.sqrt().unsqueeze(-2)
        x = torch.empty_like(z)
        for i in range(len(weights)):  # gathering the factors would take n d^2 numbers
            x[k == i] = means[i] + z[k == i] @ factors[i].mT
        return x

    def log_prob(self, x: Tensor, sigma: float | Tensor = 0.0) -> Tensor:
        """The log-density, `(B,)`, of the law convolved with noise `sigma`, a number or `(B,)`."""
        return torch.logsumexp(self._logs(*self._coordinates(x, sigma)), 1).to(x.dtype)

    def score(self, x_t: Tensor, sigma: float | Tensor) -> Tensor:
        """The gradient of `log_prob`, `(B, d)`."""
        r, var = self._coordinates(x_t, sigma)
        weights = torch.softmax(self._logs(r, var), 1)
        return self._back(weights, -r / var).to(x_t.dtype)

    def denoise(self, x_t: Tensor, sigma: float | Tensor) -> Tensor:
        """The posterior mean `E[x | x_t]`, `(B, d)`, for noise `sigma`, a number or `(B,)`."""
        r, var = self._coordinates(x_t, sigma)
        values = self.spectrum[0].to(r.device)
        gain = torch.where(var > 0, values / var.clamp_min(torch.finfo(var.dtype).tiny), 0.0)
        single = r.shape[1] == 1  # then a degenerate law projects, also without noise
        weights = torch.ones_like(r[..., 0]) if single else torch.softmax(self._logs(r, var), 1)
        means = self.components[1].to(r.device)
        return (weights @ means + self._back(weights, gain * r)).to(x_t.dtype)

    def _coordinates(self, x: Tensor, sigma: float | Tensor) -> tuple[Tensor, Tensor]:
        """Each component's principal coordinates and variances, `(B, K, d)` and `(B or 1, K, d)`."""
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"expected flat vectors of shape (B, {self.dim}), got {tuple(x.shape)}")
        values, vectors = (part.to(x.device) for part in self.spectrum)
        centred = x.double().unsqueeze(1) - self.components[1].to(x.device)
        s = torch.as_tensor(sigma, dtype=torch.float64, device=x.device).reshape(-1, 1, 1)
        return torch.einsum("kde,bkd->bke", vectors, centred), values + s.square()

    def _back(self, weights: Tensor, r: Tensor) -> Tensor:
        """From principal coordinates to vectors, averaged over components."""
        return torch.einsum("bk,kde,bke->bd", weights, self.spectrum[1].to(r.device), r)

    def _logs(self, r: Tensor, var: Tensor) -> Tensor:
        """Logarithms of weighted component densities, `(B, K)`."""
        if (var <= 0).any():
            raise NoDensity(
                f"this law on R^{self.dim} is degenerate (a covariance is singular), so it has no "
                "density; ask `has_density` first, or give `sigma` > 0"
            )
        logs = -0.5 * (r.square() / var + torch.log(2 * math.pi * var)).sum(2)
        return logs + torch.log(self.components[0].to(r.device))


@dataclass(frozen=True, eq=False)
class Gaussian(Law):
    """A normal law; `cov` may be singular.

    Args:
        mean: `(d,)`.
        cov: `(d, d)`, symmetric, eigenvalues at least 0.

    Example:
        >>> law = Gaussian(torch.zeros(2), torch.eye(2))
        >>> law.denoise(torch.ones(1, 2), sigma=1.0)
        tensor([[0.5000, 0.5000]])
    """

    mean: Tensor
    cov: Tensor

    def __post_init__(self) -> None:
        mean, cov = _double(self.mean), _double(self.cov)
        if mean.ndim != 1 or cov.shape != (len(mean), len(mean)):
            raise ValueError(
                f"mean and cov must have shapes (d,) and (d, d), got {tuple(mean.shape)}, {tuple(cov.shape)}"
            )
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "cov", symmetric(cov))

    @classmethod
    def from_factor(cls, mean: Tensor, factor: Tensor) -> Gaussian:
        """The law of `mean + factor z` for standard normal `z`; `factor` is `(d, k)`."""
        factor = _double(factor)
        return cls(mean, factor @ factor.mT)

    @property
    def components(self) -> tuple[Tensor, Tensor, Tensor]:
        """One component, of weight 1."""
        return torch.ones(1, dtype=torch.float64), self.mean[None], self.cov[None]

    def noised(self, sigma: float) -> Gaussian:
        r"""The law convolved with $N(0, \sigma^2 I)$, for `sigma >= 0`."""
        return self.affine(torch.eye(self.dim), sigma=sigma)

    def affine(self, matrix: Tensor, offset: Tensor | None = None, sigma: float = 0.0) -> Gaussian:
        """The law of `matrix x + offset + sigma n`, for `matrix` of shape `(m, d)`."""
        matrix = _double(matrix)
        mean = matrix @ self.mean + (0.0 if offset is None else _double(offset))
        noise = sigma**2 * torch.eye(len(matrix), dtype=torch.float64)
        return Gaussian(mean, matrix @ self.cov @ matrix.mT + noise)

    def posterior(self, y: Tensor, A_matrix: Tensor, sigma_y: float) -> Gaussian:
        """The law of `x` given one measurement `y = A x + sigma_y n`, `(m,)`; `sigma_y` may be 0.

        Computed for `z` in `x = mean + F z`, where nothing has to be inverted.
        """
        values, vectors = self.spectrum
        factor = vectors[0] * values[0].sqrt()
        A = _double(A_matrix)
        u, h, vt = torch.linalg.svd(A @ factor)
        tol = max(A.shape) * torch.finfo(h.dtype).eps * (h.max() if len(h) else 0.0)
        h = torch.where(h > tol, h, 0.0)
        total = h.square() + sigma_y**2
        gain = torch.where(total > 0, h / total.clamp_min(torch.finfo(h.dtype).tiny), 0.0)
        z = vt[: len(h)].mT @ (gain * (u[:, : len(h)].mT @ (_double(y) - A @ self.mean)))
        left = torch.ones(self.dim, dtype=torch.float64)
        left[: len(h)] = torch.where(total > 0, sigma_y**2 / total, 1.0)
        return Gaussian.from_factor(self.mean + factor @ z, factor @ (vt.mT * left.sqrt()))


@dataclass(frozen=True, eq=False)
class GaussianMixture(Law):
    """A mixture of normal laws; covariances may be singular.

    Args:
        weights: `(K,)`, at least 0, with sum 1.
        means: `(K, d)`.
        covs: `(K, d, d)`.
    """

    weights: Tensor
    means: Tensor
    covs: Tensor

    def __post_init__(self) -> None:
        weights, means, covs = _double(self.weights), _double(self.means), _double(self.covs)
        k, d = means.shape if means.ndim == 2 else (-1, -1)
        if weights.shape != (k,) or covs.shape != (k, d, d):
            shapes = tuple(tuple(part.shape) for part in (weights, means, covs))
            raise ValueError(f"weights, means, covs must be (K,), (K, d), (K, d, d), got {shapes}")
        if (weights < 0).any() or abs(weights.sum().item() - 1) > 1e-6:
            raise ValueError(f"weights must be >= 0 and sum to 1, got {weights.tolist()}")
        object.__setattr__(self, "weights", weights / weights.sum())
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "covs", symmetric(covs))

    @property
    def components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights `(K,)`, means `(K, d)` and covariances `(K, d, d)`."""
        return self.weights, self.means, self.covs

    @cached_property
    def mean(self) -> Tensor:  # type: ignore[override]
        """The mean, `(d,)`."""
        return self.weights @ self.means

    @cached_property
    def cov(self) -> Tensor:  # type: ignore[override]
        """The covariance, `(d, d)`: within components plus between them."""
        centred = self.means - self.mean
        between = torch.einsum("k,kd,ke->de", self.weights, centred, centred)
        return torch.einsum("k,kde->de", self.weights, self.covs) + between

    def noised(self, sigma: float) -> GaussianMixture:
        r"""The law convolved with $N(0, \sigma^2 I)$, for `sigma >= 0`."""
        return self.affine(torch.eye(self.dim), sigma=sigma)

    def affine(self, matrix: Tensor, offset: Tensor | None = None, sigma: float = 0.0) -> GaussianMixture:
        """The law of `matrix x + offset + sigma n`, for `matrix` of shape `(m, d)`."""
        return self._join(self.weights, [part.affine(matrix, offset, sigma) for part in self._parts()])

    def posterior(self, y: Tensor, A_matrix: Tensor, sigma_y: float) -> GaussianMixture:
        """The law of `x` given one measurement `y = A x + sigma_y n`, `(m,)`."""
        evidence = self.affine(A_matrix, sigma=sigma_y)
        logs = evidence._logs(*evidence._coordinates(_double(y)[None], 0.0))[0]
        parts = [part.posterior(y, A_matrix, sigma_y) for part in self._parts()]
        return self._join(torch.softmax(logs, 0), parts)

    def _parts(self) -> list[Gaussian]:
        return [Gaussian(m, c) for m, c in zip(self.means, self.covs, strict=True)]

    @staticmethod
    def _join(weights: Tensor, parts: list[Gaussian]) -> GaussianMixture:
        return GaussianMixture(
            weights, torch.stack([p.mean for p in parts]), torch.stack([p.cov for p in parts])
        )


def frechet(p: Law, q: Law) -> float:
    """The squared Frechet distance: that of Gaussians with the means and covariances of `p` and `q`.

    It never exceeds the squared W2 distance of the laws themselves (Gelbrich), and equals it
    for Gaussians.
    """
    return ((p.mean - q.mean).square().sum() + bures(p.cov, q.cov)).item()


def w2_gaussian(p: Gaussian, q: Gaussian) -> float:
    """The W2 distance of two normal laws, also degenerate ones (not squared)."""
    if not (isinstance(p, Gaussian) and isinstance(q, Gaussian)):
        raise TypeError("w2_gaussian is exact for Gaussians only; frechet bounds other laws from below")
    return math.sqrt(frechet(p, q))


def kl_gaussian(p: Gaussian, q: Gaussian) -> float:
    """KL(p || q) of two normal laws, in nats.

    Degenerate laws are compared on the range of `q`; infinite unless `p` has the same range.
    """
    values, vectors = q.spectrum[0][0], q.spectrum[1][0]
    kept = values > RANK_TOL * values.max()
    v = vectors[:, kept] / values[kept].sqrt()
    out = vectors[:, ~kept]
    shift = p.mean - q.mean
    scale = max(p.cov.trace().item(), values.sum().item(), 1e-300)
    if (out.mT @ p.cov @ out).trace() > RANK_TOL * scale or (
        out.mT @ shift
    ).square().sum() > RANK_TOL * scale:
        return math.inf
    ratios = torch.linalg.eigvalsh(v.mT @ p.cov @ v)
    if len(ratios) and ratios.min() <= RANK_TOL * ratios.max():
        return math.inf
    return 0.5 * ((ratios - 1 - ratios.log()).sum() + (v.mT @ shift).square().sum()).item()
