"""A denoiser that carries the few clean signals which its training was granted."""

from __future__ import annotations

__all__ = ["Granted"]

from torch import Tensor

from dcdbench.networks.edm import Preconditioned


class Granted(Preconditioned):
    """A preconditioned network beside the clean signals that it was trained on.

    Later trainings are given no clean data: these signals reach them with the network that they start from.

    Args:
        inner: The denoiser, whose network becomes this one's.
        signals: The clean signals, `(n, *signal)`: a buffer, which no training changes.
    """

    granted: Tensor

    def __init__(self, inner: Preconditioned, signals: Tensor) -> None:
        super().__init__(inner.net, inner.location, inner.sigma_data, inner.condition_channels)
        self.register_buffer("granted", signals)

    def form(self) -> dict[str, float]:
        """What is needed beside the weights to build this again: the number of signals, too."""
        return super().form() | {"granted": len(self.granted)}
