"""One call of a generator."""

from __future__ import annotations

__all__ = ["Latent", "OneStep", "generate"]

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser, Objective, Samples

Latent = Literal["seen", "full"]


@dataclass(frozen=True)
class OneStep:
    """One call of a generator that has a denoiser's architecture, at the level `sigma_init`.

    Args:
        objective: That of the teacher, which says what the network is conditioned on.
        sigma_init: The noise level of the input, in units of the network's `sigma_data`.
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


def generate(
    generator: Denoiser,
    objective: Objective,
    problem: Problem,
    n: int,
    sigma_init: float,
    latent: Latent,
    rng: torch.Generator,
) -> Tensor:
    r"""`G(z) = D(s z, s)`, `s = sigma_init sigma_data`, `z ~ N(0, I)`, differentiable; `(n, *signal)`."""
    A = objective.draw(problem.corruption, problem.shape, n, rng)
    level = sigma_init * generator.sigma_data
    z = level * torch.randn(n, *problem.shape, generator=rng, device=rng.device)
    sigma = torch.full((n,), level, device=rng.device)
    return generator(z if A is None or latent == "full" else A.back(A(z)), sigma, A)
