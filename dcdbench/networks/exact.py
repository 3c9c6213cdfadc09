"""The exact denoiser of a law: a denoiser without a network."""

from __future__ import annotations

__all__ = ["ExactDenoiser"]

import math

from torch import Tensor, nn

from dcdbench.analytic import Law
from dcdbench.protocols import Operator


class ExactDenoiser(nn.Module):
    """`E[x | x + sigma n]` for signals with an analytic law, in float64; no parameters.

    Args:
        law: The law of flattened signals.
    """

    def __init__(self, law: Law) -> None:
        super().__init__()
        self.law = law
        self.sigma_data = math.sqrt(float(law.cov.diagonal().mean()))

    def forward(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        """The estimate of the signal, `(B, *)`, from `x_t`, `(B, *)`, at `sigma`, `(B,)`."""
        if A is not None:
            raise ValueError("knows signals with noise, not signals that are seen through A")
        return self.law.denoise(x_t.flatten(1), sigma).reshape(x_t.shape)
