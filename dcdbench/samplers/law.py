"""Draws of a law that was fitted."""

from __future__ import annotations

__all__ = ["FromLaw"]

from dataclasses import dataclass
from typing import Any

import torch

from dcdbench.problem import Problem
from dcdbench.protocols import Samples


@dataclass(frozen=True)
class FromLaw:
    """Independent draws of the law of a module that has a method `law`."""

    @torch.no_grad()
    def sample(self, denoiser: Any, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, on the device of `rng`."""
        x = denoiser.law().sample(n, rng)
        return Samples(x.float().reshape(n, *problem.shape), 1)
