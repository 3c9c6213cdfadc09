r"""Fourier Ambient Diffusion: Ambient Diffusion whose errors are judged as images.

Ambient Diffusion Posterior Sampling: Solving Inverse Problems with Diffusion Models Trained on Corrupted
Data (Aali et al., 2024), https://arxiv.org/abs/2403.08728. Measurements of magnetic resonance imaging are
lines of k-space, of several coils that see the same pixels; `A^H` brings them together.
"""

from __future__ import annotations

__all__ = ["FourierAmbient"]

from dataclasses import dataclass

from torch import Tensor

from dcdbench.objectives import register
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.problem import Corruption
from dcdbench.protocols import Operator


@register("fourier_ambient")
@dataclass(frozen=True)
class FourierAmbient(AmbientDiffusion):
    r"""`w |A^H e'|^2 + |A^H (e - e')|^2 / sigma_data^2`, with `e` and `e'` those of Ambient Diffusion.

    For a single coil, as for any `A` with orthonormal rows, that is the same number. For others the minimiser
    is the same, `E[x | A' x_t, A']`, since the range of `A^H A` is that of `A^H`.

    Args:
        delta: The share of what was measured that the further corruption drops in training, in (0, 1).
        judged: Whether the loss counts all that was measured, or only what the further
            corruption left, which leaves the rest of the estimate untrained.
        p_mean: The mean of `log(sigma / sigma_data)`, before the condition `sigma > sigma_y`.
        p_std: The standard deviation of `log sigma`, before the condition.
        sampling_delta: The share that the further corruption drops when samples are made, in (0, 1).
    """

    def supports(self, corruption: Corruption) -> str | None:
        """Linear masks, with white noise or none."""
        if corruption.operator.masks and not corruption.operator.linear:
            return "needs a linear operator: errors are judged through its adjoint"
        return super().supports(corruption)

    def energy(self, A: Operator, error: Tensor) -> Tensor:
        """The square of its image, `|A^H e|^2`, `(B,)`."""
        return super().energy(A, A.adjoint(error))
