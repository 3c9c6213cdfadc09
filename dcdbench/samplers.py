"""From what a method has learned to signals: the diffusion's sampler, one step, or no model at all."""

from __future__ import annotations

__all__ = ["Heun", "Latent", "Observed", "OneStep", "Restored", "generate"]

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dcdbench.diffusion import heun, karras_levels
from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser, Objective, Operator, Sampler, Samples, View

Latent = Literal["seen", "full"]


@dataclass(frozen=True)
class Heun:
    """EDM's deterministic sampler, from `sigma_max` down.

    `full` goes down to `sigma_min`, then to 0. `truncated` goes down to exactly the lowest level
    that the objective trained and returns the denoiser's estimate there, a posterior mean.
    A denoiser that is shown A keeps one draw of it for the whole trajectory, which runs in the space of
    measurements; the sample is the denoiser's last estimate of the signal.

    Args:
        objective: That of the denoiser.
        mode: `full` or `truncated`.
        sigma_y: The noise of the measurements that the denoiser was trained on.
        steps: The number of levels.
    """

    objective: Objective
    mode: Literal["full", "truncated"]
    sigma_y: float
    steps: int = 18
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0

    def levels(self) -> Tensor:
        """The decreasing noise levels that the sampler visits, the last of `full` being 0."""
        if self.mode == "truncated":
            lowest = max(self.objective.lowest(self.sigma_y), self.sigma_min)
            return karras_levels(self.steps, lowest, self.sigma_max, self.rho)
        full = karras_levels(self.steps, self.sigma_min, self.sigma_max, self.rho)
        return torch.cat([full, full.new_zeros(1)])

    @torch.no_grad()
    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, on the device of `rng`."""
        assert denoiser is not None
        count = Counted(denoiser, self.objective.draw(problem.corruption, problem.shape, n, rng))
        levels = self.levels()
        x_t = heun(count, float(levels[0]) * self._noise(count.A, problem, n, rng), levels)
        if self.mode == "truncated":
            x_t = count(x_t, float(levels[-1]))
        return Samples(x_t if count.A is None else count.signal, count.calls)

    def _noise(self, A: Operator | None, problem: Problem, n: int, rng: torch.Generator) -> Tensor:
        """White noise in the space of the diffusion: of measurements, where a draw of A is shown."""
        shape = problem.shape if A is None else problem.corruption.operator.measured_shape(problem.shape)
        noise = torch.randn(n, *shape, generator=rng, device=rng.device)
        return noise if A is None else A.restrict(noise)


@dataclass(frozen=True)
class OneStep:
    """One call of a generator that has a denoiser's architecture, at the level `sigma_init`.

    Args:
        objective: That of the teacher, which says what the network is conditioned on.
        sigma_init: The noise level of the input.
        latent: Whether a network that is shown a draw of A sees its latents through it or in full.
    """

    objective: Objective
    sigma_init: float
    latent: Latent = "seen"

    @torch.no_grad()
    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, on the device of `rng`."""
        assert denoiser is not None
        x = generate(denoiser, self.objective, problem, n, self.sigma_init, self.latent, rng)
        return Samples(x, 1)


@dataclass(frozen=True)
class Restored:
    """Samples that are measurements, brought back to signals by the pseudo-inverse of fresh draws of A.

    Args:
        sampler: What gives the measurements.
    """

    sampler: Sampler

    @torch.no_grad()
    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, on the device of `rng`."""
        drawn = self.sampler.sample(denoiser, problem, n, rng)
        A = problem.corruption.operator.draw(problem.shape, n, rng)
        return Samples(A.pinv(drawn.x), drawn.nfe)


@dataclass(frozen=True)
class Observed:
    """No model: measurements of the training set, as they are or, where they are no signals, brought back."""

    @torch.no_grad()
    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, without replacement as long as there are enough."""
        m = problem.train
        order = torch.randperm(len(m), generator=rng, device=rng.device)
        index = order.repeat(-(-n // len(m)))[:n]
        chosen = m[index]
        back = chosen.apart or problem.corruption.operator.masks
        return Samples(chosen.A.back(chosen.y) if back else chosen.y, 0)


def generate(
    generator: Denoiser,
    objective: Objective,
    problem: Problem,
    n: int,
    sigma_init: float,
    latent: Latent,
    rng: torch.Generator,
) -> Tensor:
    r"""`G(z) = D(sigma_init z, sigma_init)`, `z ~ N(0, I)`, differentiable; `(n, *signal)`."""
    A = objective.draw(problem.corruption, problem.shape, n, rng)
    z = sigma_init * torch.randn(n, *problem.shape, generator=rng, device=rng.device)
    sigma = torch.full((n,), sigma_init, device=rng.device)
    return generator(z if A is None or latent == "full" else A.back(A(z)), sigma, A)


class Counted:
    """A denoiser at one level for the whole batch, that counts its calls and keeps its last estimate."""

    signal: Tensor  # (B, *signal)

    def __init__(self, denoiser: Denoiser, A: Operator | None) -> None:
        self.denoiser, self.A, self.calls = denoiser, A, 0

    def __call__(self, x_t: Tensor, sigma: float) -> Tensor:
        self.calls += 1
        view = View(x_t, torch.full((len(x_t),), sigma, device=x_t.device), self.A)
        self.signal = view.signal(self.denoiser)
        return self.signal if self.A is None else self.A(self.signal)
