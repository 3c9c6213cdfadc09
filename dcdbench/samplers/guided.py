"""Heun's method for a denoiser that is shown a draw of A, guided to agree with itself under others."""

from __future__ import annotations

__all__ = ["Guided"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.diffusion import heun
from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser, Operator, Samples
from dcdbench.samplers.heun import Heun


@dataclass(frozen=True)
class Guided(Heun):
    r"""The fixed-mask sampler with reconstruction guidance: `x <- x - w grad E_B |D(A x, A) - D(B x, B)|^2`.

    Ambient Diffusion (Daras et al., 2023), https://arxiv.org/abs/2305.19256, section 3.3. The trajectory runs
    in the space of signals, so that draws `B`, fresh at each step, see what the fixed draw `A` does not;
    a sample is the last estimate through `A`. With `w = 0` it is that of Heun's method.

    Args:
        objective: That of the denoiser, which is shown draws.
        mode: `full` or `truncated`, as for Heun's method.
        sigma_y: The noise of the measurements that the denoiser was trained on.
        steps: The number of levels.
        sigma_min: The lowest level above 0, in units of the denoiser's `sigma_data`.
        sigma_max: The highest level, where trajectories start, in the same unit.
        rho: How levels are spaced: evenly in `sigma^(1 / rho)`.
        guidance: `w`, at least 0.
        draws: How many draws `B` there are at each step.
    """

    guidance: float = 0.1
    draws: int = 4

    @property
    def calls(self) -> int:
        """Network calls per sample; a gradient through calls is worth two more of each."""
        guided = 3 * (1 + self.draws) if self.guidance > 0 else 0
        return self.steps * (2 + guided)

    @torch.no_grad()
    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, on the device of `rng`."""
        assert denoiser is not None
        seen = Seen(denoiser)
        A = self._draw(problem, n, rng)
        levels = self.levels(denoiser.sigma_data)
        x = float(levels[0]) * torch.randn(n, *problem.shape, generator=rng, device=rng.device)
        for k in range(len(levels) - 1):
            pull = self._pull(seen, x, float(levels[k]), A, problem, rng) if self.guidance > 0 else 0.0
            x = heun(lambda x, sigma: seen(x, sigma, A), x, levels[k : k + 2]) - self.guidance * pull
        last = seen(x, float(levels[-1]), A) if self.mode == "truncated" else seen.last
        return Samples(last, seen.calls)

    def _pull(
        self, seen: Seen, x: Tensor, sigma: float, A: Operator, problem: Problem, rng: torch.Generator
    ) -> Tensor:
        """The gradient by `x` of the mean squared disagreement."""
        others = [self._draw(problem, len(x), rng) for _ in range(self.draws)]
        with torch.enable_grad():
            x = x.detach().requires_grad_(True).clone()  # those who count operations take no leaves
            own = seen(x, sigma, A)
            apart = sum((own - seen(x, sigma, B)).square().sum() for B in others) / self.draws
            (gradient,) = torch.autograd.grad(apart, x)  # type: ignore[arg-type]
        return gradient

    def _draw(self, problem: Problem, n: int, rng: torch.Generator) -> Operator:
        A = self.objective.draw(problem.corruption, problem.shape, n, rng)
        if A is None:
            raise ValueError(f"guidance needs a denoiser that is shown A, and {self.objective} shows none")
        return A


class Seen:
    """A denoiser that sees signals through a draw, counts its calls and keeps its last estimate."""

    last: Tensor  # (B, *signal)

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser, self.calls = denoiser, 0

    def __call__(self, x: Tensor, sigma: float, A: Operator) -> Tensor:
        """The estimate of the signal."""
        self.calls += 1
        level = torch.full((len(x),), sigma, device=x.device)
        self.last = self.denoiser(A.back(A(x)), level, A)
        return self.last
