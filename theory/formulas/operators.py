"""Students behind a diagonal blur, behind an injective operator, and samplers with a fixed mask."""

from __future__ import annotations

__all__ = [
    "BEST_BLUR",
    "LARGEST_BLUR_RATIO",
    "blur_ratio",
    "fixed_mask_covariance",
    "fixed_mask_frechet",
    "fixed_mask_w2_coordinate",
    "w2_injective",
]

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from dcdbench.linalg import bures

BEST_BLUR = 2 ** (2 / 3) - 1
"""The gain at which `blur_ratio` is largest."""

LARGEST_BLUR_RATIO = BEST_BLUR**3
"""Its largest value: above, deblurring without awareness of the noise helps no direction (Theorem 9)."""

MOST_MASKED = 14  # dimensions, of which all masks are summed


def blur_ratio(a: float) -> float:
    r"""$h(a) = a^2(1-a)(3+a)/(1+a)^2$: kept directions gain where $\sigma^2/\lambda < h(a)$ (A10)."""
    return a**2 * (1 - a) * (3 + a) / (1 + a) ** 2


def w2_injective(alphas: Sequence[float], sigma: float) -> float:
    r"""Of the unaware student, injective operator: $\sum (\sqrt{1 + \sigma^2/\alpha_i^2} - 1)^2$ (A9)."""
    return math.fsum((math.sqrt(1 + (sigma / alpha) ** 2) - 1) ** 2 for alpha in alphas)


def fixed_mask_covariance(cov: Tensor, p: float) -> Tensor:
    """That of T-mask: conditional-mean completions, of masks that show entries with probability p (A12)."""
    d = len(cov)
    if d > MOST_MASKED:
        raise ValueError(f"all 2^d masks are summed, for d up to {MOST_MASKED}; got {d}")
    cov, total = cov.double(), torch.zeros(d, d, dtype=torch.float64)
    for mask in product((False, True), repeat=d):
        seen = [i for i, shown in enumerate(mask) if shown]
        if seen:
            rows = cov[seen]
            share = p ** len(seen) * (1 - p) ** (d - len(seen))
            total += share * rows.mT @ torch.linalg.solve(rows[:, seen], rows)
    return total


def fixed_mask_frechet(cov: Tensor, p: float) -> float:
    """The squared Frechet distance of T-mask, by means and covariances (A12)."""
    return bures(fixed_mask_covariance(cov, p), cov.double()).item()


def fixed_mask_w2_coordinate(p: float) -> float:
    r"""$W_2^2(N(0,1), p N(0,1) + (1-p) \delta_0)$, of T-mask with independent coordinates, each (A12)."""
    from dcdbench.analytic import Gaussian, GaussianMixture
    from theory.divergences.line import w2_line

    zero, one = torch.zeros(2, 1), torch.ones(1, 1)
    masked = GaussianMixture(
        torch.tensor([p, 1 - p], dtype=torch.float64), zero, torch.tensor([[[1.0]], [[0.0]]])
    )
    return w2_line(Gaussian(zero[0], one), masked).value
