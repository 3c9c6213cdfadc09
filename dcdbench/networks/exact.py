"""The exact denoiser of a law: a denoiser without a network."""

from __future__ import annotations

__all__ = ["ExactDenoiser"]

import math

import torch
from torch import Tensor, nn

from dcdbench.analytic import Law
from dcdbench.masked import filled
from dcdbench.protocols import Operator


class ExactDenoiser(nn.Module):
    """`E[x | x + sigma n]` for signals with an analytic law, in float64; no parameters.

    Shown a draw of masks, it is `E[x | A x + sigma A n, A]`.

    Args:
        law: The law of flattened signals.
    """

    def __init__(self, law: Law) -> None:
        super().__init__()
        self.law = law
        self.sigma_data = math.sqrt(float(law.cov.diagonal().mean()))

    def forward(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        """The estimate of the signal, `(B, *)`, from `x_t`, `(B, *)`, at `sigma`, `(B,)`."""
        flat = x_t.flatten(1)
        if A is None:
            return self.law.denoise(flat, sigma).reshape(x_t.shape)
        return filled(self.law, flat, _mask(A, x_t).flatten(1), sigma).reshape(x_t.shape)


def _mask(A: Operator, x: Tensor) -> Tensor:
    """1 where a draw of masks shows an entry of signals like `x`, 0 elsewhere, `(B, *)`."""
    shown = A.condition()
    if shown is None or shown.ndim != x.ndim or not torch.equal(A(x), shown * x):
        raise ValueError(f"knows signals that are seen through masks, and {type(A).__name__} is none")
    return shown.expand_as(x)
