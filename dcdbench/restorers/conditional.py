r"""Samples of the posterior by a diffusion model that is shown the measurement.

DiffEM (2025), https://arxiv.org/abs/2510.12691. The network's condition is the measurement, brought back to
the space of signals, beside what is known of its A.
"""

from __future__ import annotations

__all__ = ["Back", "Beside", "Conditional"]

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from dcdbench.diffusion import heun, karras_levels
from dcdbench.networks.edm import Preconditioned, shown
from dcdbench.operators.identity import IdentityDraw
from dcdbench.problem import Measurement, Problem
from dcdbench.protocols import Denoiser, Samples
from dcdbench.restorers.pool import at_most, in_portions
from dcdbench.streams import Stream


@dataclass(frozen=True)
class Beside(IdentityDraw):
    """The identity, with a condition: signals are seen as they are, and something beside them.

    Args:
        beside: What a network is shown, `(B, C, *space)` for images and `(B, k)` for vectors.
    """

    beside: Tensor

    @classmethod
    def of(cls, m: Measurement, location: float, scale: float) -> Beside:
        """Measurements as signals of mean 0 and size 1, if signals have such a location and scale."""
        signal = (m.A.back(m.y) - location) / scale
        known = shown(m.A, signal)
        return cls(signal if known is None else torch.cat([signal, known.to(signal)], 1))

    def condition(self) -> Tensor:
        """What is beside."""
        return self.beside


@dataclass(frozen=True)
class Back:
    """Measurements brought back to the space of signals, with their noise: a start where nothing is known.

    Args:
        pool: The most measurements that are restored.
    """

    pool: int = 65_536

    calls: ClassVar[int] = 0  # of a network

    def restore(self, denoiser: Any, problem: Problem, stream: Stream) -> Tensor:
        """One signal for each of at most `pool` measurements, `(n, *signal)`."""
        m = at_most(problem.train, self.pool, stream / "pool")
        return m.A.back(m.y)


@dataclass(frozen=True)
class Conditional:
    """Samples of a conditional diffusion model by Heun's method, one for each measurement.

    Args:
        steps: The number of noise levels.
        pool: The most measurements that are restored.
        sigma_min: The lowest noise level but 0, in units of `sigma_data`.
        sigma_max: The highest, in the same unit.
        rho: Bends the levels: the higher, the more of them are low.
    """

    steps: int = 18
    pool: int = 65_536
    sigma_min: float = 0.004
    sigma_max: float = 80.0
    rho: float = 7.0

    @torch.no_grad()
    def restore(self, denoiser: Preconditioned, problem: Problem, stream: Stream) -> Tensor:
        """One signal for each of at most `pool` measurements, `(n, *signal)`."""
        m = at_most(problem.train, self.pool, stream / "pool")
        return self._samples(denoiser, m, (stream / "noise").rng(m.y.device))

    @torch.no_grad()
    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, given as many training measurements: a posterior's samples have the prior's law."""
        assert isinstance(denoiser, Preconditioned)
        m = problem.train
        chosen = m[torch.randint(len(m), (n,), generator=rng, device=rng.device)]
        return Samples(self._samples(denoiser, chosen, rng), 2 * self.steps - 1)

    def _samples(self, denoiser: Preconditioned, m: Measurement, rng: torch.Generator) -> Tensor:
        return in_portions(lambda part, rng: self._portion(denoiser, part, rng), m, rng)

    def _portion(self, denoiser: Preconditioned, m: Measurement, rng: torch.Generator) -> Tensor:
        unit = denoiser.sigma_data
        levels = unit * karras_levels(self.steps, self.sigma_min, self.sigma_max, self.rho)
        given = Beside.of(m, denoiser.location, unit)
        x_t = float(levels[0]) * torch.randn(len(m), *m.shape, generator=rng, device=rng.device).to(m.y)
        return heun(
            lambda x, sigma: denoiser(x, torch.full((len(x),), sigma).to(x), given),
            x_t,
            torch.cat([levels, levels.new_zeros(1)]),
        )
