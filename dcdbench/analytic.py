r"""Laws with exact densities, scores, denoisers and posteriors: Gaussians and their mixtures.

A law lives on flat vectors, `(B, d)`. It computes in float64, and answers in the dtype and
on the device of what it was asked about. With `sigma` the law is first convolved with
$N(0, \sigma^2 I)$, so that `score(x, sigma)` and `denoise(x, sigma)` are those of diffusion:
$D(x, \sigma) = E[x_0 | x] = x + \sigma^2 \nabla \log p_\sigma(x)$ (Tweedie).
"""

from __future__ import annotations

__all__ = [
    "Gaussian",
    "GaussianMixture",
    "Law",
    "NoDensity",
    "contaminated",
    "frechet",
    "kl_gaussian",
    "w2_gaussian",
]

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from dcdbench.linalg import bures, eigh_psd, symmetric

OFF_TOL = 1e-6  # relative; what lies closer to a subspace may have left it by rounding in single precision
CLOSE = 0.5  # between variances, relative


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
        """The law of `x` given one measurement `y = A x + sigma_y n`, `(m,)`.

        `sigma_y` may be 0, which is the limit, also for a `y` that no `x` explains.
        """

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
        """`n` independent draws, `(n, d)`, float64 on `rng.device`.

        Factors are symmetric square roots, which are continuous in the covariance: eigenvectors are not, and
        their signs are the library's choice.
        """
        weights, means, _ = (part.to(rng.device) for part in self.components)
        values, vectors = (part.to(rng.device) for part in self.spectrum)
        k = torch.multinomial(weights, n, replacement=True, generator=rng)
        z = torch.randn(n, self.dim, generator=rng, dtype=torch.float64, device=rng.device)
        roots = (vectors * values.sqrt().unsqueeze(-2)) @ vectors.mT
        x = torch.empty_like(z)
        for i in range(len(weights)):  # gathering the roots would take n d^2 numbers
            x[k == i] = means[i] + z[k == i] @ roots[i]
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
        """The posterior mean `E[x | x_t]`, `(B, d)`, for noise `sigma`, a number or `(B,)`.

        Without noise a degenerate law projects, on the nearest of its components.
        """
        r, var = self._coordinates(x_t, sigma)
        values, means = self.spectrum[0].to(r.device), self.components[1].to(r.device)
        gain = torch.where(var > 0, values / var.clamp_min(torch.finfo(var.dtype).tiny), 0.0)
        scale = x_t.double().norm(dim=1, keepdim=True) + means.norm(dim=1)
        weights = _shares(self.components[0].to(r.device), r, var, scale)
        return (weights @ means + self._back(weights, gain * r)).to(x_t.dtype)

    def mahalanobis(self, x: Tensor) -> Tensor:
        """The distance, `(B, K)`, of `x`, `(B, d)`, from each component, in its own standard deviations.

        Raises:
            NoDensity: If a covariance is singular.
        """
        r, var = self._coordinates(x, 0.0)
        self._require_density(var)
        return (r.square() / var).sum(2).sqrt()

    def responsibilities(self, x: Tensor) -> Tensor:
        """The posterior probabilities, `(B, K)`, that `x`, `(B, d)`, comes from each component.

        Raises:
            NoDensity: If a covariance is singular.
        """
        return torch.softmax(self._logs(*self._coordinates(x, 0.0)), 1)

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
        self._require_density(var)
        return _log_terms(self.components[0].to(r.device), r, var)

    def _require_density(self, var: Tensor) -> None:
        if (var <= 0).any():
            raise NoDensity(
                f"this law on R^{self.dim} is degenerate (a covariance is singular), so it has no "
                "density; ask `has_density` first, or give `sigma` > 0"
            )


def _log_terms(weights: Tensor, r: Tensor, var: Tensor) -> Tensor:
    """Logarithms of weighted component densities, `(B, K)`, of coordinates `r` where `var` is not 0."""
    inside = var > 0
    var = torch.where(inside, var, 1.0)
    terms = r.square() / var + torch.log(2 * math.pi * var)
    return -0.5 * torch.where(inside, terms, 0.0).sum(2) + torch.log(weights)


def _shares(weights: Tensor, r: Tensor, var: Tensor, scale: Tensor) -> Tensor:
    """The posterior weights of components, `(B, K)`, in the limit of no noise where `var` is 0.

    There the nearest components share, and of these the ones of least dimension, beside which others have
    no density. `scale`, `(B, K)`, says what rounding may have moved.
    """
    logs, flat = _log_terms(weights, r, var), var <= 0
    if flat.any():
        off = torch.where(flat, r, 0.0).norm(dim=2)
        off = torch.where(weights > 0, off, math.inf)
        near = off <= off.amin(1, keepdim=True) + OFF_TOL * scale
        rank = torch.where(near, (~flat).sum(2), r.shape[2] + 1)
        logs = torch.where(rank == rank.amin(1, keepdim=True), logs, -math.inf)
    return torch.softmax(logs, 1)


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
        return self._given(_double(y), _double(A_matrix), sigma_y)[0]

    def _given(self, y: Tensor, A: Tensor, sigma_y: float) -> tuple[Gaussian, Tensor, Tensor]:
        """The posterior, and the principal coordinates of the measurement and their variances, `(m,)`."""
        values, vectors = self.spectrum
        factor = vectors[0] * values[0].sqrt()
        u, h, vt = torch.linalg.svd(A @ factor)
        tol = max(A.shape) * torch.finfo(h.dtype).eps * (h.max() if len(h) else 0.0)
        h = torch.where(h > tol, h, 0.0)
        total = h.square() + sigma_y**2
        gain = torch.where(total > 0, h / total.clamp_min(torch.finfo(h.dtype).tiny), 0.0)
        r = u.mT @ (y - A @ self.mean)
        z = vt[: len(h)].mT @ (gain * r[: len(h)])
        left = torch.ones(self.dim, dtype=torch.float64)
        left[: len(h)] = torch.where(total > 0, sigma_y**2 / total, 1.0)
        law = Gaussian.from_factor(self.mean + factor @ z, factor @ (vt.mT * left.sqrt()))
        return law, r, torch.nn.functional.pad(total, (0, len(r) - len(h)), value=sigma_y**2)


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
        """The law of `x` given one measurement `y = A x + sigma_y n`, `(m,)`; `sigma_y` may be 0."""
        y, A = _double(y), _double(A_matrix)
        parts, r, var = zip(*(part._given(y, A, sigma_y) for part in self._parts()), strict=True)
        scale = y.norm() + (self.means @ A.mT).norm(dim=1)
        shares = _shares(self.weights, torch.stack(r)[None], torch.stack(var)[None], scale[None])
        return self._join(shares[0], list(parts))

    def _parts(self) -> list[Gaussian]:
        return [Gaussian(m, c) for m, c in zip(self.means, self.covs, strict=True)]

    @staticmethod
    def _join(weights: Tensor, parts: list[Gaussian]) -> GaussianMixture:
        return GaussianMixture(
            weights, torch.stack([p.mean for p in parts]), torch.stack([p.cov for p in parts])
        )


def contaminated(clean: Law, eps: float, other: Law) -> GaussianMixture:
    """The law `(1 - eps) clean + eps other`: of each draw, a share `eps` comes from elsewhere."""
    if not 0 <= eps <= 1:
        raise ValueError(f"eps must be in [0, 1], got {eps}")
    if clean.dim != other.dim:
        raise ValueError(f"laws must have the same dimension, got {clean.dim} and {other.dim}")
    (a, *here), (b, *there) = clean.components, other.components
    means, covs = (torch.cat(pair) for pair in zip(here, there, strict=True))
    return GaussianMixture(torch.cat([(1 - eps) * a, eps * b]), means, covs)


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

    Degenerate laws, by the decision of `eigh_psd`, are compared on their common range; infinite unless
    they have one. Independent coordinates are never degenerate but for a variance of 0.
    """
    if not (isinstance(p, Gaussian) and isinstance(q, Gaussian)):
        raise TypeError("the closed form is that of Gaussians; mixtures have quadratures and brackets")
    a, b, shift = p.cov, q.cov, p.mean - q.mean
    definite = _definite(q)
    if _definite(p) != definite:
        return math.inf
    root, failed = torch.linalg.cholesky_ex(b) if definite else (b, torch.ones(()))
    if failed:
        if not definite and not _same_range(p, q):
            return math.inf
        values, vectors = q.spectrum[0][0], q.spectrum[1][0]
        basis, root = vectors[:, values > 0], values[values > 0].sqrt().diag()
        a, b, shift = basis.mT @ a @ basis, root.square(), basis.mT @ shift
    return 0.5 * (_log_ratios(a, b, root) + _solve(root, shift[:, None]).square().sum()).item()


def _definite(law: Gaussian) -> bool:
    variances = law.cov.diagonal()
    return bool((variances > 0).all()) if torch.equal(law.cov, variances.diag()) else law.has_density


def _same_range(p: Gaussian, q: Gaussian) -> bool:
    """Whether two degenerate laws live on the same affine subspace."""
    tiny, shift = torch.finfo(torch.float64).tiny, p.mean - q.mean
    largest = [law.spectrum[0].max().clamp_min(tiny) for law in (p, q)]
    moved = torch.outer(shift, shift) / torch.maximum(largest[1], shift.square().sum())
    joint = eigh_psd(p.cov / largest[0] + q.cov / largest[1] + moved)[0]
    ranks = [int((values > 0).sum()) for values in (p.spectrum[0], q.spectrum[0], joint)]
    return ranks[0] == ranks[1] == ranks[2]


def _log_ratios(a: Tensor, b: Tensor, root: Tensor) -> Tensor:
    r"""$\operatorname{tr}(b^{-1} a - 1) - \log\det b^{-1} a$, for `root` the Cholesky factor of `b`."""
    excess = torch.linalg.eigvalsh(_solve(root, _solve(root, a - b).mT))
    if (excess.abs() < CLOSE).all():  # ratios minus 1: close laws keep their relative accuracy
        return (excess - excess.log1p()).sum()
    own, failed = torch.linalg.cholesky_ex(a)
    log_det = 2 * own.diagonal().log().sum() if not failed else eigh_psd(a)[0].log().sum()
    return excess.sum() - log_det + 2 * root.diagonal().log().sum()


def _solve(root: Tensor, x: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(root, x, upper=False)
