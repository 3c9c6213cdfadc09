r"""A distiller of the benchmark at work on a linear generator `x = U z`, with nothing left to chance.

Teacher and critic are exact at one level, `SIGMA` or another, $S(S + \tau)^{-1} x_t$. Most losses are then
quadratic forms of latents and noise, so that samples with exact second moments give their expectations
exactly; others are summed over the nodes of a Gauss-Hermite rule. An aware student's output is corrupted
again, by an operator of the benchmark, $y = A x + \sigma_y n$, before it is judged. Where a loss is divided
by the teacher's error per sample, a constant to the gradient, that is multiplied out again.
"""

from __future__ import annotations

__all__ = [
    "LEVEL",
    "SIGMA",
    "TAU",
    "Corrupted",
    "Linear",
    "Samples",
    "hermite",
    "level",
    "mean_loss",
    "settled",
    "sid",
    "velocity",
    "whitened",
]

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dcdbench.distillers.sid import SiD
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import IdentityDraw
from dcdbench.operators.matrix import Matrix
from dcdbench.problem import Fake, Measurement
from dcdbench.protocols import Denoiser, Distiller, Judges, Operator, View

SIGMA = 0.5  # a number of float32, as which levels are drawn
TAU = SIGMA**2
SAMPLES = 32
MOMENTUM = 0.9
Ratio = Callable[[Tensor], Tensor]


def level(sigma: float) -> dict[str, Any]:
    """The options of a distiller that looks at one level alone, `sigma > 0`."""
    return {"p_mean": math.log(sigma), "p_std": 1e-12}


LEVEL = level(SIGMA)


@dataclass
class Linear:
    """A linear denoiser, `(d, d)`, with constant coefficients."""

    matrix: Tensor
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        """`matrix x_t`."""
        return x_t @ self.matrix.T


@dataclass(frozen=True)
class Known(Standard):
    """The standard objective, with a noise that is given."""

    noise: Tensor = field(default_factory=lambda: torch.empty(0))

    def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
        """`y + sigma noise`."""
        return View(m.y + sigma[:, None] * self.noise, sigma)


def exact(cov: Tensor, sigma: float = SIGMA) -> Linear:
    """The denoiser of N(0, cov) at a level."""
    return Linear(cov @ torch.linalg.inv(cov + sigma**2 * torch.eye(len(cov), dtype=torch.float64)))


@dataclass(frozen=True)
class Samples:
    """Latents `(B, k)`, noise `(B, d)` of a level and of measurements, with weights `(B,)` of sum 1."""

    z: Tensor
    noise: Tensor
    weights: Tensor
    measured: Tensor | None = None  # noise of measurements; None where there is none


@dataclass(frozen=True)
class Corrupted:
    """How the output of a generator is corrupted again before it is judged: `y = A x + sigma_y n`.

    Args:
        A: A square matrix, `(d, d)`.
        sigma_y: The standard deviation of the noise, >= 0, at most that of the level.
    """

    A: Tensor
    sigma_y: float

    def covariance(self, S: Tensor) -> Tensor:
        """That of the measurements of `N(0, S)`."""
        return self.A @ S @ self.A.T + self.sigma_y**2 * torch.eye(len(self.A), dtype=torch.float64)

    def fake(self, x: Tensor, noise: Tensor | None) -> Fake:
        """The measurements of signals `x`, `(B, d)`, by an operator of the benchmark, with a given noise."""
        shape = (x.shape[1],)
        rows = tuple(tuple(row) for row in self.A.tolist())
        draw = Matrix(rows).draw(shape, len(x), torch.Generator())
        u = draw(x)
        y = u if noise is None else u + self.sigma_y * noise
        return Fake(y, draw, self.sigma_y, shape, x, u)


def whitened(k: int, d: int) -> Samples:
    """Latents and noise with mean 0 and, exactly, unit variances and no correlation."""
    z = torch.randn(SAMPLES, k + 2 * d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ones = torch.ones(SAMPLES, 1, dtype=torch.float64)
    frame = torch.linalg.qr(torch.cat([ones, z], 1)).Q[:, 1:] * math.sqrt(SAMPLES)
    return Samples(frame[:, :k], frame[:, k : k + d], ones[:, 0] / SAMPLES, frame[:, k + d :])


def hermite(order: int) -> Samples:
    """The nodes of a rule for normal latents and noise on the line."""
    at, mass = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(order))
    pairs = torch.cartesian_prod(at, at)
    return Samples(pairs[:, :1], pairs[:, 1:], torch.cartesian_prod(mass, mass).prod(1) / mass.sum() ** 2)


def sid(alpha: float, sigma: float = SIGMA) -> SiD:
    """The loss of SiD at a level."""
    return SiD(**level(sigma), alpha=alpha)


def mean_loss(
    distiller: Distiller,
    U: Tensor,
    cov: Tensor,
    critic: Tensor,
    *,
    scaled: bool = True,
    samples: Samples | None = None,
    ratio: Ratio | None = None,
    corrupted: Corrupted | None = None,
    sigma: float = SIGMA,
) -> Tensor:
    """The expected loss over entries, for a teacher of N(0, cov) and a critic of N(0, critic).

    Args:
        distiller: One that looks at the level `sigma` alone.
        U: The generator, `(d, k)`.
        cov: The covariance of the teacher's law.
        critic: What the critic takes the generator's for.
        scaled: Whether the distiller divides its loss by the teacher's error: it is multiplied again here.
        samples: Of latents and noise; by default ones that are exact for quadratic losses.
        ratio: The logarithm of the teacher's density over the fakes', for one that asks a discriminator.
        corrupted: How an aware student's output is measured; None for an unaware student.
        sigma: The level, > 0, a number of float32, as which levels are drawn.
    """
    at = samples or whitened(U.shape[1], len(U))
    x = at.z @ U.T
    fake = corrupted.fake(x, at.measured) if corrupted else Fake(x, IdentityDraw(), 0.0, x.shape[1:], x, x)
    asked = (lambda view: ratio(view.x_t)) if ratio else None
    judges = Judges(exact(cov, sigma), exact(critic, sigma), Known(noise=at.noise), fake.sigma_y, asked)
    loss = distiller(judges, fake, torch.Generator().manual_seed(0))
    scale = error(judges.teacher, fake.y.detach(), at.noise, sigma) if scaled else torch.ones_like(loss)
    return len(U) * (loss * scale) @ at.weights


def error(teacher: Denoiser, u: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """The teacher's mean absolute error, `(B,)`, by which distillers divide."""
    estimate = teacher(u + sigma * noise, torch.full((len(u),), sigma))
    return (estimate - u).abs().mean(1).clamp(min=1e-5)


def velocity(
    distiller: Distiller,
    U: Tensor,
    cov: Tensor,
    believed: Callable[[Tensor], Tensor] = lambda S: S,
    *,
    scaled: bool = True,
    samples: Samples | None = None,
    ratio: Ratio | None = None,
    corrupted: Corrupted | None = None,
    sigma: float = SIGMA,
) -> Tensor:
    """The direction in which a distiller moves U, `(d, k)`: minus its gradient.

    Args:
        distiller: One that looks at the level `sigma` alone.
        U: The generator.
        cov: The covariance of the teacher's law.
        believed: What the critic takes the generator's covariance for.
        scaled: Whether the distiller divides its loss by the teacher's error: it is multiplied again here.
        samples: Of latents and noise, as for the loss.
        ratio: The logarithm of the ratio of densities, as for the loss.
        corrupted: How an aware student's output is measured; None for an unaware student.
        sigma: The level, as for the loss.
    """
    moving = U.detach().clone().requires_grad_()
    own = (U @ U.T).detach()
    critic = believed(corrupted.covariance(own) if corrupted else own)
    loss = mean_loss(
        distiller,
        moving,
        cov,
        critic,
        scaled=scaled,
        samples=samples,
        ratio=ratio,
        corrupted=corrupted,
        sigma=sigma,
    )
    return -torch.autograd.grad(loss, moving)[0]


def settled(
    distiller: Distiller,
    start: Tensor,
    cov: Tensor,
    *,
    corrupted: Corrupted | None = None,
    scaled: bool = True,
    rate: float = 1.0,
    steps: int = 400,
    sigma: float = SIGMA,
) -> Tensor:
    """Where a distiller brings a generator from `start`, `(d, k)`: descent with momentum, `MOMENTUM`.

    Args:
        distiller: One that looks at the level `sigma` alone.
        start: The generator at first.
        cov: The covariance of the teacher's law.
        corrupted: How an aware student's output is measured; None for an unaware student.
        scaled: Whether the distiller divides its loss by the teacher's error: it is multiplied again here.
        rate: The learning rate.
        steps: Their number, each with an exact critic.
        sigma: The level, as for the loss.
    """
    U, moved = start.clone(), torch.zeros_like(start)
    for _ in range(steps):
        moved = MOMENTUM * moved + rate * velocity(
            distiller, U, cov, scaled=scaled, corrupted=corrupted, sigma=sigma
        )
        U = U + moved
    return U
