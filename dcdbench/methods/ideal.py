"""What theory expects of ideal training: laws that an infinite sample and a perfect fit would give."""

from __future__ import annotations

__all__ = ["PosteriorMean", "denoising", "teaches"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.analytic import Law
from dcdbench.operators.identity import Identity
from dcdbench.problem import Corruption
from dcdbench.protocols import Objective


def denoising(corruption: Corruption) -> bool:
    """Whether A is the identity, so that `y = x + sigma_y n`."""
    return isinstance(corruption.operator, Identity) and corruption.noise is None


def teaches(objective: Objective, law: Law, corruption: Corruption) -> Law:
    """The law that an ideal teacher's scores are those of: the clean one, or the noisy one."""
    lowest = objective.lowest(corruption.sigma_y)
    return law if lowest > 0 else law.noised(corruption.sigma_y)


@dataclass(frozen=True)
class PosteriorMean:
    """The law of `E[x | x + sigma n]`: what a sampler that stops at `sigma` and denoises gives.

    For a Gaussian with variances `lam` it is a Gaussian with variances `lam^2 / (lam + sigma^2)`.
    """

    law: Law
    sigma: float

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` independent draws, `(n, d)`."""
        return self.law.denoise(self.law.noised(self.sigma).sample(n, rng), self.sigma)
