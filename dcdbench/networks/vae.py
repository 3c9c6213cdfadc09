"""A variational autoencoder of flattened signals: what is seen to latents, latents to signals."""

from __future__ import annotations

__all__ = ["VAE", "Autoencoder"]

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from dcdbench.networks.edm import seeded

LOG_RANGE = 7.0  # widths of latents and signals are within a factor of e^7 of the data's
# A decoder that starts wide explains signals by its width, and never by latents: Lucas et al., 2019,
# https://arxiv.org/abs/1911.02469. In units of the data.
WIDTH = 0.1


@dataclass(frozen=True)
class VAE:
    """An architecture: two multilayer perceptrons, and a width per entry of the signal.

    Args:
        latent: The number of latents; 0 for as many as the signal has entries, at most 16.
        width: The number of hidden units.
        depth: The number of hidden layers.
        tied: Whether all entries of a signal have one width around its mean.
    """

    latent: int = 0
    width: int = 128
    depth: int = 2
    tied: bool = False

    def build(self, shape: tuple[int, ...], condition_channels: int, rng: torch.Generator) -> Autoencoder:
        """A fresh autoencoder, its weights drawn from `rng` alone; the condition has that many numbers."""
        d = math.prod(shape)
        return seeded(lambda: Autoencoder(d, condition_channels, self), rng)


class Autoencoder(nn.Module):
    """Both networks, in units of the data.

    Args:
        d: Entries of a signal.
        condition: Numbers that tell what was measured of it.
        law: The architecture.
    """

    location: Tensor
    scale: Tensor

    def __init__(self, d: int, condition: int, law: VAE) -> None:
        super().__init__()
        self.condition, self.latent = condition, law.latent or min(d, 16)
        self.register_buffer("location", torch.zeros(d))
        self.register_buffer("scale", torch.ones(()))
        self.encoder = layers(d + condition, 2 * self.latent, law)
        self.decoder = layers(self.latent, d, law)
        self.log_s = nn.Parameter(torch.full((1 if law.tied else d,), math.log(WIDTH)))

    def form(self) -> dict[str, float]:
        """What is needed beside the weights to build this again."""
        return {"condition": float(self.condition), "tied": float(len(self.log_s) == 1)}

    def encode(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Means and logarithms of widths of latents, `(B, latent)`, from what was brought back, `(B, d)`."""
        scaled = (x - self.location) / self.scale
        if condition is not None:
            scaled = torch.cat([scaled, condition], 1)
        mean, log_width = self.encoder(scaled).chunk(2, -1)
        return mean, LOG_RANGE * torch.tanh(log_width / LOG_RANGE)

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Means, `(*, d)`, and widths `s`, `(d,)` or `(1,)`, of signals with latents `z`, `(*, latent)`."""
        log_s = LOG_RANGE * torch.tanh(self.log_s / LOG_RANGE)
        return self.location + self.scale * self.decoder(z), self.scale * log_s.exp()


def layers(size: int, out: int, law: VAE) -> nn.Sequential:
    """Hidden layers and a linear one."""
    widths = [size] + [law.width] * law.depth
    hidden = [(nn.Linear(a, b), nn.SiLU()) for a, b in pairwise(widths)]
    return nn.Sequential(*(layer for pair in hidden for layer in pair), nn.Linear(widths[-1], out))
