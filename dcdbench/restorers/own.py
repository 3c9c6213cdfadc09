"""No measurements at all: a model's own samples."""

from __future__ import annotations

__all__ = ["Own"]

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dcdbench.problem import Problem
from dcdbench.protocols import Sampler
from dcdbench.streams import Stream


@dataclass(frozen=True)
class Own:
    """As many samples of the phase before as there are training measurements.

    Args:
        sampler: How that phase is sampled.
    """

    sampler: Sampler

    def restore(self, denoiser: Any, problem: Problem, stream: Stream) -> Tensor:
        """`(n, *signal)`."""
        m = problem.train
        return self.sampler.sample(denoiser, problem, len(m), stream.rng(m.y.device)).x
