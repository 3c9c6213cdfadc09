r"""Ambient Tweedie: denoising learned from noisy data only, above the noise level of the data.

Consistent Diffusion Meets Tweedie (Daras et al., 2024), https://arxiv.org/abs/2404.10177.
With `x_t = y + sqrt(sigma^2 - sigma_y^2) n`, Tweedie's formula gives
`E[y | x_t] = (1 - r) E[Ax | x_t] + r x_t`, `r = sigma_y^2 / sigma^2`, for `sigma > sigma_y`. Below `sigma_y`
no data tell what is right, but consistency with the levels above does.
"""

from __future__ import annotations

__all__ = ["AmbientTweedie"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import expand, mean_per_sample, randn_like
from dcdbench.diffusion import edm_weight, lognormal_levels
from dcdbench.objectives import register
from dcdbench.objectives.consistency import inconsistency
from dcdbench.objectives.space import apart
from dcdbench.problem import Corruption, Fake, Measurement
from dcdbench.protocols import Denoiser, Left, Operator, View

SHARE = 4  # consistency is asked of one sample in so many: it takes several calls of the denoiser


@register("ambient_tweedie")
@dataclass(frozen=True)
class AmbientTweedie:
    r"""`w(sigma) |(1 - r) D(x_t, sigma) + r x_t - y|^2`, whose minimiser is `D = E[Ax | x_t]`.

    The levels follow a log-normal law conditioned on `sigma > sigma_y`. (Clamping them to
    `sigma_y` instead, as is common, puts an atom where `1 - r = 0`, which trains nothing.)

    Args:
        p_mean: The mean of `log(sigma / sigma_data)`, before the condition.
        p_std: The standard deviation of `log sigma`, before the condition.
        consistency: The weight of `w(sigma_y) |E[D(x', sigma')] - D(y, sigma_y)|^2`, where `x'` comes from
            `y` by the denoiser's own reverse process, at log-normal levels `sigma' < sigma_y`; 0 for none.
        consistency_steps: The steps of that process; with few of them `x'` spreads less than it should.
        primes: How many independent `x'` there are for each `y`, at least 2, for an estimate without bias.
    """

    p_mean: float = -0.5
    p_std: float = 1.2
    consistency: float = 0.0
    consistency_steps: int = 3
    primes: int = 2

    def __post_init__(self) -> None:
        for name, least in (("consistency", 0), ("consistency_steps", 1), ("primes", 2)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")

    def supports(self, corruption: Corruption) -> str | None:
        """All but masks, and measurements without noise."""
        if corruption.operator.masks:
            return "learns the zeros of unseen entries as data: needs an operator without masks"
        if corruption.sigma_y == 0:
            return "needs measurement noise: sigma_y is 0"
        return None

    def draw(
        self, corruption: Corruption, shape: tuple[int, ...], n: int, rng: torch.Generator
    ) -> Operator | None:
        """Nothing where signals and measurements share a space; else fresh draws."""
        return corruption.operator.draw(shape, n, rng) if apart(corruption, shape) else None

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """The loss per sample, `(B,)`."""
        law, unit = (self.p_mean, self.p_std), denoiser.sigma_data
        sigma = lognormal_levels(len(m), *law, rng, low=m.sigma_y, scale=unit).to(m.y)
        v = self.view(m, sigma, rng)
        r = expand(m.sigma_y**2 / sigma**2, m.y)
        error = (1 - r) * v.estimate(denoiser) + r * v.x_t - m.y
        loss = edm_weight(sigma, denoiser.sigma_data) * mean_per_sample(error**2)
        if self.consistency > 0 and m.sigma_y > 0:
            n = -(-len(m) // SHARE)
            below = (self.consistency * len(m) / n) * self._below(denoiser, m[:n], rng)
            loss = loss + torch.cat([below, below.new_zeros(len(m) - n)])
        return loss

    def _below(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """The penalty of inconsistency below the noise of the data, `(B,)`."""
        own = torch.full((len(m),), m.sigma_y).to(m.y)
        start = View(m.y, own, m.A if m.apart else None)
        law, unit = (self.p_mean, self.p_std), denoiser.sigma_data
        sigma = lognormal_levels(len(m), *law, rng, high=m.sigma_y, scale=unit).to(m.y)
        gap = inconsistency(denoiser, start, sigma, self.consistency_steps, self.primes, rng)
        return edm_weight(own, denoiser.sigma_data) * gap

    def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
        """`y + sqrt(sigma^2 - sigma_y^2) n`; a level below `sigma_y` cannot be reached."""
        if bool((sigma < m.sigma_y * (1 - 1e-6)).any()):  # levels are float32, sigma_y is not
            raise ValueError(f"sigma must be >= sigma_y = {m.sigma_y}, got {float(sigma.min())}")
        added = (sigma**2 - m.sigma_y**2).clamp(min=0)
        x_t = m.y + expand(added.sqrt(), m.y) * randn_like(m.y, rng)
        return View(x_t, sigma, m.A if m.apart else None)

    def signal(self, fake: Fake) -> Tensor:
        """The measurement without its white noise."""
        return fake.u

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Left:
        """The white noise; where samples are signals, the whole corruption."""
        return "all" if apart(corruption, shape) else "noise"

    def lowest(self, sigma_y: float) -> float:
        """`sigma_y`: below it, nothing can be viewed, though consistency trains what is said there."""
        return sigma_y
