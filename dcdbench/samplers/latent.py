"""Signals of a model with latent variables: latents from the prior, then the signal."""

from __future__ import annotations

__all__ = ["FromPrior"]

from dataclasses import dataclass
from typing import Any

import torch

from dcdbench.batch import randn_like
from dcdbench.problem import Problem
from dcdbench.protocols import Samples


@dataclass(frozen=True)
class FromPrior:
    """`z ~ N(0, I)`, then `x = mu(z) + s n`: the law that was fitted, its noise included.

    The model has the size of its latents, `latent`, and a method `decode`, from `z` to `mu` and `s`.
    """

    @torch.no_grad()
    def sample(self, denoiser: Any, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, on the device of `rng`."""
        z = torch.randn(n, denoiser.latent, generator=rng, device=rng.device)
        mean, s = denoiser.decode(z)
        return Samples((mean + s * randn_like(mean, rng)).reshape(n, *problem.shape), 1)
