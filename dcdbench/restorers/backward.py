r"""The reverse process from the noise of the data on: each measurement is denoised to a signal.

Stochastic Forward-Backward Deconvolution (Lu et al., 2025), https://arxiv.org/abs/2502.05446.
"""

from __future__ import annotations

__all__ = ["Backward"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.diffusion import heun, karras_levels
from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser
from dcdbench.streams import Stream


@dataclass(frozen=True)
class Backward:
    """Heun's method from `y`, at exactly the level `sigma_y`, down to 0; for signals with white noise.

    It draws no numbers: a measurement and a model give one signal.

    Args:
        steps: The number of noise levels.
        sigma_min: The lowest but 0, at most, in units of `sigma_data`.
        rho: Bends the levels: the higher, the more of them are low.
    """

    steps: int = 18
    sigma_min: float = 0.004
    rho: float = 7.0

    @torch.no_grad()
    def restore(self, denoiser: Denoiser, problem: Problem, stream: Stream) -> Tensor:
        """One signal per training measurement, `(n, *signal)`."""
        m = problem.train
        high = m.sigma_y / denoiser.sigma_data
        low = min(self.sigma_min, high / 10)
        levels = denoiser.sigma_data * karras_levels(self.steps, low, high, self.rho)
        return heun(
            lambda x, sigma: denoiser(x, torch.full((len(x),), sigma).to(x)),
            m.y,
            torch.cat([levels, levels.new_zeros(1)]),
        )
