"""Training measurements, restored by a network."""

from __future__ import annotations

__all__ = ["Restoring"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import randn_like
from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser, Samples

CHUNK = 4096  # measurements at a time


@dataclass(frozen=True)
class Restoring:
    """A network's estimates of the signals behind measurements that share their space.

    Args:
        sigma: The level that the network is asked at; 0 for the scale of the data.
        added: The standard deviation of noise that is added first, as in the training.
    """

    sigma: float = 0.0
    added: float = 0.0

    @torch.no_grad()
    def restored(self, denoiser: Denoiser, y: Tensor, rng: torch.Generator) -> Tensor:
        """The estimates, `(B, *)`, from measurements `y`."""
        level = self.sigma or denoiser.sigma_data
        if self.added > 0:
            y = y + self.added * randn_like(y, rng)
        parts = (denoiser(part, torch.full((len(part),), level).to(part)) for part in y.split(CHUNK))
        return torch.cat(list(parts))

    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` restored training measurements, without replacement as long as there are enough."""
        assert denoiser is not None
        y = problem.train.y
        order = torch.randperm(len(y), generator=rng, device=rng.device)
        return Samples(self.restored(denoiser, y[order.repeat(-(-n // len(y)))[:n]], rng), 1)
