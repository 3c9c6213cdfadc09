r"""Ambient Tweedie: denoising learned from noisy data only, above the noise level of the data.

Consistent Diffusion Meets Tweedie (Daras et al., 2024), https://arxiv.org/abs/2404.10177.
With `x_t = y + sqrt(sigma^2 - sigma_y^2) n`, Tweedie's formula gives
`E[y | x_t] = (1 - r) E[Ax | x_t] + r x_t`, `r = sigma_y^2 / sigma^2`, for `sigma > sigma_y`.
"""

from __future__ import annotations

__all__ = ["AmbientTweedie"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.batch import expand, mean_per_sample, randn_like
from dcdbench.diffusion import edm_weight, lognormal_levels
from dcdbench.objectives import register
from dcdbench.problem import Corruption, Fake, Measurement
from dcdbench.protocols import Denoiser, View


@register("ambient_tweedie")
@dataclass(frozen=True)
class AmbientTweedie:
    r"""`w(sigma) |(1 - r) D(x_t, sigma) + r x_t - y|^2`, whose minimiser is `D = E[Ax | x_t]`.

    The levels follow a log-normal law conditioned on `sigma > sigma_y`. (Clamping them to
    `sigma_y` instead, as is common, puts an atom where `1 - r = 0`, which trains nothing.)

    Args:
        p_mean: The mean of `log sigma`, before the condition.
        p_std: The standard deviation of `log sigma`, before the condition.
    """

    p_mean: float = -1.2
    p_std: float = 1.2

    conditional: ClassVar[bool] = False

    def supports(self, corruption: Corruption) -> str | None:
        """All but masks, and measurements without noise."""
        if corruption.operator.masks:
            return "learns the zeros of unseen entries as data: needs an operator without masks"
        if corruption.sigma_y == 0:
            return "needs measurement noise: sigma_y is 0"
        return None

    def draw(self, corruption: Corruption, shape: tuple[int, ...], n: int, rng: torch.Generator) -> None:
        """Nothing: the denoiser is not conditioned on A."""
        return None

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """The loss per sample, `(B,)`."""
        sigma = lognormal_levels(len(m), self.p_mean, self.p_std, rng, low=m.sigma_y).to(m.y)
        v = self.view(m, sigma, rng)
        r = expand(m.sigma_y**2 / sigma**2, m.y)
        error = (1 - r) * denoiser(v.x_t, v.sigma) + r * v.x_t - m.y
        return edm_weight(sigma, denoiser.sigma_data) * mean_per_sample(error**2)

    def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
        """`y + sqrt(sigma^2 - sigma_y^2) n`; a level below `sigma_y` cannot be reached."""
        if bool((sigma < m.sigma_y * (1 - 1e-6)).any()):  # levels are float32, sigma_y is not
            raise ValueError(f"sigma must be >= sigma_y = {m.sigma_y}, got {float(sigma.min())}")
        added = (sigma**2 - m.sigma_y**2).clamp(min=0)
        return View(m.y + expand(added.sqrt(), m.y) * randn_like(m.y, rng), sigma)

    def signal(self, fake: Fake) -> Tensor:
        """The noiseless measurement `A x`."""
        return fake.A(fake.x)

    def lowest(self, sigma_y: float) -> float:
        """`sigma_y`."""
        return sigma_y
