r"""Consistency: what a denoiser says at one noise level, it expects to say at all levels below.

Consistent Diffusion Models (Daras et al., 2023), https://arxiv.org/abs/2302.09057, and
Consistent Diffusion Meets Tweedie (Daras et al., 2024), https://arxiv.org/abs/2404.10177. By the tower rule
`E[D(x_s, s) | x_t] = D(x_t, t)` for `x_s` from the reverse process, `s < t`, of an exact denoiser. That is a
statement on draws from the posterior, so the path is random: along the deterministic flow (the ODE) even an
exact denoiser does not keep its estimate.
"""

from __future__ import annotations

__all__ = ["inconsistency", "reverse"]

import torch
from torch import Tensor

from dcdbench.batch import expand, mean_per_sample, randn_like
from dcdbench.protocols import Denoiser, View


def inconsistency(
    denoiser: Denoiser, start: View, sigma: Tensor, steps: int, paths: int, rng: torch.Generator
) -> Tensor:
    r"""`|E D(x', sigma) - D(x_t, sigma_t)|^2` per entry, `(B,)`, without bias; single values may be negative.

    Over independent paths with errors `e_k = D(x'_k, sigma) - D(x_t, sigma_t)` it is the mean of `e_j e_k`
    for `j < k`. (The square of their mean would add their variance, and so ask for a denoiser that is the
    same wherever paths end.) Gradients reach the estimates at `sigma` alone: what is said where paths start
    is for the data to decide, and it would be pulled along.

    Args:
        denoiser: What is judged.
        start: Where the paths start, at the levels `sigma_t`.
        sigma: Where they end, `(B,)`.
        steps: How many steps a path has.
        paths: How many there are for each sample, at least 2.
        rng: Of the paths.
    """
    with torch.no_grad():
        first = start.estimate(denoiser)
    errors = [reverse(denoiser, start, sigma, steps, rng).estimate(denoiser) - first for _ in range(paths)]
    total, squares = sum(errors, torch.zeros_like(first)), sum(e.square() for e in errors)
    return mean_per_sample(total.square() - squares) / (paths * (paths - 1))


@torch.no_grad()
def reverse(denoiser: Denoiser, start: View, sigma: Tensor, steps: int, rng: torch.Generator) -> View:
    r"""A draw of `x_s` at the levels `sigma`, `(B,)`, given `x_t`: `steps` steps of the reverse process.

    Each is a draw given `x_t` and the estimate in place of the signal, as in
    https://arxiv.org/abs/2006.11239, equations 6 and 7: `D + (s / t)^2 (x_t - D) + s sqrt(1 - (s / t)^2) n`.
    Its mean is that of `x_s` given `x_t`, exactly; its spread is so for many steps.
    """
    view, ratio = start, (sigma / start.sigma) ** (1 / steps)
    for k in range(1, steps + 1):
        after = sigma if k == steps else start.sigma * ratio**k
        estimate = view.estimate(denoiser)
        share = expand((after / view.sigma) ** 2, estimate)
        spread = expand(after, estimate) * (1 - share).clamp(min=0).sqrt()
        noise = view.of(randn_like(estimate, rng))
        view = View(estimate + share * (view.x_t - estimate) + spread * noise, after, view.A)
    return view
