r"""Losses of a network that restores noisy measurements at one level, learned from these alone.

They are objectives for a training; what they learn is an estimate of signals, not a diffusion model, so no
suite can select them as the loss of one.
"""

from __future__ import annotations

__all__ = ["SURE", "Neighbours", "Split"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import mean_per_sample, randn_like
from dcdbench.diffusion import edm_weight
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.divergence import divergence
from dcdbench.objectives.standard import Standard
from dcdbench.problem import Measurement
from dcdbench.protocols import Denoiser

PAIRS = ((0, 1), (1, 0), (0, 2), (2, 0), (1, 3), (3, 1), (2, 3), (3, 2))  # neighbours in a 2 x 2 cell


@dataclass(frozen=True)
class Split(AmbientTweedie):
    r"""`|f(y + s sigma_y n) - (y - sigma_y n / s)|^2`: the two copies have independent noise.

    Recorrupted-to-Recorrupted (Pang et al., 2021), https://arxiv.org/abs/2102.02234. The minimiser is the
    posterior mean at the level `sigma_y sqrt(1 + s^2)` of the first copy.

    Args:
        p_mean: Not asked: there is one level.
        p_std: Not asked.
        consistency: Not asked.
        consistency_steps: Not asked.
        primes: Not asked.
        share: `s`, > 0: with little the second copy is noisy, with much the first.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise ValueError(f"share must be > 0, got {self.share}")

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """The loss per sample, `(B,)`."""
        n = m.sigma_y * randn_like(m.y, rng)
        sigma = torch.full((len(m),), m.sigma_y * (1 + self.share**2) ** 0.5).to(m.y)
        error = denoiser(m.y + self.share * n, sigma) - (m.y - n / self.share)
        return edm_weight(sigma, denoiser.sigma_data) * mean_per_sample(error**2)


@dataclass(frozen=True)
class SURE(AmbientTweedie):
    r"""`|f(y) - y|^2 + 2 sigma_y^2 v^T J v`: Stein's unbiased estimate of the error, up to a constant.

    Stein (1981), https://doi.org/10.1214/aos/1176345632. The minimiser is the posterior mean.
    """

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """The loss per sample, `(B,)`, which may be negative."""
        sigma = torch.full((len(m),), m.sigma_y).to(m.y)
        out, slope = divergence(lambda y: denoiser(y, sigma), m.y, randn_like(m.y, rng))
        loss = mean_per_sample((out - m.y) ** 2) + 2 * m.sigma_y**2 * slope / m.y[0].numel()
        return edm_weight(sigma, denoiser.sigma_data) * loss


@dataclass(frozen=True)
class Neighbours(Standard):
    r"""`|f(g1 y) - g2 y|^2 + gamma |f(g1 y) - g2 y - (g1 f(y) - g2 f(y))|^2`, for noisy images.

    Neighbor2Neighbor (Huang et al., 2021), https://arxiv.org/abs/2101.02824: `g1` and `g2` pick two adjacent
    pixels of each 2 x 2 cell, whose noises are to be independent. The network must take images of half
    the size.

    Args:
        p_mean: Not asked: there is one level.
        p_std: Not asked.
        gamma: The weight of the second term, >= 0. Published trainings raise it from 0 to 2.
    """

    gamma: float = 1.0

    def __post_init__(self) -> None:
        if not self.gamma >= 0:
            raise ValueError(f"gamma must be >= 0, got {self.gamma}")

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """The loss per sample, `(B,)`."""
        sigma = torch.full((len(m),), m.sigma_y or denoiser.sigma_data).to(m.y)
        _, _, height, width = m.y.shape
        pick = torch.randint(len(PAIRS), (len(m), height // 2, width // 2), generator=rng, device=rng.device)
        one, two = picked(m.y, pick)
        error = _of_half(denoiser, one, sigma) - two
        with torch.no_grad():
            first, second = picked(denoiser(m.y, sigma), pick)
        kept = mean_per_sample((error - (first - second)) ** 2)
        weight = edm_weight(sigma, denoiser.sigma_data)
        return weight * (mean_per_sample(error**2) + self.gamma * kept)


def picked(x: Tensor, pick: Tensor) -> tuple[Tensor, Tensor]:
    """The two adjacent pixels of each 2 x 2 cell, `(B, C, H / 2, W / 2)` each.

    Args:
        x: Images, `(B, C, H, W)`.
        pick: Which of the eight pairs, `(B, H / 2, W / 2)`.
    """
    cells = torch.nn.functional.pixel_unshuffle(x, 2).unflatten(1, (x.shape[1], 4))
    index = torch.tensor(PAIRS, device=x.device)[pick]  # (B, H / 2, W / 2, 2)
    both = [index[..., k][:, None, None].expand(-1, x.shape[1], 1, -1, -1) for k in (0, 1)]
    one, two = (cells.gather(2, i).squeeze(2) for i in both)
    return one, two


def _of_half(denoiser: Denoiser, x: Tensor, sigma: Tensor) -> Tensor:
    try:
        return denoiser(x, sigma)
    except RuntimeError as error:
        size = "x".join(map(str, x.shape[2:]))
        raise ValueError(
            f"neighbour needs a network that takes images of half the size too, and this one fails on {size} "
            "pixels; choose a convolutional network whose size allows it, or restorer: split"
        ) from error
