"""Laws that are fitted without a network, as modules: what is stored of them."""

from __future__ import annotations

__all__ = ["MixtureModel", "Moments"]

import torch
from torch import Tensor, nn

from dcdbench.analytic import Gaussian, GaussianMixture


class MixtureModel(nn.Module):
    """A mixture of `K` Gaussians on flattened signals, in float64.

    Args:
        weights: `(K,)`.
        means: `(K, d)`.
        covs: `(K, d, d)`.
    """

    def __init__(self, weights: Tensor, means: Tensor, covs: Tensor) -> None:
        super().__init__()
        self.weights, self.means, self.covs = (
            nn.Parameter(t.double(), requires_grad=False) for t in (weights, means, covs)
        )

    def form(self) -> dict[str, float]:
        """What is needed beside the weights to build this again."""
        return {"components": float(len(self.weights))}

    def law(self) -> GaussianMixture:
        """The law."""
        return GaussianMixture(self.weights.cpu(), self.means.cpu(), self.covs.cpu())


class Moments(nn.Module):
    """Sums over measurements whose unseen entries read 0, of which means and covariances are made.

    Args:
        d: Entries of a signal.
        sigma_y: The noise of the measurements.
        rank: That of the covariance; 0 for as many directions as stand out of the errors.
    """

    firsts: Tensor  # (d, d): the sum of y_i m_j
    products: Tensor  # (d, d): the sum of y_i y_j
    pairs: Tensor  # (d, d): the sum of m_i m_j

    def __init__(self, d: int, sigma_y: float, rank: int) -> None:
        super().__init__()
        self.sigma_y, self.rank = sigma_y, rank
        for name in ("firsts", "products", "pairs"):
            self.register_buffer(name, torch.zeros(d, d, dtype=torch.float64))

    def form(self) -> dict[str, float]:
        """What is needed beside the sums to build this again."""
        return {"sigma_y": self.sigma_y, "rank": float(self.rank)}

    def add(self, y: Tensor, seen: Tensor) -> None:
        """Takes in measurements, `(B, d)`, of which `seen`, `(B, d)`, entries were measured."""
        y, seen = (t.double().expand(len(y), -1) for t in (y, seen))
        self.firsts += y.mT @ seen
        self.products += y.mT @ y
        self.pairs += seen.mT @ seen

    def moments(self) -> tuple[Tensor, Tensor]:
        """The mean, `(d,)`, and the unbiased covariance, `(d, d)`, each entry from where both were seen.

        The noise is taken off, so that eigenvalues may be negative. What was never seen together counts
        as uncorrelated.
        """
        pairs = self.pairs.clamp(min=1)
        mean = self.firsts.diagonal() / pairs.diagonal()
        crossed = self.firsts / pairs * mean
        known = (self.pairs > 0).to(pairs)
        cov = self.products / pairs - crossed - crossed.mT + known * mean[:, None] * mean
        return mean, cov * known - self.sigma_y**2 * torch.eye(len(mean)).to(cov)

    def law(self) -> Gaussian:
        """The Gaussian with the mean and the greatest eigenvalues of the covariance.

        An eigenvalue as large as the most negative one could be an error too: without a rank given, those
        above it are kept.
        """
        mean, cov = self.moments()
        values, vectors = torch.linalg.eigh(cov)
        least = float((-values[0]).clamp(min=0)) if self.rank == 0 else 0.0
        kept = values > least
        if self.rank > 0:
            kept[: max(0, len(values) - self.rank)] = False
        factor = vectors[:, kept] * values[kept].sqrt()
        return Gaussian.from_factor(mean.cpu(), factor.cpu())
