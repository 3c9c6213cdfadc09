"""The sampler of diffusion models: EDM's, deterministic."""

from __future__ import annotations

__all__ = ["Counted", "Heun"]

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dcdbench.diffusion import heun, karras_levels
from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser, Objective, Operator, Samples, View


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
        sigma_min: The lowest level above 0, in units of the denoiser's `sigma_data`.
        sigma_max: The highest level, where trajectories start, in the same unit. EDM's levels, 0.002 and 80
            for data of standard deviation 0.5, are 0.004 and 160. Of data at 80 as little is left, one part
            in 6400 of the variance, and 18 steps from there err by a quarter less.
        rho: How levels are spaced: evenly in `sigma^(1 / rho)`.
    """

    objective: Objective
    mode: Literal["full", "truncated"]
    sigma_y: float
    steps: int = 18
    sigma_min: float = 0.004
    sigma_max: float = 80.0
    rho: float = 7.0

    def levels(self, sigma_data: float) -> Tensor:
        """The decreasing noise levels that the sampler visits for such data, the last of `full` being 0."""
        lowest = self.sigma_min
        if self.mode == "truncated":
            lowest = max(self.objective.lowest(self.sigma_y) / sigma_data, lowest)
        levels = sigma_data * karras_levels(self.steps, lowest, self.sigma_max, self.rho)
        return levels if self.mode == "truncated" else torch.cat([levels, levels.new_zeros(1)])

    @torch.no_grad()
    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, on the device of `rng`."""
        assert denoiser is not None
        count = Counted(denoiser, self.objective.draw(problem.corruption, problem.shape, n, rng))
        levels = self.levels(denoiser.sigma_data)
        x_t = heun(count, float(levels[0]) * self._noise(count.A, problem, n, rng), levels)
        view = self._view(x_t, levels, count.A)
        if self.mode == "truncated":
            x_t = count(x_t, float(levels[-1]))
        return Samples(x_t if count.A is None else count.signal, count.calls, view)

    def _view(self, x_t: Tensor, levels: Tensor, A: Operator | None) -> View | None:
        """The samples at the lowest level that was trained, where the trajectory ends there."""
        if self.mode == "full" or len(levels) == 1:
            return None
        return View(x_t, torch.full((len(x_t),), float(levels[-1]), device=x_t.device), A)

    def _noise(self, A: Operator | None, problem: Problem, n: int, rng: torch.Generator) -> Tensor:
        """White noise in the space of the diffusion: of measurements, where a draw of A is shown."""
        shape = problem.shape if A is None else problem.corruption.operator.measured_shape(problem.shape)
        noise = torch.randn(n, *shape, generator=rng, device=rng.device)
        return noise if A is None else A.restrict(noise)


class Counted:
    """A denoiser at one level for the whole batch, that counts its calls and keeps its last estimate."""

    signal: Tensor  # (B, *signal)

    def __init__(self, denoiser: Denoiser, A: Operator | None) -> None:
        self.denoiser, self.A, self.calls = denoiser, A, 0

    def __call__(self, x_t: Tensor, sigma: float) -> Tensor:
        """The estimate of what is diffused."""
        self.calls += 1
        view = View(x_t, torch.full((len(x_t),), sigma, device=x_t.device), self.A)
        self.signal = view.signal(self.denoiser)
        return self.signal if self.A is None else self.A(self.signal)
