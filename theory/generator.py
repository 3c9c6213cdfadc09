r"""A distiller of the benchmark at work on a linear generator `x = U z`, with nothing left to chance.

Teacher and critic are exact at one level, $S(S + \tau)^{-1} x_t$. Most losses are then quadratic forms of
latents and noise, so that samples with exact second moments give their expectations exactly; others are
summed over the nodes of a Gauss-Hermite rule. Where a loss is divided by the teacher's error per sample, a
constant to the gradient, that is multiplied out again.
"""

from __future__ import annotations

__all__ = ["LEVEL", "SIGMA", "TAU", "Samples", "hermite", "mean_loss", "sid", "velocity", "whitened"]

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
from dcdbench.problem import Fake, Measurement
from dcdbench.protocols import Denoiser, Distiller, Judges, Operator, View

SIGMA = 0.5  # a number of float32, as which levels are drawn
TAU = SIGMA**2
SAMPLES = 32
LEVEL: dict[str, Any] = {"p_mean": math.log(SIGMA), "p_std": 1e-12}  # of a distiller: that level alone
Ratio = Callable[[Tensor], Tensor]


@dataclass
class Linear:
    """A linear denoiser, `(d, d)`, with constant coefficients."""

    matrix: Tensor
    sigma_data: float = 0.5

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


def exact(cov: Tensor) -> Linear:
    """The denoiser of N(0, cov) at the level `SIGMA`."""
    return Linear(cov @ torch.linalg.inv(cov + TAU * torch.eye(len(cov), dtype=torch.float64)))


@dataclass(frozen=True)
class Samples:
    """Latents `(B, k)` and noise `(B, d)`, with weights `(B,)` that add up to 1."""

    z: Tensor
    noise: Tensor
    weights: Tensor


def whitened(k: int, d: int) -> Samples:
    """Latents and noise with mean 0 and, exactly, unit variances and no correlation."""
    z = torch.randn(SAMPLES, k + d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ones = torch.ones(SAMPLES, 1, dtype=torch.float64)
    frame = torch.linalg.qr(torch.cat([ones, z], 1)).Q[:, 1:] * math.sqrt(SAMPLES)
    return Samples(frame[:, :k], frame[:, k:], ones[:, 0] / SAMPLES)


def hermite(order: int) -> Samples:
    """The nodes of a rule for normal latents and noise on the line."""
    at, mass = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(order))
    pairs = torch.cartesian_prod(at, at)
    return Samples(pairs[:, :1], pairs[:, 1:], torch.cartesian_prod(mass, mass).prod(1) / mass.sum() ** 2)


def sid(alpha: float) -> SiD:
    """The loss of SiD at `SIGMA`."""
    return SiD(**LEVEL, alpha=alpha)


def mean_loss(
    distiller: Distiller,
    U: Tensor,
    cov: Tensor,
    critic: Tensor,
    *,
    scaled: bool = True,
    samples: Samples | None = None,
    ratio: Ratio | None = None,
) -> Tensor:
    """The expected loss over entries, for a teacher of N(0, cov) and a critic of N(0, critic).

    Args:
        distiller: One that looks at `SIGMA` alone.
        U: The generator, `(d, k)`.
        cov: The covariance of the teacher's law.
        critic: What the critic takes the generator's for.
        scaled: Whether the loss is divided by the teacher's error.
        samples: Of latents and noise; by default ones that are exact for quadratic losses.
        ratio: The logarithm of the teacher's density over the fakes', for one that asks a discriminator.
    """
    at = samples or whitened(U.shape[1], len(U))
    u = at.z @ U.T
    asked = (lambda view: ratio(view.x_t)) if ratio else None
    judges = Judges(exact(cov), exact(critic), Known(noise=at.noise), 0.0, asked)
    loss = distiller(judges, Fake(u, IdentityDraw(), 0.0, (len(U),), u, u), torch.Generator().manual_seed(0))
    scale = error(judges.teacher, u.detach(), at.noise) if scaled else torch.ones_like(loss)
    return len(U) * (loss * scale) @ at.weights


def error(teacher: Denoiser, u: Tensor, noise: Tensor) -> Tensor:
    """The teacher's mean absolute error, `(B,)`, by which distillers divide."""
    estimate = teacher(u + SIGMA * noise, torch.full((len(u),), SIGMA))
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
) -> Tensor:
    """The direction in which a distiller moves U, `(d, k)`: minus its gradient.

    Args:
        distiller: One that looks at `SIGMA` alone.
        U: The generator.
        cov: The covariance of the teacher's law.
        believed: What the critic takes the generator's covariance for.
        scaled: Whether the loss is divided by the teacher's error.
        samples: Of latents and noise, as for the loss.
        ratio: The logarithm of the ratio of densities, as for the loss.
    """
    moving = U.detach().clone().requires_grad_()
    critic = believed((U @ U.T).detach())
    loss = mean_loss(distiller, moving, cov, critic, scaled=scaled, samples=samples, ratio=ratio)
    return -torch.autograd.grad(loss, moving)[0]
