"""A network that tells views of measurements from views of corrupted fakes."""

from __future__ import annotations

__all__ = ["Discriminator"]

from torch import Tensor, nn

from dcdbench.batch import mean_per_sample
from dcdbench.networks.edm import Preconditioned
from dcdbench.protocols import View


class Discriminator(nn.Module):
    """A logit per view: the mean of the output of a denoiser's network, which is 0 at the start.

    Args:
        denoiser: A fresh denoiser, whose network and scaling serve here.
    """

    def __init__(self, denoiser: Preconditioned) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, view: View) -> Tensor:
        """The logit, `(B,)`, that a view is one of real measurements."""
        return mean_per_sample(self.denoiser.features(view.shown(), view.sigma, view.A))
