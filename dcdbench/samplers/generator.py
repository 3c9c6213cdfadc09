"""One call of a generator that is shown nothing but its latents."""

from __future__ import annotations

__all__ = ["Generator"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser, Samples


@dataclass(frozen=True)
class Generator:
    r"""`G(z) = D(s z, s)`, `s = sigma_init sigma_data`, `z ~ N(0, I)`, for a generator built as a denoiser.

    Args:
        sigma_init: The noise level of the input, in units of the network's `sigma_data`.
    """

    sigma_init: float = 5.0

    @torch.no_grad()
    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, on the device of `rng`."""
        assert denoiser is not None
        return Samples(self.draw(denoiser, problem.shape, n, rng), 1)

    def draw(self, generator: Denoiser, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Tensor:
        """`n` signals of `shape`; differentiable."""
        z = torch.randn(n, *shape, generator=rng, device=rng.device)
        level = self.sigma_init * generator.sigma_data
        return generator(level * z, torch.full((n,), level, device=rng.device))
