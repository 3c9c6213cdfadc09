"""EDM's stochastic sampler."""

from __future__ import annotations

__all__ = ["Churned"]

import math
from dataclasses import dataclass

import torch

from dcdbench.diffusion import heun
from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser, Samples
from dcdbench.samplers.heun import Counted, Heun


@dataclass(frozen=True)
class Churned(Heun):
    """Heun's method with fresh noise before each step, which forgets errors of the steps before.

    Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022),
    https://arxiv.org/abs/2206.00364, algorithm 2; defaults are those for CIFAR-10 and ImageNet.

    Args:
        objective: That of the denoiser.
        mode: `full` or `truncated`, as for Heun's method.
        sigma_y: The noise of the measurements that the denoiser was trained on.
        steps: The number of levels.
        sigma_min: The lowest level above 0, in units of the denoiser's `sigma_data`.
        sigma_max: The highest level, where trajectories start, in the same unit.
        rho: How levels are spaced: evenly in `sigma^(1 / rho)`.
        churn: How much noise is added over all steps, at most `sqrt(2) - 1` of the level at each.
        between: The levels between which it is added, in units of `sigma_data`.
        inflated: The standard deviation of added noise, in units of what the level asks for.
    """

    churn: float = 40.0
    between: tuple[float, float] = (0.1, 100.0)
    inflated: float = 1.003

    @torch.no_grad()
    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, on the device of `rng`."""
        assert denoiser is not None
        count = Counted(denoiser, self.objective.draw(problem.corruption, problem.shape, n, rng))
        levels = self.levels(denoiser.sigma_data)
        x_t = float(levels[0]) * self._noise(count.A, problem, n, rng)
        for sigma, after in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
            raised = sigma * (1 + self._share(sigma / denoiser.sigma_data))
            if raised > sigma:
                spread = self.inflated * math.sqrt(raised**2 - sigma**2)
                x_t = x_t + spread * self._noise(count.A, problem, n, rng)
            x_t = heun(count, x_t, torch.tensor([raised, after], dtype=levels.dtype))
        if self.mode == "truncated":
            x_t = count(x_t, float(levels[-1]))
        return Samples(x_t if count.A is None else count.signal, count.calls)

    def _share(self, sigma: float) -> float:
        """By how much of itself a level, in units of the data, is raised."""
        low, high = self.between
        return min(self.churn / self.steps, math.sqrt(2) - 1) if low <= sigma <= high else 0.0
