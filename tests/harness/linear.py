r"""Linear Gaussian models of phase II: generators `x = U z`, exact denoisers, samples with exact moments.

With exact teacher and critic both are linear, `f = C B x_t` and `g = S A x_t`, `S = U U^T`,
`A = (S + tau)^-1`, `B = (C + tau)^-1`, `tau = sigma^2`, so that a loss is a quadratic form of latents and
noise. Samples whose second moments are exactly those of the law give its expectation exactly.
The normalisation, which is constant to the gradient, is multiplied out again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import IdentityDraw
from dcdbench.problem import Fake, Measurement
from dcdbench.protocols import Denoiser, Distiller, Judges, Operator, View

D, K, N = 4, 3, 64  # signal, latent, samples
SIGMA = 0.75  # a number of float32, as which levels are drawn
TAU = SIGMA**2
EYE = torch.eye(D, dtype=torch.float64)
TIGHT = {"rtol": 1e-6, "atol": 1e-9}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def whitened(k: int, d: int) -> tuple[Tensor, Tensor]:
    """Latents and noise with mean 0 and, exactly, `E zz' = I`, `E nn' = I`, `E zn' = 0`."""
    ones = torch.ones(N, 1, dtype=torch.float64)
    frame = torch.linalg.qr(torch.cat([ones, normal(0, N, k + d)], 1))[0][:, 1:] * math.sqrt(N)
    return frame[:, :k], frame[:, k:]


Z, NOISE = whitened(K, D)
U0 = normal(1, D, K)
ROOT = normal(2, D, D)
C = ROOT @ ROOT.T / D + 0.2 * EYE  # does not commute with U0 U0'


@dataclass
class Linear:
    """A linear denoiser with constant coefficients."""

    matrix: Tensor
    sigma_data: float = 1.0
    seen: list[Tensor] = field(default_factory=list)

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        self.seen.append(sigma)
        return x_t @ self.matrix.T


@dataclass(frozen=True)
class Known(Standard):
    """The standard objective, with a noise that is known."""

    noise: Any = field(default_factory=lambda: NOISE)

    def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
        return View(m.y + sigma[:, None] * self.noise[:, : m.y.shape[1]], sigma)


def exact(S: Tensor) -> Linear:
    """The denoiser of N(0, S) at the level of the tests."""
    return Linear(S @ torch.linalg.inv(S + TAU * torch.eye(len(S), dtype=torch.float64)))


def fixed(make: Callable[..., Distiller], **fields: Any) -> Any:
    """A distiller that draws one level."""
    return make(p_mean=math.log(SIGMA), p_std=1e-12, **fields)


def fake_of(u: Tensor) -> Fake:
    """A fake that was measured as it is, without noise."""
    return Fake(u, IdentityDraw(), 0.0, tuple(u.shape[1:]), u, u)


def judges_of(
    teacher: Denoiser,
    critic: Denoiser,
    objective: Any = None,
    sigma_y: float = 0.0,
    discriminator: Callable[[View], Tensor] | None = None,
) -> Judges:
    """Judges by the objective whose noise is known, unless it is said."""
    return Judges(teacher, critic, objective or Known(), sigma_y, discriminator)


def bare_loss(
    distiller: Distiller, teacher: Denoiser, critic: Denoiser, u: Tensor, *, normalised: bool = True
) -> Tensor:
    """The loss summed over entries, without its normalisation; the mean over samples."""
    loss = distiller(judges_of(teacher, critic), fake_of(u), rng())
    if not normalised:
        return u.shape[1] * loss.mean()
    with torch.no_grad():
        x_t = u + SIGMA * NOISE[:, : u.shape[1]]
        weight = (teacher(x_t, torch.full((len(u),), SIGMA)) - u).abs().mean(1).clamp(min=1e-5)
    return u.shape[1] * (loss * weight).mean()


def update(
    distiller: Distiller, U: Tensor, teacher_cov: Tensor, latents: Tensor = Z, *, normalised: bool = True
) -> Tensor:
    """Minus the expected gradient with respect to U, for an exact critic with constant coefficients."""
    moving = U.clone().requires_grad_()
    critic = exact(U @ U.T)
    loss = bare_loss(distiller, exact(teacher_cov), critic, latents @ moving.T, normalised=normalised)
    return -torch.autograd.grad(loss, moving)[0]


def precisions(U: Tensor, cov: Tensor) -> tuple[Tensor, Tensor]:
    """`A` and `B`."""
    eye = torch.eye(len(cov), dtype=torch.float64)
    return torch.linalg.inv(U @ U.T + TAU * eye), torch.linalg.inv(cov + TAU * eye)


def gradient(of: Callable[[Tensor], Tensor], U: Tensor) -> Tensor:
    moving = U.clone().requires_grad_()
    return torch.autograd.grad(of(moving), moving)[0]


def fisher(U: Tensor) -> Tensor:
    """`E |score of the student - score of the teacher|^2` under the student, at level tau."""
    A, B = precisions(U, C)
    return ((A - B) @ (A - B) @ (U @ U.T + TAU * EYE)).trace()


def kl(U: Tensor) -> Tensor:
    """KL(student || teacher) at level tau."""
    S = U @ U.T + TAU * EYE
    B = torch.linalg.inv(C + TAU * EYE)
    return ((B @ S).trace() - D - torch.logdet(B @ S)) / 2
