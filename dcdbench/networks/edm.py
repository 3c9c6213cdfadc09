r"""A network as a denoiser: the preconditioning of EDM.

Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022),
https://arxiv.org/abs/2206.00364, table 1. Written for data with mean 0, it is applied here
to data minus their overall mean.
"""

from __future__ import annotations

__all__ = ["Preconditioned", "seeded"]

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from dcdbench.batch import expand
from dcdbench.protocols import Operator

M = TypeVar("M", bound=nn.Module)


class Preconditioned(nn.Module):
    r"""`D(x_t, sigma) = c_skip x_t + c_out F(c_in x_t, log(sigma) / 4, condition)`.

    Args:
        net: `F`, called with `(B, *)`, `(B,)` and the condition `(B, *)` or None.
        location: The overall mean of the data.
        sigma_data: The overall standard deviation of the data around it.
        condition_channels: The channels of the condition that `F` is called with; 0 for none.
    """

    def __init__(
        self, net: nn.Module, location: float, sigma_data: float, condition_channels: int = 0
    ) -> None:
        super().__init__()
        self.net = net
        self.location = location
        self.sigma_data = sigma_data
        self.condition_channels = condition_channels

    def form(self) -> dict[str, float]:
        """What is needed beside the weights to build this again."""
        return {name: getattr(self, name) for name in ("location", "sigma_data", "condition_channels")}

    def forward(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        """The estimate of the signal, `(B, *)`, from `x_t`, `(B, *)`, at `sigma`, `(B,)`."""
        s, d = expand(sigma, x_t), self.sigma_data
        total = s**2 + d**2
        centred = x_t - self.location
        if A is not None:
            centred = A.restrict(centred)
        out = self.net(centred / total.sqrt(), sigma.log() / 4, None if A is None else A.condition())
        return self.location + (d**2 / total) * centred + (s * d / total.sqrt()) * out


def seeded(make: Callable[[], M], rng: torch.Generator) -> M:
    """Builds a module whose initial weights depend on `rng` alone.

    Modules of torch draw their weights from the global generator: it is lent a seed here,
    and given back as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(rng.initial_seed())
        return make()
