"""A residual multilayer perceptron on flattened signals."""

from __future__ import annotations

__all__ = ["MLP", "ResidualMLP"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dcdbench.networks import register
from dcdbench.networks.edm import seeded
from dcdbench.networks.precision import Precision, check, computing


@register("mlp")
@dataclass(frozen=True)
class MLP:
    """A residual multilayer perceptron on flattened signals.

    Args:
        width: The number of hidden units.
        depth: The number of residual blocks, of two layers each.
        precision: The type of its products: `float32`, or `bfloat16`, which is faster where the processor has
            instructions for it, and has 8 significant bits. Weights and losses are float32 in both.
    """

    width: int = 256
    depth: int = 3
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check(self.precision)
        if self.width < 1 or self.depth < 1:
            raise ValueError(f"width and depth must be >= 1, got {self.width} and {self.depth}")

    def build(self, shape: tuple[int, ...], condition_channels: int, rng: torch.Generator) -> ResidualMLP:
        """A fresh network; the condition is flattened and appended to the input."""
        condition = condition_channels * math.prod(shape[1:])
        net = seeded(lambda: ResidualMLP(math.prod(shape), condition, self.width, self.depth), rng)
        net.precision = self.precision
        return net


class ResidualMLP(nn.Module):
    """Blocks `h <- h + L2 silu(L1 norm(h) + E emb(c))` between two linear layers.

    Args:
        size: Numbers per signal.
        condition: Numbers per condition.
        width: Hidden units.
        depth: Residual blocks.
        frequencies: Fourier features of the noise level.
    """

    frequencies: Tensor
    precision: Precision = "float32"

    def __init__(self, size: int, condition: int, width: int, depth: int, frequencies: int = 16) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2 ** torch.linspace(-1, 4, frequencies), persistent=False)
        self.embed = nn.Linear(2 * frequencies, width)
        self.first = nn.Linear(size + condition, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.last = nn.Linear(width, size)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, c: Tensor, condition: Tensor | None = None) -> Tensor:
        """`(B, *)` to `(B, *)`, at `c`, `(B,)`, a transformed noise level."""
        with computing(self.precision, x):
            return self._answer(x, c, condition).to(x.dtype)

    def _answer(self, x: Tensor, c: Tensor, condition: Tensor | None) -> Tensor:
        phase = c[:, None] * self.frequencies
        emb = nn.functional.silu(self.embed(torch.cat([phase.cos(), phase.sin()], 1)))
        flat = x.flatten(1)
        if condition is not None:
            flat = torch.cat([flat, condition.flatten(1)], 1)
        h = self.first(flat)
        for block in self.blocks:
            h = block(h, emb)
        out: Tensor = self.last(nn.functional.silu(h))
        return out.reshape(x.shape)


class Block(nn.Module):
    """A residual block of two layers, shifted by the embedding of the noise level.

    Sums are left to the matrix products, which add in place: on a CPU each pass over the
    activations that is saved counts.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.one = nn.Linear(width, width)
        self.shift = nn.Linear(width, width, bias=False)
        self.two = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.two.weight)

    def forward(self, h: Tensor, emb: Tensor) -> Tensor:
        """`(B, width)` to `(B, width)`."""
        a = torch.addmm(self.one(self.norm(h)), emb, self.shift.weight.t())
        return torch.addmm(h, nn.functional.silu(a), self.two.weight.t())
