"""A modulated U-Net for images, from the library azula."""

from __future__ import annotations

__all__ = ["ImageUNet", "UNet"]

from dataclasses import dataclass

import torch
from azula.nn.unet import UNet as AzulaUNet
from torch import Tensor, nn

from dcdbench.networks import register
from dcdbench.networks.edm import seeded


@register("unet")
@dataclass(frozen=True)
class UNet:
    """A modulated U-Net for images, https://azula.readthedocs.io.

    Args:
        channels: Hidden channels at each resolution, from fine to coarse; each halves the size.
        blocks: Residual blocks at each resolution.
        features: Width of the embedding of the noise level.
    """

    channels: tuple[int, ...] = (32, 64)
    blocks: int = 2
    features: int = 64

    def build(self, shape: tuple[int, ...], condition_channels: int, rng: torch.Generator) -> ImageUNet:
        """A fresh network; the condition's channels are appended to the input's."""
        if len(shape) != 3:
            raise ValueError(f"a U-Net needs images of shape (channels, height, width), got {shape}")
        return seeded(lambda: ImageUNet(shape, condition_channels, self), rng)


class ImageUNet(nn.Module):
    """Pads images to a multiple of the coarsest cell, and embeds the noise level."""

    frequencies: Tensor

    def __init__(self, shape: tuple[int, ...], condition: int, law: UNet) -> None:
        super().__init__()
        cell = 2 ** (len(law.channels) - 1)
        self.pad = (0, -shape[2] % cell, 0, -shape[1] % cell)
        self.register_buffer("frequencies", 2 ** torch.linspace(-1, 4, 16), persistent=False)
        self.embed = nn.Sequential(
            nn.Linear(32, law.features), nn.SiLU(), nn.Linear(law.features, law.features)
        )
        self.unet = AzulaUNet(
            in_channels=shape[0] + condition,
            out_channels=shape[0],
            hid_channels=law.channels,
            hid_blocks=(law.blocks,) * len(law.channels),
            mod_features=law.features,
        )

    def forward(self, x: Tensor, c: Tensor, condition: Tensor | None = None) -> Tensor:
        """`(B, C, H, W)` to `(B, C, H, W)`, at `c`, `(B,)`, a transformed noise level."""
        phase = c[:, None] * self.frequencies
        mod = self.embed(torch.cat([phase.cos(), phase.sin()], 1))
        image = x if condition is None else torch.cat([x, condition], 1)
        out = self.unet(nn.functional.pad(image, self.pad), mod)
        return out[..., : x.shape[-2], : x.shape[-1]]
