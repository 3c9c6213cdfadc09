r"""The standard denoising objective, on measurements as they are.

Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022),
https://arxiv.org/abs/2206.00364. On noisy `y` its minimiser is `E[y | y + sigma n]`: the teacher
learns the law of the measurements, noise included.
"""

from __future__ import annotations

__all__ = ["Standard"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import expand, mean_per_sample, randn_like
from dcdbench.diffusion import edm_weight, lognormal_levels
from dcdbench.objectives import register
from dcdbench.objectives.space import apart
from dcdbench.problem import Corruption, Fake, Measurement
from dcdbench.protocols import Denoiser, Left, Operator, View


@register("standard")
@dataclass(frozen=True)
class Standard:
    r"""`w(sigma) |D(y + sigma n, sigma) - y|^2`.

    Args:
        p_mean: The mean of `log(sigma / sigma_data)`: EDM has -1.2 + log 2 = -0.5.
        p_std: The standard deviation of `log sigma`.
    """

    p_mean: float = -0.5
    p_std: float = 1.2

    def supports(self, corruption: Corruption) -> str | None:
        """All but masks, whose zeros it would learn as if they were data."""
        if corruption.operator.masks:
            return "learns the zeros of unseen entries as data: needs an operator without masks"
        return None

    def draw(
        self, corruption: Corruption, shape: tuple[int, ...], n: int, rng: torch.Generator
    ) -> Operator | None:
        """Nothing where signals and measurements share a space; else fresh draws."""
        return corruption.operator.draw(shape, n, rng) if apart(corruption, shape) else None

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """The loss per sample, `(B,)`."""
        sigma = lognormal_levels(len(m), self.p_mean, self.p_std, rng, scale=denoiser.sigma_data).to(m.y)
        v = self.view(m, sigma, rng)
        error = v.estimate(denoiser) - m.y
        return edm_weight(sigma, denoiser.sigma_data) * mean_per_sample(error**2)

    def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
        """`y + sigma n`."""
        return View(m.y + expand(sigma, m.y) * randn_like(m.y, rng), sigma, m.A if m.apart else None)

    def signal(self, fake: Fake) -> Tensor:
        """The measurement itself."""
        return fake.y

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Left:
        """Nothing where samples are measurements; where they are signals, the whole corruption."""
        return "all" if apart(corruption, shape) else "nothing"

    def lowest(self, sigma_y: float) -> float:
        """0: every level is trained."""
        return 0.0
