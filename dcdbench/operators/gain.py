"""How much `A.back(A(.))` amplifies signals at most, and what makes up for it."""

from __future__ import annotations

__all__ = ["contracts", "excess", "gain", "scale"]

import torch
from torch import Tensor

from dcdbench.batch import expand
from dcdbench.protocols import Operator

STEPS = 200
MARGIN = 1.01  # power iteration stays below what it estimates
TOLERANCE = 1e-3  # of a gain of 1, which is no excess


def contracts(A: Operator) -> bool:
    """Whether no signal gains in size in `A.back(A(.))`, as draws state that do."""
    return bool(getattr(A, "contracts", True))


def gain(A: Operator, signal: Tensor) -> Tensor:
    """A bound of the eigenvalues of `A.back(A(.))`, at least 1, `(n,)`; draws that do not contract state one.

    Args:
        A: Linear draws.
        signal: `(n, 0, *shape)`: the shape of signals, and where they are.
    """
    if contracts(A):
        return torch.ones(len(signal), device=signal.device)
    bound: Tensor = A.gain(signal)  # type: ignore[attr-defined]
    return bound.to(signal).clamp(min=1).expand(len(signal)).clone()


def scale(A: Operator, signal: Tensor) -> Tensor | None:
    """What `A.back` is to be divided by so that it amplifies no signal, `(n,)`; None for 1."""
    return None if contracts(A) or not A.linear or not len(signal) else gain(A, signal)


@torch.no_grad()
def excess(A: Operator, signal: Tensor) -> Tensor:
    """The largest eigenvalue of `A.back(A(.))` of each draw, `(n,)`, and 1 exactly where it is at most 1.

    By power iteration, from the same signal for all draws: for those of which nothing is known.

    Args:
        A: Linear draws.
        signal: `(n, 0, *shape)`: the shape of signals, and where they are.
    """
    n, _, *shape = signal.shape
    start = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    x = start.to(signal.device).expand(n, *shape)
    found = torch.ones(n, device=signal.device)
    for _ in range(STEPS):
        x = x / expand(x.flatten(1).norm(dim=1).clamp(min=1e-30), x)
        x = A.back(A(x))
        found = x.flatten(1).norm(dim=1)
    return torch.where(found > 1 + TOLERANCE, MARGIN * found, 1.0)
