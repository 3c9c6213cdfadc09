"""Phase I on a few clean signals: what a method learns from that is granted no more of them."""

from __future__ import annotations

__all__ = ["Few"]

from dataclasses import dataclass
from typing import Any

import torch

from dcdbench.networks.granted import Granted
from dcdbench.phases.relearn import Pool
from dcdbench.phases.start import on_clean
from dcdbench.phases.teach import Teach
from dcdbench.problem import Problem
from dcdbench.streams import Stream
from dcdbench.training import State


@dataclass(frozen=True)
class Few(Teach):
    """A diffusion model of so many clean signals, drawn once; the others are never looked at.

    Fewer signals are the first of more, so that two such trainings differ in their number alone. The result
    carries them to the trainings that go on from it (`Granted`), which are given no other clean data.

    Args:
        objective: The loss.
        network: The architecture.
        kimg: Thousands of images to train on.
        batch: Images per step.
        lr: The learning rate of Adam: warmed up over 1 %, and brought to 0 over the last `decay`.
        decay: The share of the training in which the rate falls.
        halflife_kimg: That of the running average of the weights, which is the result.
        clip: The largest norm of the gradient.
        needs_clean: Must be true.
        signals: How many, >= 2.
    """

    needs_clean: bool = True
    signals: int = 50

    def __post_init__(self) -> None:
        if not self.needs_clean:
            raise ValueError("needs_clean must be true: it trains on clean signals")
        if self.signals < 2:
            raise ValueError(f"signals must be >= 2, got {self.signals}: one has no scale")

    def init(self, problem: Problem, parent: Any, stream: Stream) -> State:
        """Draws the signals; fresh weights, scaled to them."""
        x = problem.train.y
        if self.signals > len(x):
            raise ValueError(f"{self.signals} clean signals are to be drawn, and there are {len(x)}")
        order = torch.randperm(len(x), generator=(stream / "few").rng())
        pool = Pool(x[order[: self.signals].to(x.device)])
        state = super().init(on_clean(problem, pool.x), parent, stream)
        state.frozen["pool"] = pool
        for nets in (state.trained, state.averages):
            nets["denoiser"] = Granted(nets["denoiser"], pool.x)
        return state

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """One step on one batch of those that were drawn."""
        return super().step(state, on_clean(problem, state.frozen["pool"].x), stream)
