"""Ancestral sampling along noise levels."""

from __future__ import annotations

__all__ = ["ancestral"]

from collections.abc import Callable

import torch
from torch import Tensor


def ancestral(
    denoise: Callable[[Tensor, float], Tensor], x: Tensor, levels: Tensor, rng: torch.Generator
) -> Tensor:
    r"""Samples `x_s` given `x_t` and `D(x_t)` along decreasing `levels`, with fresh noise at each.

    `x_s = D + (s^2 / t^2) (x_t - D) + s sqrt(1 - s^2 / t^2) n`, the posterior of a step of the diffusion:
    Denoising Diffusion Probabilistic Models (Ho et al., 2020), https://arxiv.org/abs/2006.11239, equation 7.

    Args:
        denoise: The denoiser at one level for the whole batch.
        x: The state at `levels[0]`, `(B, *)`.
        levels: Decreasing noise levels; the last may be 0.
        rng: The noise.
    """
    for sigma, after in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        estimate, kept = denoise(x, sigma), (after / sigma) ** 2
        noise = torch.randn(x.shape, generator=rng, device=rng.device).to(x)
        x = estimate + kept * (x - estimate) + after * (1 - kept) ** 0.5 * noise
    return x
