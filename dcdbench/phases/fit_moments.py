"""A Gaussian with the moments of the measurements, less those of the noise."""

from __future__ import annotations

__all__ = ["FitMoments"]

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from dcdbench.networks.mixture import Moments
from dcdbench.phases.explicit import Diagonal, explicit
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Network
from dcdbench.samplers.law import FromLaw
from dcdbench.streams import Stream
from dcdbench.training import State


@dataclass(frozen=True)
class FitMoments:
    """Sums moments over the measurements, each taken once; what is left of the budget changes nothing.

    Args:
        network: Not used: the law has no network.
        kimg: Thousands of measurements to take in at most.
        batch: Measurements per step.
        rank: That of the covariance; 0 for as many directions as stand out of the errors.
    """

    network: Network
    kimg: float
    batch: int = 256
    rank: int = 0

    kind: ClassVar[str] = "student"
    needs_clean: ClassVar[bool] = False

    def init(self, problem: Problem, parent: Any, stream: Stream) -> State:
        """No measurement yet."""
        model = Moments(math.prod(problem.shape), problem.corruption.sigma_y, self.rank)
        return State({"law": model.to(problem.train.y.device)}, {})

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """The next measurements, as long as there are any."""
        m = problem.train[state.nimg : state.nimg + self.batch]
        if len(m) > 0:
            operator = explicit(m, problem.corruption)
            assert isinstance(operator, Diagonal)
            state.trained["law"].add(m.y.flatten(1), operator.seen)
        state.step += 1
        state.nimg += self.batch
        return {"left": float(max(0, len(problem.train) - state.nimg))}

    def result(self, state: State) -> Moments:
        """The sums, which tell the law."""
        return state.trained["law"]

    def empty(self, shape: tuple[int, ...], form: dict[str, float]) -> Moments:
        """A module for sums that were stored."""
        return Moments(math.prod(shape), form["sigma_y"], int(form["rank"]))

    def preview(self, sigma_y: float) -> FromLaw:
        """The sampler by which checkpoints are compared."""
        return FromLaw()

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """All of it: the law is that of signals."""
        return corruption
