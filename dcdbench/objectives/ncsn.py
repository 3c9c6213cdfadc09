r"""Denoising score matching at a few noise levels, as in noise-conditional score networks.

Generative Modeling by Estimating Gradients of the Data Distribution (Song and Ermon, 2019),
https://arxiv.org/abs/1907.05600, algorithm 1 and equation 6. The network is a denoiser, which stands for the
score `s = (D - x_t) / sigma^2`.
"""

from __future__ import annotations

__all__ = ["NCSN"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import expand, mean_per_sample, randn_like
from dcdbench.objectives import register
from dcdbench.objectives.space import apart
from dcdbench.problem import Corruption, Fake, Measurement
from dcdbench.protocols import Denoiser, Left, Operator, View


@register("ncsn")
@dataclass(frozen=True)
class NCSN:
    r"""`tau^2 |s(y + tau n, sigma) + n / tau|^2 / 2`, `tau^2 = sigma^2 - sigma_y^2`, at geometric levels.

    Its minimiser is the score of the law of signals with noise `sigma`: what the measurements have counts
    as a part of it. If not `corrected`, `tau = sigma`, and signals are what was measured, noise included.

    Args:
        corrected: Whether the noise of the measurements is known and taken for a part of the diffusion's.
        levels: How many levels there are.
        sigma_max: The highest, in units of `sigma_data`. The published one is 1, for images in [0, 1], whose
            standard deviation is about 0.25.
        sigma_min: The lowest, where the noise is not corrected for, in the same unit; published as 0.01.
        above: The lowest level in units of `sigma_y`, > 1, where it is: at `sigma_y` itself nothing
            is added, and nothing learned.
    """

    corrected: bool = True
    levels: int = 10
    sigma_max: float = 4.0
    sigma_min: float = 0.04
    above: float = 1.1

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise ValueError(f"levels must be >= 2, got {self.levels}")
        if not 0 < self.sigma_min < self.sigma_max:
            raise ValueError(f"sigma_min must be in (0, sigma_max = {self.sigma_max}), got {self.sigma_min}")
        if not self.above > 1:
            raise ValueError(f"above must be > 1, got {self.above}")

    def schedule(self, sigma_y: float, sigma_data: float) -> Tensor:
        """The decreasing levels, `(levels,)`, each the same share of the one before."""
        low = self.lowest(sigma_y) / sigma_data or self.sigma_min
        high = max(self.sigma_max, 2 * low)
        return torch.logspace(0, 1, self.levels, base=low / high, dtype=torch.float64) * (high * sigma_data)

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
        schedule = self.schedule(m.sigma_y, denoiser.sigma_data).to(m.y)
        sigma = schedule[torch.randint(self.levels, (len(m),), generator=rng, device=rng.device)]
        v = self.view(m, sigma, rng)
        tau = expand((sigma**2 - self._own(m.sigma_y) ** 2).sqrt(), m.y)
        score = (v.estimate(denoiser) - v.x_t) / expand(sigma, m.y) ** 2
        return mean_per_sample((tau * score + (v.x_t - m.y) / tau) ** 2) / 2

    def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
        """`y + tau n`; a level below the noise that is corrected for cannot be reached."""
        own = self._own(m.sigma_y)
        if bool((sigma < own * (1 - 1e-6)).any()):  # levels are float32, sigma_y is not
            raise ValueError(f"sigma must be >= sigma_y = {own}, got {float(sigma.min())}")
        tau = expand((sigma**2 - own**2).clamp(min=0).sqrt(), m.y)
        return View(m.y + tau * randn_like(m.y, rng), sigma, m.A if m.apart else None)

    def signal(self, fake: Fake) -> Tensor:
        """The measurement, without its white noise if that is corrected for."""
        return fake.u if self.corrected else fake.y

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Left:
        """All where samples are signals; else the white noise if it is corrected for, or nothing."""
        if apart(corruption, shape):
            return "all"
        return "noise" if self.corrected else "nothing"

    def lowest(self, sigma_y: float) -> float:
        """A little above `sigma_y` where that is corrected for; else 0, though `sigma_min` is the last."""
        return self.above * self._own(sigma_y)

    def _own(self, sigma_y: float) -> float:
        """The noise of measurements that counts as the diffusion's."""
        return sigma_y if self.corrected else 0.0
