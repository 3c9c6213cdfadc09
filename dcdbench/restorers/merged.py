"""Restored signals, merged with the clean ones that the first training was granted."""

from __future__ import annotations

__all__ = ["Merged"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.networks.granted import Granted
from dcdbench.problem import Problem
from dcdbench.protocols import Denoiser
from dcdbench.restorers.backward import Backward
from dcdbench.streams import Stream


@dataclass(frozen=True)
class Merged:
    """The union of a few clean signals and of all restored ones, each signal counting as much as any other.

    So the authors of SFBD train: after each round of denoising the clean data set and the denoised one are
    merged into one directory, https://github.com/watml/SFBD.

    Args:
        restorer: Gives the restored signals.
    """

    restorer: Backward

    @property
    def steps(self) -> int:
        """Those of the restorer."""
        return self.restorer.steps

    def restore(self, denoiser: Denoiser, problem: Problem, stream: Stream) -> Tensor:
        """The clean signals, then one signal per training measurement, `(k + n, *signal)`.

        Raises:
            TypeError: The denoiser carries no clean signals.
        """
        if not isinstance(denoiser, Granted):
            raise TypeError(
                f"clean signals come with a denoiser of type Granted, got {type(denoiser).__name__}"
            )
        x = self.restorer.restore(denoiser, problem, stream)
        return torch.cat([denoiser.granted.to(x), x])
