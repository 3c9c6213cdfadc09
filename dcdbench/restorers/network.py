"""A network that was trained to restore."""

from __future__ import annotations

__all__ = ["ByNetwork"]

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dcdbench.problem import Problem
from dcdbench.samplers.restoring import Restoring
from dcdbench.streams import Stream


@dataclass(frozen=True)
class ByNetwork:
    """The estimates of the network that the phase before has trained.

    Args:
        sampler: How that network is asked.
    """

    sampler: Restoring

    def restore(self, denoiser: Any, problem: Problem, stream: Stream) -> Tensor:
        """One signal per training measurement, `(n, *signal)`."""
        y = problem.train.y
        return self.sampler.restored(denoiser, y, stream.rng(y.device))
