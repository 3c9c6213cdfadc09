r"""Moment matching posterior sampling (MMPS): samples of `p(x | y)` by a denoiser that was trained without y.

Learning Diffusion Priors from Observations by Expectation Maximization (Rozet et al., 2024),
https://arxiv.org/abs/2405.13712. Where `p(x | x_t)` is Gaussian, with the mean `D` and, by Tweedie's
formula, the covariance `V = sigma_t^2 dD/dx_t`, it is that
`E[x | x_t, y] = D + V A^T (A V A^T + sigma_y^2)^-1 (y - A D)`.
"""

from __future__ import annotations

__all__ = ["MMPS", "conditioned"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.diffusion import karras_levels
from dcdbench.problem import Measurement, Problem
from dcdbench.protocols import Denoiser
from dcdbench.restorers.ancestral import ancestral
from dcdbench.restorers.gain import gain
from dcdbench.restorers.pool import at_most, in_portions
from dcdbench.streams import Stream

BEYOND = 4.0  # standard deviations over what a covariance explains: a Jacobian of a network is none


@dataclass(frozen=True)
class MMPS:
    """Samples of posteriors, by ancestral sampling with the conditioned denoiser; needs a linear A.

    Fresh noise at each level forgets the errors of the levels above, which Heun's method would carry on.

    Args:
        steps: The number of noise levels.
        solves: Steps of conjugate gradients at each of them.
        pool: The most measurements that are restored.
        floor: The least noise that measurements are said to have, relative to the size of signals.
        trust: The least noise that they are said to have at a level, relative to the level: a network's
            Jacobian is no covariance, and what is nearly certain by it alone would be divided by about 0.
        sigma_min: The lowest noise level but 0, relative to the size of signals.
        top: The highest, relative to the size of signals. A Jacobian counts by the square of the level, and
            errors of a network with it: where few trainings reach, samples end far from all signals.
        rho: Bends the levels: the higher, the more of them are low.
    """

    steps: int = 32
    solves: int = 3
    pool: int = 65_536
    floor: float = 0.01
    trust: float = 0.1
    sigma_min: float = 0.01
    top: float = 3.0
    rho: float = 7.0

    @property
    def calls(self) -> int:
        """Network calls per signal; each of the products with the Jacobian is worth one."""
        return (self.steps + 2) * (1 + self.solves)

    @property
    def jacobians(self) -> int:
        """How many of these are products with the Jacobian."""
        return (self.steps + 2) * self.solves

    def restore(self, denoiser: Denoiser, problem: Problem, stream: Stream) -> Tensor:
        """One signal for each of at most `pool` measurements, `(n, *signal)`."""
        m = at_most(problem.train, self.pool, stream / "pool")
        return in_portions(
            lambda part, rng: self.sample(denoiser, part, rng), m, (stream / "noise").rng(m.y.device)
        )

    def sample(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """One sample of each posterior, `(n, *signal)`."""
        size, sigma_max = denoiser.sigma_data, self.top * denoiser.sigma_data
        levels = size * karras_levels(self.steps, self.sigma_min, self.top, self.rho)
        sigma_y = max(m.sigma_y, self.floor * size)

        def denoise(x: Tensor, sigma: float) -> Tensor:
            noise = max(sigma_y, self.trust * sigma)
            return conditioned(denoiser, x, sigma, m, noise, self.solves, BEYOND).to(x)

        noise = torch.randn(len(m), *m.shape, generator=rng, device=rng.device).to(m.y)
        start = torch.zeros_like(noise)
        for _ in range(2):  # to the mean that y leaves at the top, where all noisy signals are about there
            start = denoise(start, sigma_max)
        start = start + math.hypot(sigma_max, size) * noise
        return ancestral(denoise, start, torch.cat([levels, levels.new_zeros(1)]), rng)


def conditioned(
    denoiser: Denoiser,
    x_t: Tensor,
    sigma: float,
    m: Measurement,
    sigma_y: float,
    solves: int,
    beyond: float = math.inf,
) -> Tensor:
    """`E[x | x_t, y]`, `(B, *signal)`, at one noise level.

    Args:
        denoiser: `E[x | x_t]`.
        x_t: Noisy signals, `(B, *signal)`.
        sigma: Their noise level.
        m: Measurements of the same signals without that noise.
        sigma_y: The noise that these are said to have.
        solves: Steps of conjugate gradients.
        beyond: When they end early, see `gain`.
    """
    with torch.enable_grad():
        x_t = x_t.detach().requires_grad_().clone()  # those who count operations take no leaves
        d = denoiser(x_t, torch.full((len(x_t),), sigma).to(x_t))

    def spread(v: Tensor) -> Tensor:
        product: Tensor = torch.autograd.grad(d, x_t, v, retain_graph=True)[0]
        return sigma**2 * product

    with torch.no_grad():
        estimate = d.detach()
        missed = m.y - m.A(estimate)
        return estimate + gain(spread, m.A, m.A.adjoint, missed, sigma_y**2, steps=solves, beyond=beyond)
