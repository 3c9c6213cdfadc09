r"""Posteriors under each Gaussian of a mixture, from what was measured: means, likelihoods, mean covariances.

For `y = A x + sigma_y n` and `x ~ N(mu, C)` they are exact. Two forms are used, whichever is smaller.

- Masks, and the identity: `C = s I + F F^T` with `F` of as few columns `r` as the covariance has eigenvalues
  above its smallest, as in factor analysis (Ghahramani and Hinton, 1996,
  https://mlg.eng.cam.ac.uk/zoubin/papers/tr-96-1.pdf). Given the factors `z` the entries of `x` are
  independent, so that only matrices of `r x r` are factored, not one of all that is seen for each sample.
- Other matrices: by the covariance of `y`. If they have more rows than columns, `A = Q R` is factored first:
  what of `y` is orthogonal to `Q` adds a constant to the log-likelihood, and the rest is `Q^T y = R x + n`.
"""

from __future__ import annotations

__all__ = ["FLOOR", "Posterior", "posteriors", "spread"]

import math
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from dcdbench.linalg import symmetric
from dcdbench.networks.mixture import MixtureModel
from dcdbench.phases.explicit import Dense, Diagonal, explicit
from dcdbench.problem import Corruption, Measurement
from dcdbench.protocols import Operator

FLOOR = 1e-4  # the least noise of measurements and least width of components, in units of the data's
MEMORY = 2**22  # numbers in the greatest array
KEPT = 2**25  # numbers in the matrices of all measurements up to which these are made once for all iterations
EQUAL = 8  # eigenvalues that differ by this many rounding errors for each entry are one


@dataclass(frozen=True)
class Posterior:
    """What `B` measurements tell under each of `K` components.

    Args:
        x: `E[x | y, k]`, `(B, K, d)`.
        logs: `log p(y, k)`, `(B, K)`.
        summed: `sum_b w_bk Cov[x | y_b, k]`, from weights `(B, K)` to `(K, d, d)`.
    """

    x: Tensor
    logs: Tensor
    summed: Callable[[Tensor], Tensor]


def spread(m: Measurement) -> float:
    """The standard deviation of what was measured."""
    return max(float(m.y.double().std()), 1e-8)


def posteriors(model: MixtureModel, m: Measurement, corruption: Corruption) -> Iterator[Posterior]:
    """Those of all measurements, by chunks."""
    floor = m.sigma_y**2 + (FLOOR * spread(m)) ** 2
    one = explicit(m[:1], corruption)
    if isinstance(one, Diagonal):
        factors = Factors.of(model)
        for part in _chunks(m, len(model.means) * max(1, factors.F.shape[2]) * model.means.shape[1]):
            masks = explicit(m[part], corruption)
            assert isinstance(masks, Diagonal)
            yield factors.posterior(m.y[part].flatten(1).double(), masks.seen, floor)
        return
    shared, rows = not corruption.operator.random, one.matrix.shape[1]
    kept = None if shared else _kept(m, corruption)
    for part in _chunks(m, len(model.means) * max(rows, model.means.shape[1]) ** 2):
        A: Dense | Diagonal = (
            Dense(kept.matrix[part]) if kept else one if shared else explicit(m[part], corruption)
        )
        assert isinstance(A, Dense)
        yield _dense(model, m.y[part].flatten(1).double(), A, floor)


def _chunks(m: Measurement, numbers: int) -> tuple[Tensor, ...]:
    return torch.arange(len(m), device=m.y.device).split(max(1, MEMORY // numbers))


# By what was measured, while it lives: the draws of the operator, and their matrices.
_matrices: MutableMapping[Tensor, tuple[Operator, Dense]] = WeakTensorKeyDictionary()


def _kept(m: Measurement, corruption: Corruption) -> Dense | None:
    """The matrices of measurements, made once for as long as these live; None where they are too many.

    The same numbers may be said to be measured by other operators, whose matrices are made anew.
    """
    if len(m) * m.y[0].numel() * math.prod(m.shape) > KEPT:
        return None
    if m.y not in _matrices or _matrices[m.y][0] is not m.A:
        made = explicit(m, corruption)
        assert isinstance(made, Dense)
        _matrices[m.y] = m.A, made
    return _matrices[m.y][1]


@dataclass(frozen=True)
class Factors:
    """A mixture whose covariances are `s I + F F^T`.

    Args:
        logs: The logarithms of the weights, `(K,)`.
        means: `(K, d)`.
        s: The smallest eigenvalues, `(K,)`, or `(1,)` where all covariances are equal, as at the start.
        F: `(K or 1, d, r)`.
    """

    logs: Tensor
    means: Tensor
    s: Tensor
    F: Tensor

    @classmethod
    def of(cls, model: MixtureModel) -> Factors:
        """With as few columns as the eigenvalues of all covariances allow."""
        covs = model.covs[:1] if bool((model.covs == model.covs[:1]).all()) else model.covs
        values, vectors = torch.linalg.eigh(symmetric(covs))
        d = values.shape[1]
        equal = EQUAL * d * torch.finfo(values.dtype).eps * values[:, -1:]
        count = max(1, int((values - values[:, :1] <= equal).sum(1).min()))
        s = values[:, :count].mean(1)
        widths = (values[:, count:] - s[:, None]).clamp(min=0).sqrt()
        return cls(model.weights.log(), model.means, s, vectors[:, :, count:] * widths[:, None])

    def posterior(self, y: Tensor, seen: Tensor, floor: float) -> Posterior:
        """From measurements `(B, d)` of the entries that are `seen`, `(B or 1, d)`, with `floor` as noise."""
        k, d, r = self.F.shape
        tau = self.s + floor  # (K or 1,)
        pairs = (self.F[..., None] * self.F[..., None, :]).permute(1, 0, 2, 3).reshape(d, k * r * r)
        inner = (seen @ pairs).reshape(len(seen), k, r, r) / tau[:, None, None]
        eye = torch.eye(r, dtype=y.dtype, device=y.device)
        factor = torch.linalg.cholesky(inner + eye)  # (B or 1, K or 1, r, r)
        inverse = torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)
        off = seen[:, None] * (y[:, None] - self.means)  # (B, K, d)
        q = _through(off, self.F) / tau[:, None]
        alike = q.reshape(len(y), k, len(self.means) // k, r)  # components of one covariance in a row
        z = (alike @ inverse.mT @ inverse).reshape(q.shape)  # the mean of the factors
        explained = _through(z, self.F.mT)
        gain = seen[:, None] * (self.s / tau)[:, None]  # of an entry, once the factors are known
        x = self.means + gain * off + (1 - gain) * explained
        misfit = (off - seen[:, None] * explained).square().sum(2) / tau + z.square().sum(2)
        half = factor.diagonal(dim1=2, dim2=3).log().sum(2) + 0.5 * seen.sum(1, keepdim=True) * tau.log()
        logs = self.logs - 0.5 * misfit - half - 0.5 * seen.sum(1, keepdim=True) * math.log(2 * math.pi)
        return Posterior(x, logs, lambda weights: self._summed(weights, inverse, gain))

    def _summed(self, weights: Tensor, inverse: Tensor, gain: Tensor) -> Tensor:
        """That of factors, `D F Z F^T D` with `Z` their covariance, and what each entry leaves beside."""
        if len(gain) == 1:
            weights = weights.sum(0, keepdim=True)
        k, d, r = self.F.shape
        n = len(inverse)
        roots = (self.F @ inverse.permute(1, 3, 0, 2).reshape(k, r, n * r)).reshape(k, d, n, r)
        scale = weights.sqrt()[..., None] * (1 - gain)  # (B, K, d)
        roots = (roots * scale.permute(1, 2, 0)[..., None]).flatten(2)
        own = (weights[..., None] * ((1 - gain) * self.s[:, None])).sum(0)
        return roots @ roots.mT + torch.diag_embed(own)


def _through(v: Tensor, matrices: Tensor) -> Tensor:
    """`v_bk^T M_k`, `(B, K, m)` and `(K, m, n)` to `(B, K, n)`."""
    return (v.transpose(0, 1) @ matrices).transpose(0, 1)


def _dense(model: MixtureModel, y: Tensor, A: Dense, floor: float) -> Posterior:
    empty, beside = A.empty(), y.new_zeros(1, 1)
    noise = empty + (1 - empty) * floor  # entries that measure nothing read 0 and count for nothing
    seen = (1 - empty).sum(1, keepdim=True)
    if len(A.matrix) > 1 and A.matrix.shape[1] > A.matrix.shape[2]:
        Q, R = torch.linalg.qr(A.matrix)
        inside = (Q.mT @ y[..., None])[..., 0]
        apart = (y - (Q @ inside[..., None])[..., 0]).square().sum(1, keepdim=True)
        beside = -0.5 * apart / floor - 0.5 * (seen - R.shape[1]) * math.log(floor)
        y, A, noise = inside, Dense(R), torch.full_like(inside, floor)
    factor = torch.linalg.cholesky(A.through(model.covs) + torch.diag_embed(noise)[:, None])
    inverse = torch.cholesky_inverse(factor)  # (B or 1, K, m, m)
    r = y[:, None] - A.measure(model.means)
    w = _through(r, inverse[0]) if len(inverse) == 1 else (inverse @ r[..., None])[..., 0]
    x = model.means + _through(A.back(w), model.covs)
    half = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    logs = model.weights.log() - 0.5 * (r * w).sum(-1) - half + beside - 0.5 * seen * math.log(2 * math.pi)

    def summed(weights: Tensor) -> Tensor:
        return (
            weights.sum(0)[:, None, None] * model.covs - model.covs @ A.summed(weights, inverse) @ model.covs
        )

    return Posterior(x, logs, summed)
