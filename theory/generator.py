r"""A distiller of the benchmark at work on a linear generator `x = U z`, with nothing left to chance.

Teacher and critic are exact at one level, $S(S + \tau)^{-1} x_t$. Losses are then quadratic forms of latents
and noise, so that samples with exact second moments give their expectations exactly. A loss is divided by
the teacher's error per sample, a constant to the gradient; that is multiplied out again.
"""

from __future__ import annotations

__all__ = ["SIGMA", "TAU", "mean_loss", "velocity"]

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dcdbench.distillers.sid import SiD
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import IdentityDraw
from dcdbench.problem import Fake, Measurement
from dcdbench.protocols import Judges, Operator, View

SIGMA = 0.5  # a number of float32, as which levels are drawn
TAU = SIGMA**2
SAMPLES = 32


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


def whitened(k: int, d: int) -> tuple[Tensor, Tensor]:
    """Latents and noise with mean 0 and, exactly, unit variances and no correlation."""
    z = torch.randn(SAMPLES, k + d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ones = torch.ones(SAMPLES, 1, dtype=torch.float64)
    frame = torch.linalg.qr(torch.cat([ones, z], 1)).Q[:, 1:] * math.sqrt(SAMPLES)
    return frame[:, :k], frame[:, k:]


def mean_loss(alpha: float, U: Tensor, cov: Tensor, critic: Tensor) -> Tensor:
    """The expected loss of SiD over entries, for a teacher of N(0, cov) and a critic of N(0, critic)."""
    z, noise = whitened(U.shape[1], len(U))
    u, teacher = z @ U.T, exact(cov)
    sid = SiD(p_mean=math.log(SIGMA), p_std=1e-12, alpha=alpha)
    judges = Judges(teacher, exact(critic), Known(noise=noise), 0.0)
    loss = sid(judges, Fake(u, IdentityDraw(), 0.0, (len(U),), u, u), torch.Generator().manual_seed(0))
    with torch.no_grad():
        error = teacher(u + SIGMA * noise, torch.full((SAMPLES,), SIGMA)) - u
        scale = error.abs().mean(1).clamp(min=1e-5)
    return len(U) * (loss * scale).mean()


def velocity(
    alpha: float, U: Tensor, cov: Tensor, believed: Callable[[Tensor], Tensor] = lambda S: S
) -> Tensor:
    """The direction in which SiD moves U, `(d, k)`: minus its gradient.

    Args:
        alpha: Of the loss.
        U: The generator.
        cov: That of the teacher's law.
        believed: What the critic takes the generator's covariance for.
    """
    moving = U.detach().clone().requires_grad_()
    loss = mean_loss(alpha, moving, cov, believed((U @ U.T).detach()))
    return -torch.autograd.grad(loss, moving)[0]
