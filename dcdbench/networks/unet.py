"""A modulated U-Net for images, from the library azula."""

from __future__ import annotations

__all__ = ["Block", "ImageUNet", "UNet"]

import math
from dataclasses import dataclass

import torch
from azula.nn.unet import UNet as AzulaUNet
from azula.nn.unet import UNetBlock
from torch import Tensor, nn

from dcdbench.networks import register
from dcdbench.networks.edm import seeded
from dcdbench.networks.precision import Precision, check, computing


@register("unet")
@dataclass(frozen=True)
class UNet:
    """A modulated U-Net for images, https://azula.readthedocs.io.

    Args:
        channels: Hidden channels at each resolution, from fine to coarse; each halves the size.
        blocks: Residual blocks at each resolution.
        features: Width of the embedding of the noise level.
        precision: The type of its products: `float32`, or `bfloat16`, which is faster where the processor has
            instructions for it, and has 8 significant bits. Weights and losses are float32 in both.
    """

    channels: tuple[int, ...] = (32, 64)
    blocks: int = 2
    features: int = 64
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check(self.precision)

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
        self.precision = law.precision
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
        for layers in (*self.unet.descent, *self.unet.ascent):
            for i, layer in enumerate(layers):
                if isinstance(layer, UNetBlock):
                    layers[i] = Block(layer)

    def forward(self, x: Tensor, c: Tensor, condition: Tensor | None = None) -> Tensor:
        """`(B, C, H, W)` to `(B, C, H, W)`, at `c`, `(B,)`, a transformed noise level."""
        with computing(self.precision, x):
            return self._answer(x, c, condition).to(x.dtype)

    def _answer(self, x: Tensor, c: Tensor, condition: Tensor | None) -> Tensor:
        phase = c[:, None] * self.frequencies
        mod = self.embed(torch.cat([phase.cos(), phase.sin()], 1))
        image = x if condition is None else torch.cat([x, condition], 1)
        out: Tensor = self.unet(nn.functional.pad(image, self.pad), mod)
        return out[..., : x.shape[-2], : x.shape[-1]]


class Block(UNetBlock):  # type: ignore[misc]
    r"""A block of azula, `x + c ffn((a + 1) norm(x) + b)`, with its weights under its names, in fewer passes.

    The channels of a pixel lie together in memory, where `norm` is torch's layer normalisation. Azula divides
    the sum of squares over `C` channels by `C - 1`, torch by `C`: with `k = (C - 1) / C`,

    $$(x - m) / \sqrt{v / k + \epsilon} = \sqrt{k} (x - m) / \sqrt{v + k \epsilon}.$$

    Args:
        block: The block of azula, with its own normalisation and a modulation; it gives its layers.
    """

    def __init__(self, block: UNetBlock) -> None:
        nn.Module.__init__(self)
        self.ada_zero, self.ffn = block.ada_zero, block.ffn
        self.eps: float = block.norm.eps

    def forward(self, x: Tensor, mod: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, C, H, W)`, modulated by `mod`, `(B, D)`."""
        a, b, c = self.ada_zero(mod)
        k = (x.shape[1] - 1) / x.shape[1]
        pixels = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
        norm = nn.functional.layer_norm(pixels, pixels.shape[-1:], eps=k * self.eps)
        y = self.ffn(torch.addcmul(b, math.sqrt(k) * (a + 1), norm.permute(0, 3, 1, 2)))
        return torch.addcmul(pixels.permute(0, 3, 1, 2), c, y)
