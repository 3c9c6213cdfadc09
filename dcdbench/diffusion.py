r"""The variance-exploding diffusion, `x_t = x + sigma n`: noise levels, weights, sampling.

Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022),
https://arxiv.org/abs/2206.00364, abbreviated EDM.
"""

from __future__ import annotations

__all__ = ["edm_weight", "heun", "karras_levels", "lognormal_levels"]

import math
from collections.abc import Callable

import torch
from torch import Tensor


def edm_weight(sigma: Tensor, sigma_data: float) -> Tensor:
    r"""The weight of the squared error at level `sigma`, `(sigma^2 + sigma_data^2) / (sigma sigma_data)^2`.

    It is `1 / c_out^2`: the loss of the preconditioned network is alike at all levels (EDM, table 1).
    """
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def lognormal_levels(
    n: int,
    mean: float,
    std: float,
    rng: torch.Generator,
    low: float = 0.0,
    high: float = math.inf,
    *,
    scale: float = 1.0,
) -> Tensor:
    r"""`n` noise levels with `log(sigma / scale) ~ N(mean, std^2)`, conditioned on `low < sigma < high`.

    The condition is exact (by the inverse distribution function), so that no atom sits at a bound.

    The scale is the standard deviation of the data, so that the share of levels at which the data are hidden
    does not depend on their unit.

    Raises:
        ValueError: Where the law has no mass that a float64 can tell from 0 between the bounds.
    """
    low, high = low / scale, high / scale
    bounds = [(math.log(s) - mean) / std if s > 0 else -math.inf for s in (low, high)]
    u = torch.rand(n, generator=rng, device=rng.device, dtype=torch.float64)
    sign = 1.0
    if bounds[0] > 0:  # work in the lower tail, where the distribution function keeps its digits
        bounds, sign = [-bounds[1], -bounds[0]], -1.0
    p_low, p_high = (math.erfc(-z / math.sqrt(2)) / 2 for z in bounds)  # torch's `ndtr` has no digits there
    if not p_high - p_low > 1e-300:
        raise ValueError(
            f"{scale:g} exp(N({mean:g}, {std:g}^2)) has no mass in ({low * scale:g}, {high * scale:g})"
        )
    z = sign * torch.special.ndtri(p_low + (p_high - p_low) * u)
    return (scale * torch.exp(mean + std * z).clamp(low or None, high)).float()


def karras_levels(steps: int, low: float, high: float, rho: float = 7.0) -> Tensor:
    r"""`steps` decreasing levels from `high` to `low`, equidistant in `sigma^(1/rho)` (EDM, equation 5)."""
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    return (high ** (1 / rho) + ramp * (low ** (1 / rho) - high ** (1 / rho))) ** rho


def heun(denoise: Callable[[Tensor, float], Tensor], x: Tensor, levels: Tensor) -> Tensor:
    r"""Integrates `dx/dsigma = (x - D(x, sigma)) / sigma` along decreasing `levels` (EDM, algorithm 1).

    Args:
        denoise: The denoiser at one level for the whole batch.
        x: The state at `levels[0]`, `(B, *)`.
        levels: Decreasing noise levels; the last may be 0, which takes an Euler step.
    """
    for sigma, after in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        slope = (x - denoise(x, sigma)) / sigma
        euler = x + (after - sigma) * slope
        if after > 0:
            slope = (slope + (euler - denoise(euler, after)) / after) / 2
            euler = x + (after - sigma) * slope
        x = euler
    return x
