"""A phase that learns from measurements and, as much, from what a model makes of them."""

from __future__ import annotations

__all__ = ["Anchored"]

from dataclasses import dataclass, replace
from typing import Any

import torch

from dcdbench.phases.relearn import Pool, Relearn
from dcdbench.problem import Corruption, Problem
from dcdbench.streams import Stream
from dcdbench.training import State


@dataclass(frozen=True)
class Anchored(Relearn):
    """Samples are corrupted again, and learned from in turns with the measurements, which never change.

    The loss of the training is one of corrupted data. Each step on samples corrupts them afresh.

    Args:
        teach: The training.
        restorer: Gives the samples.
        warm: Must be false: the weights are fresh.
        lap: Which repetition this is; each has randomness of its own.
        checkpoints: Candidates of the result, >= 1; None for as many as the harness compares.
    """

    warm: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warm:
            raise ValueError("warm must be false: an anchored training starts afresh")

    def init(self, problem: Problem, parent: Any, stream: Stream) -> State:
        """Draws the samples; the weights are fresh, and their scale is that of the measurements."""
        stream = stream / self.lap
        x = self.restorer.restore(parent, problem, stream / "restore").detach()
        state = self.teach.init(problem, None, stream)
        state.frozen["pool"] = Pool(x)
        return state

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """One step on one batch, of measurements and of corrupted samples by turns."""
        stream = stream / self.lap
        if state.step % 2:
            problem = self._own(state, problem, stream / "own")
        return self.teach.step(state, problem, stream)

    def _own(self, state: State, problem: Problem, stream: Stream) -> Problem:
        """The problem whose measurements are those of a few samples, more than a batch."""
        x = state.frozen["pool"].x
        rng = stream.rng(x.device)
        few = torch.randint(len(x), (2 * self.batch,), generator=rng, device=x.device)
        return replace(problem, train=problem.corruption(x[few], rng))

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """What the training leaves."""
        return self.teach.left(corruption, shape)
