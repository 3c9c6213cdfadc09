r"""A latent variable model of signals, fitted to what was measured of them by an importance-weighted bound.

MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets (Mattei and Frellsen, 2019),
https://arxiv.org/abs/1812.02633: with $z_k \sim q(z | y)$,

$$L_K = E \log \frac1K \sum_k \frac{p(y | z_k) p(z_k)}{q(z_k | y)}.$$

For signals $x | z \sim N(\mu(z), S)$ with a diagonal `S` a measurement has the law
$N(A \mu(z), A S A^T + \sigma_y^2 I)$, which is one of independent entries for masks. So it is for an operator
that all samples share, if `S = s^2 I`, in the eigenvectors of $A A^T$.
"""

from __future__ import annotations

__all__ = ["FitVAE", "Rotated", "bound", "rotated"]

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dcdbench.networks.edm import shown
from dcdbench.networks.vae import VAE, Autoencoder
from dcdbench.phases.descend import descend
from dcdbench.phases.explicit import Dense, explicit
from dcdbench.phases.start import SCALED, batch_of, scale_of
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.samplers.latent import FromPrior
from dcdbench.streams import Stream
from dcdbench.training import State, adam, average, copy_of, learning_rate

LEAST = 1e-3  # the least width of a measurement given its signal, in units of the data
RTOL = 1e-6  # eigenvalues of A A^T below this share of the greatest measure nothing


@dataclass(frozen=True)
class FitVAE:
    """Adam on the importance-weighted bound.

    Args:
        network: The architecture of the autoencoder.
        kimg: Thousands of measurements to train on.
        batch: Measurements per step.
        samples: The number `K` of latents per measurement.
        lr: The learning rate, warmed up over 1 %, and brought to 0 over the second half.
        halflife_kimg: That of the running average of the weights, which is the result.
        clip: The largest norm of the gradient.
    """

    network: VAE
    kimg: float
    batch: int = 256
    samples: int = 20
    lr: float = 1e-3
    halflife_kimg: float = 50.0
    clip: float = 10.0

    kind: ClassVar[str] = "student"
    needs_clean: ClassVar[bool] = False

    def init(self, problem: Problem, parent: Any, stream: Stream) -> State:
        """Fresh weights; frozen beside them the operator, where all samples share it."""
        m = problem.train[: min(len(problem.train), SCALED)]
        location, scale = scale_of(m, True, m.sigma_y, (stream / "scale").rng(m.y.device))
        condition = _seen(m)[1]
        operator = explicit(m[:1], problem.corruption)
        network = replace(self.network, tied=isinstance(operator, Dense))
        net: Any = network.build(problem.shape, 0 if condition is None else condition.shape[1], stream.rng())
        net.location.fill_(location)
        net.scale.fill_(scale)
        net = net.to(m.y.device)
        frozen = {"operator": rotated(operator.matrix[0])} if isinstance(operator, Dense) else {}
        averages = {"vae": copy_of(net, trained=False)}
        return State({"vae": net}, {"vae": adam(net, self.lr, 0.9)}, averages, frozen)

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """One step on one batch."""
        rng = stream.rng(problem.train.y.device)
        net, optimizer = state.trained["vae"], state.optimizers["vae"]
        m = batch_of(problem.train, self.batch, rng)
        logs = bound(net, m, self.samples, rng, state.frozen.get("operator"))
        loss = -logs.mean() / math.prod(problem.shape)
        learning_rate(optimizer, self.lr, state.nimg / (1000 * self.kimg), warmup=0.01, decay=0.5)
        value, norm = descend(optimizer, loss, stream, clip=self.clip)
        state.step += 1
        state.nimg += self.batch
        average(state.averages["vae"], net, self.batch, state.nimg, 1000 * self.halflife_kimg)
        return {"loss": value, "gradient": norm}

    def result(self, state: State) -> Autoencoder:
        """What the training is for: the averaged autoencoder."""
        vae: Any = state.averages["vae"]
        return vae

    def empty(self, shape: tuple[int, ...], form: dict[str, float]) -> Autoencoder:
        """An autoencoder for weights that were stored."""
        network = replace(self.network, tied=bool(form["tied"]))
        return network.build(shape, int(form["condition"]), Stream(0).rng())

    def preview(self, sigma_y: float) -> FromPrior:
        """The sampler by which checkpoints are compared."""
        return FromPrior()

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """All of it: the model is one of signals."""
        return corruption


def _seen(m: Measurement) -> tuple[Tensor, Tensor | None]:
    """What an encoder sees: `A.back(y)` and the condition, flattened."""
    x = m.A.back(m.y)
    condition = shown(m.A, x)
    return x.flatten(1), None if condition is None else condition.flatten(1)


class Rotated(nn.Module):
    """A matrix `A = U diag(sqrt(values)) V^T` that all samples share, as `U^T A` and `U^T`."""

    matrix: Tensor  # (r, d)
    turn: Tensor  # (r, m)
    values: Tensor  # (r,)

    def __init__(self, matrix: Tensor, turn: Tensor, values: Tensor) -> None:
        super().__init__()
        for name, t in (("matrix", matrix), ("turn", turn), ("values", values)):
            self.register_buffer(name, t.float())


def rotated(A: Tensor) -> Rotated:
    """The eigenvectors of `A A^T`, `(m, m)`, in which what was measured has independent noise."""
    u, h, _ = torch.linalg.svd(A, full_matrices=False)
    turn = u[:, h.square() > RTOL * h[0].square()].mT
    return Rotated(turn @ A, turn, h[: len(turn)].square())


def bound(
    net: Autoencoder, m: Measurement, samples: int, rng: torch.Generator, operator: Rotated | None = None
) -> Tensor:
    """The bound of the log-likelihood of each measurement, `(B,)`, with so many latents.

    Masks and the identity need no `operator`.
    """
    mean, log_width = net.encode(*_seen(m))
    noise = torch.randn(samples, *mean.shape, generator=rng, device=rng.device).to(mean)
    z = mean + log_width.exp() * noise  # (K, B, latent)
    mu, s = net.decode(z)
    variance = m.sigma_y**2 + (LEAST * net.scale) ** 2
    y = m.y.flatten(1)
    if operator is None:
        seen = m.A(torch.ones_like(m.y)).flatten(1)
        logs = normal(y - mu, s.square() + variance, seen)
    else:
        error = y @ operator.turn.mT - mu @ operator.matrix.mT
        logs = normal(error, s.square() * operator.values + variance, torch.ones_like(error[0]))
    ratio = (0.5 * (noise.square() - z.square()) + log_width).sum(-1)  # log p(z) - log q(z | y)
    return torch.logsumexp(logs + ratio, 0) - math.log(samples)


def normal(error: Tensor, variance: Tensor, seen: Tensor) -> Tensor:
    """The log-density, `(K, B)`, of errors `(K, B, m)` with variances `(m,)`, over entries that are seen."""
    logs = error.square() / variance + (2 * math.pi * variance).log()
    return -0.5 * torch.einsum("kbd,bd->kb", logs, seen)
