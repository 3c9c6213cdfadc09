r"""Mixtures of Gaussians by expectation maximisation, exactly, from what was measured of each sample.

For `y = A x + sigma_y n` the posterior of `x` under each component is Gaussian in closed form. That of
missing entries is the case of a mask: Supervised learning from incomplete data via an EM approach
(Ghahramani and Jordan, 1993), https://proceedings.neurips.cc/paper/1993; that of noise is Extreme
Deconvolution (Bovy et al., 2011), https://arxiv.org/abs/0905.2979. Covariances of limited rank plus a
multiple of the identity are those of Mixtures of Probabilistic Principal Component Analysers (Tipping
and Bishop, 1999), http://www.miketipping.com/papers/met-mppca.pdf: their maximum is that of the complete
signal's scatter, less its smallest eigenvalues, which are replaced by their mean.
"""

from __future__ import annotations

__all__ = ["FitMixture", "fit_step", "limited"]

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from dcdbench.linalg import symmetric
from dcdbench.networks.mixture import MixtureModel
from dcdbench.phases.explicit import is_diagonal
from dcdbench.phases.posteriors import FLOOR, posteriors, spread
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Network
from dcdbench.samplers.law import FromLaw
from dcdbench.streams import Stream
from dcdbench.training import Diverged, State

WARM = 10  # iterations of a single Gaussian, which tells the start of the mixture
LLOYD = 10  # iterations of k-means at the start


@dataclass(frozen=True)
class FitMixture:
    """One iteration of expectation maximisation on all measurements per step.

    Args:
        network: Not used: the law has no network.
        kimg: The number of iterations, times `batch`, in thousands.
        batch: That of the task, which says how `kimg` counts steps.
        components: The number `K` of Gaussians.
        rank: Directions in which a component's covariance is free; it is isotropic in the others.
    """

    network: Network
    kimg: float
    batch: int = 256
    components: int = 10
    rank: int = 8

    kind: ClassVar[str] = "student"
    needs_clean: ClassVar[bool] = False

    def operations(self, corruption: Corruption, shape: tuple[int, ...], n: int) -> float:
        """Operations of large matrix products that take about as long as one iteration, or the start."""
        k, d, m = self.components, math.prod(shape), math.prod(corruption.operator.measured_shape(shape))
        matrices = n if corruption.operator.random else 1  # of which each is written and read a few times
        if is_diagonal(corruption.operator.draw(shape, 1, Stream(0).rng())):
            factors: float = matrices * (2000 * d * min(self.rank, d) + 30_000)
        else:
            rows = min(m, d) if corruption.operator.random else m
            factors = matrices * (8 * rows * (rows * rows + d * d) + 4 * m * d * d / k)
        return k * (n * (4000 * (m + d) + 10 * d * d) + factors + 100 * d**3)

    def init(self, problem: Problem, parent: Any, stream: Stream) -> State:
        """A Gaussian, then clusters of the signals that it expects."""
        m, d = problem.train, math.prod(problem.shape)
        mean = m.A.back(m.y).flatten(1).double().mean(0)
        one = MixtureModel(
            torch.ones(1), mean[None], spread(m) ** 2 * torch.eye(d, dtype=torch.float64)[None]
        )
        one = one.to(m.y.device)
        for _ in range(WARM):
            fit_step(one, m, problem.corruption, self.rank)
        model = one if self.components == 1 else self._clusters(one, problem, stream)
        return State({"law": model}, {})

    def _clusters(self, one: MixtureModel, problem: Problem, stream: Stream) -> MixtureModel:
        """Means and shares of clusters of expected signals; the covariance is what they leave."""
        rng = stream.rng(problem.train.y.device)
        x = torch.cat([each.x[:, 0] for each in posteriors(one, problem.train, problem.corruption)])
        means, weights, within = k_means(x, self.components, rng)
        lost = symmetric(one.covs[0] - torch.cov(x.mT, correction=0))  # the posterior's covariance
        values, vectors = torch.linalg.eigh(lost + within)
        cov = (vectors * values.clamp(min=(FLOOR * spread(problem.train)) ** 2)) @ vectors.mT
        return MixtureModel(weights, means, cov.repeat(self.components, 1, 1)).to(x.device)

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """One iteration, and the log-likelihood per measurement before it."""
        value = fit_step(state.trained["law"], problem.train, problem.corruption, self.rank)
        if not math.isfinite(value):
            raise Diverged(f"the log-likelihood is {value}", str(stream))
        state.step += 1
        state.nimg += len(problem.train)
        return {"log_likelihood": value}

    def result(self, state: State) -> MixtureModel:
        """The mixture."""
        return state.trained["law"]

    def empty(self, shape: tuple[int, ...], form: dict[str, float]) -> MixtureModel:
        """A mixture for parameters that were stored."""
        k, d = int(form["components"]), math.prod(shape)
        return MixtureModel(torch.ones(k) / k, torch.zeros(k, d), torch.zeros(k, d, d))

    def preview(self, sigma_y: float) -> FromLaw:
        """The sampler by which checkpoints are compared."""
        return FromLaw()

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """All of it: the law is that of signals."""
        return corruption


@torch.no_grad()
def fit_step(model: MixtureModel, m: Measurement, corruption: Corruption, rank: int) -> float:
    """One iteration, in place; the log-likelihood per measurement before it."""
    k, d = model.means.shape
    count, first = model.weights.new_zeros(k), model.means.new_zeros(k, d)
    second, left, total = torch.zeros_like(model.covs), torch.zeros_like(model.covs), 0.0
    for found in posteriors(model, m, corruption):
        share = torch.softmax(found.logs, 1)
        total += float(torch.logsumexp(found.logs, 1).sum())
        centred = found.x - model.means  # by the means before, so that little cancels
        count += share.sum(0)
        first += torch.einsum("bk,bkd->kd", share, centred)
        second += torch.einsum("bkd,bke->kde", share[..., None] * centred, centred)
        left += found.summed(share)
    n = count.clamp(min=1e-8)[:, None]
    shift = first / n
    scatter = second / n[..., None] - shift[:, :, None] * shift[:, None]
    covs = scatter + left / n[..., None]
    alive = (count > 1)[:, None, None]  # what explains less than one sample stays as it was
    model.covs.copy_(torch.where(alive, limited(covs, rank, (FLOOR * spread(m)) ** 2), model.covs))
    model.means.add_(torch.where(alive[..., 0], shift, 0.0))
    model.weights.copy_(count / count.sum())
    return total / len(m)


def limited(covs: Tensor, rank: int, floor: float) -> Tensor:
    """Covariances with all but the `rank` greatest eigenvalues replaced by their mean, at least `floor`."""
    values, vectors = torch.linalg.eigh(symmetric(covs))
    rest = values.shape[-1] - rank
    if rest > 1:
        values = torch.cat(
            [values[..., :rest].mean(-1, keepdim=True).expand(-1, rest), values[..., rest:]], -1
        )
    return (vectors * values.clamp(min=floor).unsqueeze(-2)) @ vectors.mT


def k_means(x: Tensor, k: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Means `(k, d)` and shares `(k,)` of clusters, and the scatter within them, `(d, d)`.

    Starts from points drawn with probabilities that grow with the squared distance from those before:
    k-means++ (Arthur and Vassilvitskii, 2007), https://dl.acm.org/doi/10.5555/1283383.1283494.
    """
    means = x[torch.randint(len(x), (1,), generator=rng, device=rng.device)]
    while len(means) < k:
        nearest = torch.cdist(x, means).square().amin(1) + 1e-300
        means = torch.cat([means, x[torch.multinomial(nearest, 1, generator=rng)]])
    for _ in range(LLOYD):
        own = torch.nn.functional.one_hot(torch.cdist(x, means).argmin(1), k).to(x)
        count = own.sum(0)
        means = torch.where(count[:, None] > 0, own.mT @ x / count.clamp(min=1)[:, None], means)
    rest = x - own @ means
    return means, (count + 1) / (count + 1).sum(), rest.mT @ rest / len(x)
