"""What restoring by linear algebra starts from: operators as matrices, and the size of signals."""

from __future__ import annotations

__all__ = ["START", "matrices", "power"]

import math

import torch
from torch import Tensor

from dcdbench.problem import Measurement

START = 0.1  # of the signals' power: directions that A hides keep about the variance that they start with


def power(m: Measurement, rng: torch.Generator) -> float:
    """The mean square of a signal's entries, were signals white."""
    white = torch.randn(len(m), *m.shape, generator=rng, device=rng.device, dtype=m.y.dtype)
    return max(float(m.y.square().mean() / m.A(white).square().mean().clamp(min=1e-12)), 1e-8)


def matrices(m: Measurement) -> Tensor:
    """The operators as matrices, `(n, m, d)`, in the type of the measurements, column by column."""
    n, d = len(m), math.prod(m.shape)
    unit = torch.eye(d).to(m.y).reshape(d, *m.shape)
    return torch.stack([m.A(e.expand(n, *m.shape)).flatten(1) for e in unit], 2)
