"""A critic: a number per measurement, without bounds."""

from __future__ import annotations

__all__ = ["Critic"]

import torch
from torch import Tensor, nn

from dcdbench.batch import mean_per_sample


class Critic(nn.Module):
    """The mean of the output of a denoiser's network at noise level 1, on inputs of about unit size.

    Args:
        net: `F`, called with `(B, *)`, `(B,)` and the condition `(B, *)` or None.
        location: The overall mean of the inputs.
        scale: Their overall standard deviation.
    """

    def __init__(self, net: nn.Module, location: float, scale: float) -> None:
        super().__init__()
        self.net, self.location, self.scale = net, location, scale

    def scaled(self, x: Tensor) -> Tensor:
        """Inputs, `(B, *)`, in the units that `forward` takes."""
        return (x - self.location) / self.scale

    def forward(self, scaled: Tensor, condition: Tensor | None = None) -> Tensor:
        """The number, `(B,)`, of inputs in units of their scale, `(B, *)`."""
        level = torch.zeros(len(scaled), device=scaled.device, dtype=scaled.dtype)
        return mean_per_sample(self.net(scaled, level, condition))
