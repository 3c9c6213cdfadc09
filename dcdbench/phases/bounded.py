"""Steps of Adam that are no larger than usual, whatever one gradient asks for."""

from __future__ import annotations

__all__ = ["bounded_step", "size"]

import math

import torch


def bounded_step(optimizer: torch.optim.Adam, most: float) -> None:
    """One step, made shorter where it would move weights by more than `most` rates in root mean square.

    Update clipping (Shazeer and Stern, 2018, https://arxiv.org/abs/1804.04235, section 6): clipping gradients
    does not help, since Adam divides by their size in each direction.

    Args:
        optimizer: Adam without a first moment, so that a step is `rate * g / sqrt(v)`.
        most: `> 0`, or inf for no bound; usual steps have about 1.
    """
    if math.isinf(most):
        optimizer.step()
        return
    excess = max(size(optimizer) / most, 1.0)
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] /= excess
    optimizer.step()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


@torch.no_grad()
def size(optimizer: torch.optim.Adam) -> float:
    """The root mean square, over all weights, of the next step in units of the rate."""
    total, count = 0.0, 0
    for group in optimizer.param_groups:
        beta2 = group["betas"][1]
        grads = [p.grad for p in group["params"] if p.grad is not None]
        squares = torch._foreach_mul(grads, grads)
        slots = [optimizer.state.get(p, {}) for p in group["params"] if p.grad is not None]
        steps = 1 + max((float(slot["step"]) for slot in slots if slot), default=0.0)
        second = [
            torch.lerp(slot["exp_avg_sq"], square, 1 - beta2) if slot else (1 - beta2) * square
            for slot, square in zip(slots, squares, strict=True)
        ]
        for square, v in zip(squares, second, strict=True):
            root = (v / (1 - beta2**steps)).sqrt_().add_(group["eps"])
            total += float((square / root.square_()).sum())
            count += square.numel()
    return math.sqrt(total / max(count, 1))
