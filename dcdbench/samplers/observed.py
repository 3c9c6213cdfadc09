"""No model at all: the measurements."""

from __future__ import annotations

__all__ = ["Observed"]

from dataclasses import dataclass

import torch

from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser, Samples


@dataclass(frozen=True)
class Observed:
    """No model: measurements of the training set, as they are or, where they are no signals, brought back."""

    @torch.no_grad()
    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, without replacement as long as there are enough."""
        m = problem.train
        order = torch.randperm(len(m), generator=rng, device=rng.device)
        index = order.repeat(-(-n // len(m)))[:n]
        chosen = m[index]
        back = chosen.apart or problem.corruption.operator.masks
        return Samples(chosen.A.back(chosen.y) if back else chosen.y, 0)
