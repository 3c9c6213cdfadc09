"""Samples of measurements, brought back to signals."""

from __future__ import annotations

__all__ = ["Restored"]

from dataclasses import dataclass

import torch

from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser, Sampler, Samples


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
