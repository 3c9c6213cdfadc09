"""What theory expects of ideal training: laws that an infinite sample and a perfect fit would give."""

from __future__ import annotations

__all__ = ["FilledMean", "PosteriorMean", "denoising", "entire", "fills", "masked", "teaches"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.analytic import Law
from dcdbench.masked import filled
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.operators.coordinates import Coordinates
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.problem import Corruption
from dcdbench.protocols import Objective


def denoising(corruption: Corruption) -> bool:
    """Whether A is the identity, so that `y = x + sigma_y n`."""
    return isinstance(corruption.operator, Identity) and corruption.noise is None


def entire(corruption: Corruption) -> bool:
    """Whether signals are seen entry by entry, at times all at once, with white noise or none.

    Then measurements have the law that they have only if signals have theirs: among all masks is the one
    that hides nothing, and a Gaussian's characteristic function is nowhere 0.
    """
    return isinstance(corruption.operator, Identity | Inpainting) and corruption.noise is None


def teaches(objective: Objective, law: Law, corruption: Corruption) -> Law:
    """The law that an ideal teacher's scores are those of: the clean one, or the noisy one."""
    lowest = objective.lowest(corruption.sigma_y)
    return law if lowest > 0 else law.noised(corruption.sigma_y)


def fills(objective: Objective, corruption: Corruption) -> bool:
    """Whether an ideal teacher is known that sees its states through masks, and fills in what these hide."""
    return isinstance(objective, AmbientDiffusion) and isinstance(corruption.operator, Inpainting)


def masked(objective: Objective, corruption: Corruption) -> bool:
    """Whether ideal denoisers are shown masks that hide which other entries were measured.

    So they learn what masks hide. One coordinate alone tells that no other was measured.
    """
    A = corruption.operator
    seen = isinstance(A, Inpainting) or (isinstance(A, Coordinates) and A.count > 1)
    return seen and isinstance(objective, AmbientDiffusion) and corruption.noise is None


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


@dataclass(frozen=True)
class FilledMean:
    """The law of `E[x | A x + sigma A n, A]` over further masks `A`: what a sampler with a fixed mask gives.

    Exact denoisers bring the entries that a mask shows to the law that these have; the last estimate fills
    in the others by their means, so that the result is narrower than the law: see the claim
    `fixed_mask_sampler`.

    Args:
        law: That of signals, `(d,)`.
        objective: Says which masks denoisers are shown.
        corruption: That of the measurements, of random masks.
        sigma: The last noise level, > 0.
    """

    law: Law
    objective: Objective
    corruption: Corruption
    sigma: float

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` independent draws, `(n, d)`."""
        masks = self.objective.draw(self.corruption, (self.law.dim,), n, rng)
        assert isinstance(masks, Mask)
        x = self.law.noised(self.sigma).sample(n, rng)
        return filled(self.law, x, masks.mask, self.sigma)
