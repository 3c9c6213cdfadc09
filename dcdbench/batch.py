"""Small helpers for batches of tensors whose first axis counts samples."""

from __future__ import annotations

__all__ = ["expand", "mean_per_sample", "randn_like"]

import torch
from torch import Tensor


def expand(s: Tensor, x: Tensor) -> Tensor:
    """Views a per-sample scalar `s`, with shape `(B,)`, so that it broadcasts over `x`."""
    return s.reshape(-1, *(1,) * (x.ndim - 1))


def mean_per_sample(x: Tensor) -> Tensor:
    """The mean over all axes but the first: `(B, *)` to `(B,)`."""
    return x.flatten(1).mean(1)


def randn_like(x: Tensor, rng: torch.Generator) -> Tensor:
    """Standard normal numbers with the shape, dtype and device of `x`."""
    return torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)
