"""A phase that trains a diffusion model of signals given their measurements, on pairs that it makes."""

from __future__ import annotations

__all__ = ["Conditioned"]

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from dcdbench.batch import expand, mean_per_sample, randn_like
from dcdbench.diffusion import edm_weight, lognormal_levels
from dcdbench.networks.edm import Preconditioned
from dcdbench.phases.descend import descend
from dcdbench.phases.relearn import Pool
from dcdbench.phases.start import on_clean, scale_of, stored
from dcdbench.phases.teach import EXPLODED
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Network, Restorer, Sampler
from dcdbench.restorers.conditional import Beside, Conditional
from dcdbench.streams import Stream
from dcdbench.training import State, adam, average, copy_of, learning_rate


@dataclass(frozen=True)
class Conditioned:
    r"""Restores measurements, then learns `q(x | y)` from pairs of a signal and a fresh corruption of it.

    The loss is `w(sigma) |D(x + sigma n, sigma, y) - x|^2`, whose minimiser is `E[x | x_t, y]`.

    Args:
        restorer: Gives the signals.
        network: The architecture.
        kimg: Thousands of images to train on.
        batch: Images per step.
        sampler: How the model is sampled where checkpoints are compared.
        lr: The learning rate of Adam: warmed up over 1 %, and brought to 0 over the last `decay`.
        decay: The share of the training in which the rate falls.
        halflife_kimg: That of the running average of the weights, which is the result.
        clip: The largest norm of the gradient.
        p_mean: The mean of `log(sigma / sigma_data)`: EDM has -1.2 + log 2 = -0.5.
        p_std: The standard deviation of `log sigma`.
        warm: Whether the model goes on from the weights of the phase before.
        lap: Which repetition this is; each has randomness of its own.
        checkpoints: Candidates of the result, >= 1; None for as many as the harness compares.
    """

    restorer: Restorer
    network: Network
    kimg: float
    batch: int = 256
    sampler: Conditional = field(default_factory=Conditional)
    lr: float = 1e-3
    decay: float = 0.5
    halflife_kimg: float = 50.0
    clip: float = 10.0
    p_mean: float = -0.5
    p_std: float = 1.2
    warm: bool = True
    lap: int = 0
    checkpoints: int | None = None

    kind: ClassVar[str] = "conditional"
    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.checkpoints is not None and self.checkpoints < 1:
            raise ValueError(f"checkpoints must be >= 1, got {self.checkpoints}")

    def init(self, problem: Problem, parent: Any, stream: Stream) -> State:
        """Restores the measurements; the weights are the parent's, or fresh."""
        stream = stream / self.lap
        x = self.restorer.restore(parent, problem, stream / "restore").detach()
        net = copy_of(parent, trained=True) if self.warm else self._fresh(problem, x, stream)
        return State(
            {"denoiser": net},
            {"denoiser": adam(net, self.lr, 0.9)},
            {"denoiser": copy_of(net, trained=False)},
            {"pool": Pool(x)},
        )

    def _fresh(self, problem: Problem, x: torch.Tensor, stream: Stream) -> Preconditioned:
        m = on_clean(problem, x).train
        location, scale = scale_of(m, False, 0.0, (stream / "scale").rng(x.device))
        channels = Beside.of(problem.train[:1], location, scale).condition().shape[1]
        net = self.network.build(problem.shape, channels, (stream / "init").rng())
        return Preconditioned(net, location, scale, channels).to(x.device)

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """One step on one batch of pairs."""
        stream = stream / self.lap
        net, optimizer = state.trained["denoiser"], state.optimizers["denoiser"]
        loss = self._loss(net, self._pairs(state, problem, stream), stream).mean()
        learning_rate(optimizer, self.lr, state.nimg / (1000 * self.kimg), warmup=0.01, decay=self.decay)
        value, norm = descend(optimizer, loss, stream, bound=EXPLODED, clip=self.clip)
        state.step += 1
        state.nimg += self.batch
        average(state.averages["denoiser"], net, self.batch, state.nimg, 1000 * self.halflife_kimg)
        return {"loss": value, "gradient": norm}

    def _pairs(self, state: State, problem: Problem, stream: Stream) -> tuple[torch.Tensor, Measurement]:
        """Restored signals and a fresh measurement of each."""
        pool = state.frozen["pool"].x
        rng = (stream / "pairs").rng(pool.device)
        x = pool[torch.randint(len(pool), (self.batch,), generator=rng, device=rng.device)]
        return x, problem.corruption(x, rng)

    def _loss(
        self, net: Preconditioned, pairs: tuple[torch.Tensor, Measurement], stream: Stream
    ) -> torch.Tensor:
        x, m = pairs
        rng = (stream / "noise").rng(x.device)
        sigma = lognormal_levels(len(x), self.p_mean, self.p_std, rng, scale=net.sigma_data).to(x)
        x_t = x + expand(sigma, x) * randn_like(x, rng)
        error = net(x_t, sigma, Beside.of(m, net.location, net.sigma_data)) - x
        return edm_weight(sigma, net.sigma_data) * mean_per_sample(error**2)

    def result(self, state: State) -> Preconditioned:
        """What the training is for: the averaged denoiser, which is to be shown measurements."""
        return state.averages["denoiser"]

    def empty(self, shape: tuple[int, ...], form: dict[str, float]) -> Preconditioned:
        """A denoiser for weights that were stored."""
        return stored(self.network, shape, form)

    def preview(self, sigma_y: float) -> Sampler:
        """The sampler by which checkpoints are compared."""
        return self.sampler

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """All of it: samples are signals."""
        return corruption
