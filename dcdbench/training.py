"""The one training loop, and the one thing that changes while it runs: the `State`."""

from __future__ import annotations

__all__ = ["Diverged", "State", "adam", "average", "copy_of", "learning_rate", "train"]

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dcdbench.adam import Adam, flat
from dcdbench.networks.edm import Preconditioned
from dcdbench.problem import Problem
from dcdbench.protocols import Phase
from dcdbench.streams import Stream


class Diverged(ArithmeticError):
    """A loss that is not finite, or that has exploded: a result, not an error.

    Args:
        reason: What was seen.
        address: The stream address of the step, which replays it from the state before it.
    """

    def __init__(self, reason: str, address: str) -> None:
        self.reason, self.address = reason, address
        super().__init__(f"{reason} (step {address})")


@dataclass
class State:
    """What a training changes.

    Args:
        trained: The networks that are trained, by name.
        averages: Their running averages, where one is kept.
        frozen: Networks that are only evaluated.
        optimizers: One optimizer for each trained network.
        step: Steps taken.
        nimg: Images that the first network was trained on.
    """

    trained: dict[str, Any]  # modules: denoisers, and other networks that a phase trains
    optimizers: dict[str, Adam]
    averages: dict[str, Preconditioned] = field(default_factory=dict)
    frozen: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    nimg: int = 0

    def tensors(self) -> dict[str, Tensor]:
        """All that is needed to go on from here to the same bits, by name."""
        named = {"counters": torch.tensor([self.step, self.nimg])}
        for group in ("trained", "averages", "frozen"):
            for name, net in getattr(self, group).items():
                named |= {f"{group}/{name}/{k}": v for k, v in net.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            named |= {f"optimizers/{name}/{k}": v for k, v in optimizer.tensors().items()}
        return named

    def load(self, named: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave, in place."""
        self.step, self.nimg = named["counters"].tolist()
        for group in ("trained", "averages", "frozen"):
            for name, net in getattr(self, group).items():
                net.load_state_dict(_below(named, f"{group}/{name}/"))
        for name, optimizer in self.optimizers.items():
            optimizer.load(_below(named, f"optimizers/{name}/"))


def _below(named: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}


def train(phase: Phase, problem: Problem, state: State, stream: Stream) -> Iterator[dict[str, float]]:
    """Trains for ever, yielding the statistics of each step; the caller stops, saves and evaluates.

    Raises:
        Diverged: When a phase finds that its loss is not finite or has exploded.
    """
    while True:
        yield phase.step(state, problem, stream / state.step)


def adam(net: nn.Module, lr: float, beta1: float, beta2: float = 0.999) -> Adam:
    """Adam on all weights of a network."""
    return Adam(net.parameters(), lr, beta1, beta2)


def learning_rate(optimizer: Adam, lr: float, done: float, warmup: float, decay: float) -> None:
    """Sets the rate at `done`, in [0, 1]: warmed up, constant, then falling to 0 over the last `decay`."""
    rate = min(1.0, done / warmup) if warmup > 0 else 1.0
    if decay > 0:
        rate = min(rate, (1 - done) / decay)
    optimizer.lr = lr * max(rate, 0.0)


@torch.no_grad()
def average(
    mean: nn.Module, net: nn.Module, batch: int, nimg: int, halflife: float, rampup: float = 0.05
) -> None:
    """Moves `mean` towards `net`, with a half-life in images that is at most `rampup * nimg` (EDM)."""
    half = min(halflife, max(nimg, 1) * rampup)
    weight = 1 - 0.5 ** (batch / max(half, 1e-8))
    flat(list(mean.parameters())).lerp_(flat(list(net.parameters())), weight)
    if old := list(mean.buffers()):
        torch._foreach_lerp_(old, list(net.buffers()), weight)


def copy_of(net: Preconditioned, *, trained: bool) -> Preconditioned:
    """A copy of a network, with or without gradients for its parameters."""
    return deepcopy(net).requires_grad_(trained)
