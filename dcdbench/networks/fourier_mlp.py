"""A multilayer perceptron on random Fourier features, for vectors of few dimensions.

Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains (Tancik
et al., 2020), https://arxiv.org/abs/2006.10739.
"""

from __future__ import annotations

__all__ = ["FourierMLP", "OnFeatures"]

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dcdbench.networks import register
from dcdbench.networks.edm import seeded
from dcdbench.networks.mlp import ResidualMLP


@register("fourier_mlp")
@dataclass(frozen=True)
class FourierMLP:
    """A residual multilayer perceptron that also sees random Fourier features of its input.

    Args:
        width: The number of hidden units.
        depth: The number of residual blocks.
        features: The number of random directions, each of which gives a cosine and a sine.
        scale: The standard deviation of the directions, in radians per unit of the scaled input.
    """

    width: int = 96
    depth: int = 2
    features: int = 32
    scale: float = 1.5

    def __post_init__(self) -> None:
        for name in ("width", "depth", "features"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not self.scale > 0:
            raise ValueError(f"scale must be > 0, got {self.scale}")

    def build(self, shape: tuple[int, ...], condition_channels: int, rng: torch.Generator) -> OnFeatures:
        """A fresh network for vectors; a condition is appended to the features."""
        if len(shape) != 1:
            raise ValueError(f"fourier_mlp needs vectors, got signals of shape {shape}")
        return seeded(lambda: OnFeatures(shape[0], condition_channels, self), rng)


class OnFeatures(nn.Module):
    """`F(x, cos(W x), sin(W x), condition)`, with `W` drawn once and stored with the weights."""

    directions: Tensor

    def __init__(self, size: int, condition: int, law: FourierMLP) -> None:
        super().__init__()
        self.register_buffer("directions", law.scale * torch.randn(size, law.features))
        self.mlp = ResidualMLP(size, 2 * law.features + condition, law.width, law.depth)

    def forward(self, x: Tensor, c: Tensor, condition: Tensor | None = None) -> Tensor:
        """`(B, d)` to `(B, d)`, at `c`, `(B,)`, a transformed noise level."""
        phase = x @ self.directions
        seen = [phase.cos(), phase.sin()] + ([] if condition is None else [condition])
        out: Tensor = self.mlp(x, c, torch.cat(seen, 1))
        return out
