r"""Ambient Diffusion: learning through masks by a further corruption.

Ambient Diffusion: Learning Clean Distributions from Corrupted Data (Daras et al., 2023),
https://arxiv.org/abs/2305.19256. The denoiser sees `A' x_t` and `A'`, where `A'` drops a
share `delta` of what `A` measured, and is judged on all that `A` measured. Where `E[A^T A | A']`
has full rank the minimiser is `E[x | A' x_t, A']`.
"""

from __future__ import annotations

__all__ = ["AmbientDiffusion"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.batch import expand, mean_per_sample, randn_like
from dcdbench.diffusion import edm_weight, lognormal_levels
from dcdbench.objectives import register
from dcdbench.problem import Corruption, Fake, Measurement
from dcdbench.protocols import Denoiser, Operator, View


@register("ambient_diffusion")
@dataclass(frozen=True)
class AmbientDiffusion:
    r"""`w(sigma) |A (D(A' x_t, sigma, A') - x)|^2`, computed from `y = A x` alone.

    Args:
        delta: The share of what was measured that the further corruption drops, in (0, 1).
        p_mean: The mean of `log sigma`.
        p_std: The standard deviation of `log sigma`.
    """

    delta: float = 0.1
    p_mean: float = -1.2
    p_std: float = 1.2

    conditional: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise ValueError(f"delta must be in (0, 1), got {self.delta}")

    def supports(self, corruption: Corruption) -> str | None:
        """Masks without measurement noise."""
        if not corruption.operator.masks:
            return "needs masks: the operator has no further corruption"
        if corruption.sigma_y > 0:
            return f"needs noiseless measurements: sigma_y is {corruption.sigma_y:g}"
        return None

    def draw(self, corruption: Corruption, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Operator:
        """Further corrupted draws of A, as the denoiser saw them in training."""
        further = corruption.operator.draw(shape, n, rng).further(self.delta, rng)
        assert further is not None
        return further

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """The loss per sample, `(B,)`."""
        sigma = lognormal_levels(len(m), self.p_mean, self.p_std, rng).to(m.y)
        v = self.view(m, sigma, rng)
        error = m.A(denoiser(v.x_t, v.sigma, v.A)) - m.y
        return edm_weight(sigma, denoiser.sigma_data) * mean_per_sample(error**2)

    def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
        """`A' (y + sigma n)`, and `A'`: for a mask, `A' y = A' x`."""
        further = m.A.further(self.delta, rng)
        if further is None:
            raise ValueError(f"needs masks: {type(m.A).__name__} has no further corruption")
        x = m.A.adjoint(m.y)
        return View(further.restrict(x + expand(sigma, x) * randn_like(x, rng)), sigma, further)

    def signal(self, fake: Fake) -> Tensor:
        """The signal itself."""
        return fake.x

    def lowest(self, sigma_y: float) -> float:
        """0: every level is trained."""
        return 0.0
