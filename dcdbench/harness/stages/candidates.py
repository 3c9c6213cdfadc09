"""How the candidates along a training are sampled and compared with held-out measurements.

They are compared by the energy distance between their fakes and the measurements, so that no clean data are
needed. Fakes are corrupted samples or, where a trajectory ends at the lowest noise level that was trained,
the samples at that level, which have the law of measurements at it. Samples that even a perfect training
would give another law than that of signals are compared with that law (`ideal` of a phase). All candidates
share their random numbers. A few steps of a sampler and a few hundred fakes order candidates as many do, so
that the comparison is held to a share of the training's operations (see `selection.effort`).
"""

from __future__ import annotations

__all__ = ["Candidates", "coarse"]

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor

from dcdbench.harness.operations import Operations
from dcdbench.metrics.measurement import compared
from dcdbench.problem import Problem
from dcdbench.protocols import Phase, Samples
from dcdbench.selection import Comparison, Effort, compare, effort
from dcdbench.streams import Stream
from dcdbench.training import State

STEPS, TOP = 12, 20.0  # of a sampler, at most, and where it starts, in standard deviations of the data
FEW = 2  # fakes whose operations are counted: these are proportional to them


def coarse(sampler: Any) -> Any:
    """The same sampler with at most 12 steps, where its network calls are counted by them.

    It starts where data are 1 part in 400 of the variance: 12 steps from there err as 18 from the usual start
    do, by a tenth of the variance down to no noise, and by a thirtieth down to half of the data's.
    """
    steps = getattr(sampler, "steps", None)
    if not isinstance(steps, int) or steps <= STEPS or hasattr(sampler, "calls"):
        return sampler
    start = {"sigma_max": min(TOP, sampler.sigma_max)} if hasattr(sampler, "sigma_max") else {}
    return replace(sampler, steps=STEPS, **start)


@dataclass(frozen=True)
class Candidates:
    """Samples and compares candidates.

    Args:
        phase: The training.
        problem: Its measurements, of which `val` are held out.
        stream: The randomness of the stage.
        device: Where to compute.
    """

    phase: Phase
    problem: Problem
    stream: Stream
    device: str

    @cached_property
    def sampler(self) -> Any:
        """What gives the fakes."""
        return coarse(self.phase.preview(self.problem.corruption.sigma_y))

    def effort(self, net: Any, training: float, most: int) -> Effort:
        """How many candidates there are, of how many fakes, for a training of so many operations."""
        with Operations() as counter:
            self.sampler.sample(net, self.problem, FEW, (self.stream / "count").rng(self.device))
        entries = prod(self.problem.shape)
        return effort(training, counter.total / FEW, len(self.problem.val), entries, most)

    def candidate(self, state: State, found: Effort) -> tuple[Comparison | None, Tensor]:
        """The comparison of a candidate, and its samples `(fakes, *signal)`; None if one is not finite."""
        net = self.phase.result(state)
        drawn = self.sampler.sample(net, self.problem, found.fakes, self._rng("candidates"))
        finite = bool(torch.isfinite(drawn.x).all())
        return (self._compared(state, drawn, found.points) if finite else None), drawn.x.cpu()

    def _compared(self, state: State, drawn: Samples, points: int) -> Comparison:
        rng, val = self._rng("choice"), self.problem.val[:points]
        if ideal := getattr(self.phase, "ideal", None):
            return compare([drawn.x.flatten(1)], ideal(state, val, rng).flatten(1))
        if drawn.view is not None:
            sigma = drawn.view.sigma[:1].expand(len(val))
            real = self.sampler.objective.view(val, sigma, rng)
            return compare([drawn.view.shown().flatten(1)], real.shown().flatten(1))
        left = self.phase.left(self.problem.corruption, self.problem.shape)
        return compared(drawn.x, val, left, rng, draws=1)

    def _rng(self, name: str) -> torch.Generator:
        return (self.stream / name).rng(self.device)
