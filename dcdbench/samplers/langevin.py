"""Annealed Langevin dynamics."""

from __future__ import annotations

__all__ = ["Langevin"]

import math
from dataclasses import dataclass

import torch

from dcdbench.batch import randn_like
from dcdbench.objectives.ncsn import NCSN
from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser, Samples
from dcdbench.samplers.heun import Counted


@dataclass(frozen=True)
class Langevin:
    r"""`x <- x + (a / 2) s(x, sigma) + sqrt(a) n`, `a = step sigma^2`, for some steps at each level.

    Song and Ermon (2019), https://arxiv.org/abs/1907.05600, algorithm 1, where the steps are
    `2e-5 (sigma / sigma_L)^2` for `sigma_L = 0.01`, which is `0.2 sigma^2`.

    Args:
        objective: That of the network, which says what levels there are.
        sigma_y: The noise of the measurements that it was trained on.
        steps: How many steps there are at each level.
        step: The size of a step, in units of `sigma^2`.
        denoise: Whether the network's estimate at the last level ends it: Tweedie's formula.
    """

    objective: NCSN
    sigma_y: float
    steps: int = 100
    step: float = 0.2
    denoise: bool = True

    @property
    def calls(self) -> int:
        """Network calls per sample."""
        return self.objective.levels * self.steps + self.denoise

    @torch.no_grad()
    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, on the device of `rng`."""
        assert denoiser is not None
        count = Counted(denoiser, None)
        levels = self.objective.schedule(self.sigma_y, denoiser.sigma_data).tolist()
        x = levels[0] * torch.randn(n, *problem.shape, generator=rng, device=rng.device)
        for sigma in levels:
            for _ in range(self.steps):
                drift = (self.step / 2) * (count(x, sigma) - x)  # the score is (D - x) / sigma^2
                x = x + drift + sigma * math.sqrt(self.step) * randn_like(x, rng)
        return Samples(count(x, levels[-1]) if self.denoise else x, count.calls)
