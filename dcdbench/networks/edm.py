r"""A network as a denoiser: the preconditioning of EDM.

Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022),
https://arxiv.org/abs/2206.00364, table 1. Written for data with mean 0, it is applied here
to data minus their overall mean; and for data of standard deviation 0.5, whose level `sigma` is
`2 sigma` here, in units of the data.
"""

from __future__ import annotations

__all__ = ["Preconditioned", "seeded", "shown"]

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from dcdbench.batch import expand
from dcdbench.protocols import Operator

M = TypeVar("M", bound=nn.Module)


class Preconditioned(nn.Module):
    r"""`D(x_t, sigma) = c_skip x_t + c_out F(c_in x_t, log(sigma / sigma_data) / 4, condition)`.

    The network is told noise levels in units of `sigma_data` too, so that it does not depend on the data's.

    A denoiser that is shown a draw of A sees `x_t` through it, as `A.back(A(x_t))`. What A does not show
    stays uncertain at low noise, where `c_out` vanishes: there `F` counts by `sigma_data` instead. (So it
    does in part along an eigenvector of `A.back(A(.))` whose value is below 1. Were it above 1, the two
    would cancel at one level, and `F` count for nothing: `A.back` is to be scaled such that none is.)

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
        centred = self._centred(x_t, A)
        out = self._network(centred / total.sqrt(), sigma, A)
        seen = out if A is None else A.back(A(out))
        estimate = self.location + d**2 / total * centred + s * d / total.sqrt() * seen
        return estimate if A is None else estimate + d * (out - seen)

    def features(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        """The network's own output `F`, `(B, *)`."""
        total = expand(sigma, x_t) ** 2 + self.sigma_data**2
        return self._network(self._centred(x_t, A) / total.sqrt(), sigma, A)

    def _network(self, scaled: Tensor, sigma: Tensor, A: Operator | None) -> Tensor:
        out: Tensor = self.net(
            scaled, (sigma / self.sigma_data).log() / 4, None if A is None else shown(A, scaled)
        )
        return out

    def _centred(self, x_t: Tensor, A: Operator | None) -> Tensor:
        if A is None:
            return x_t - self.location
        return x_t - A.back(A(torch.full_like(x_t, self.location))) if self.location else x_t


def shown(A: Operator, x: Tensor) -> Tensor | None:
    """The condition of A, `(B, k)` for vectors and `(B, C, H, W)` for images like `x`."""
    condition = A.condition()
    if condition is None or x.ndim == 2:
        return condition
    return condition.expand(-1, -1, *x.shape[2:])


def seeded(make: Callable[[], M], rng: torch.Generator) -> M:
    """Builds a module whose initial weights depend on `rng` alone.

    Modules of torch draw their weights from the global generator: it is lent a seed here,
    and given back as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(rng.initial_seed())
        return make()
