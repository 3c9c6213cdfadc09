"""A distiller whose loss is infinite at one address: a divergence by construction, on every processor.

Loaded as a plug-in where child processes import it. It has no name of its own, so that importing it
changes no registry; tests that need one in a suite give it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.distillers.sid import SiD
from dcdbench.problem import Fake
from dcdbench.protocols import Judges
from dcdbench.streams import Stream


@dataclass(frozen=True)
class Breaking(SiD):
    """SiD, but for one step at which its loss is infinite.

    Args:
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log(sigma / sigma_data)`, before the range.
        p_std: The standard deviation of `log sigma`, before the range.
        adversarial: The weight, `>= 0`, of the adversarial term.
        alpha: The weight of the second term.
        address: The address of the generator's step, such as `0/student/step/60/generator`; empty for none.
    """

    address: str = ""

    def __call__(self, judges: Judges, fake: Fake, rng: torch.Generator) -> Tensor:
        """The generator's loss per sample, `(B,)`; the step is recognised by the seed of its address."""
        here = bool(self.address) and rng.initial_seed() == Stream.parse(self.address).seed64()
        loss = super().__call__(judges, fake, rng)
        return loss + math.inf if here else loss
