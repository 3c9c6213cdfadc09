r"""The Sinkhorn divergence from samples; its closed form for Gaussians is in `gaussian`.

$E [OT_\epsilon(p_n, q_n) - \frac12 OT_\epsilon(p_n, p_n') - \frac12 OT_\epsilon(q_n, q_n')]$ with independent
samples $p_n'$, $q_n'$, Student's interval over independent blocks, and a margin for
the bias, which decays like 1/n for a fixed $\epsilon$. Its constant grows with $\epsilon^{-d/2}$
(Genevay et al., 2019, https://arxiv.org/abs/1810.02733), so beyond two dimensions no bounds are returned.
"""

from __future__ import annotations

__all__ = ["sinkhorn_interval"]

import torch
from torch import Tensor

from dcdbench.analytic import Law
from dcdbench.metrics.sinkhorn import entropic_cost
from theory.divergences.estimate import Estimate, t_interval

MOST_DIM = 2


def sinkhorn_interval(
    p: Law, q: Law, eps: float, rng: torch.Generator, *, size: int = 256, blocks: int = 8
) -> Estimate:
    """The divergence between laws of at most two dimensions; beyond, a value without bounds.

    Args:
        p: A law to draw from.
        q: Another one.
        eps: The regularisation, for the cost `|x - y|^2`.
        rng: Randomness.
        size: Points of each sample.
        blocks: Independent repetitions.
    """
    drawn = [[law.sample(size, rng) for law in (p, p, q, q)] for _ in range(blocks)]
    whole = [_debiased(samples, eps) for samples in drawn]
    mean = sum(whole) / blocks
    if p.dim > MOST_DIM:
        return Estimate.undecided(mean)
    half = [_debiased([x[: size // 2] for x in samples], eps) for samples in drawn]
    return t_interval(whole, abs(mean - sum(half) / blocks))


def _debiased(samples: list[Tensor], eps: float) -> float:
    x, x2, y, y2 = samples
    own = (entropic_cost(x, x2, eps) + entropic_cost(y, y2, eps)) / 2
    return entropic_cost(x, y, eps) - own
