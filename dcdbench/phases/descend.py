"""A step of a network down the gradient of its loss, or the discovery that it has diverged."""

from __future__ import annotations

__all__ = ["descend", "read"]

import math

import torch
from torch import Tensor

from dcdbench.adam import Adam
from dcdbench.phases.start import checked
from dcdbench.streams import Stream


def descend(
    optimizer: Adam,
    loss: Tensor,
    stream: Stream,
    *,
    bound: float = math.inf,
    clip: float = math.inf,
    most: float = math.inf,
    names: tuple[str, str] = ("the loss", "the gradient's norm"),
) -> tuple[float, float]:
    """One step; both numbers that are checked before it come from the device at once.

    Args:
        optimizer: That of the network.
        loss: The mean over the batch, `()`.
        stream: The address of the step.
        bound: The largest loss.
        clip: The largest norm of the gradient: a longer one is scaled to it.
        most: The largest root mean square of the step in units of the rate.
        names: What the loss and the norm are called where they are not finite.

    Returns:
        The loss, and the norm of the gradient before it was clipped.

    Raises:
        Diverged: Where one of both is not finite or the loss is above its bound; no weight has changed.
    """
    optimizer.zero_grad()
    loss.backward()
    gradient = optimizer.gradient()
    value, norm = read(loss, torch.linalg.vector_norm(gradient))
    checked(value, bound, names[0], stream)
    checked(norm, math.inf, names[1], stream)
    if norm > clip:  # else the scale is 1, and a pass over the gradient is saved
        gradient.mul_(clip / (norm + 1e-6))
    optimizer.step(gradient, most)
    return value, norm


def read(*values: Tensor) -> list[float]:
    """Some numbers, `()` each, from the device at once: each transfer waits for all that it has to do."""
    numbers: list[float] = torch.stack([v.detach() for v in values]).tolist()
    return numbers
