"""The discriminator's loss: corrupted fakes against measurements, at the noise levels of the distiller."""

from __future__ import annotations

__all__ = ["discriminate"]

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dcdbench.phases.start import batch_of
from dcdbench.problem import Fake, Measurement
from dcdbench.protocols import Distiller, Judges


def discriminate(
    distiller: Distiller, judges: Judges, fake: Fake, real: Measurement, rng: torch.Generator
) -> Tensor:
    r"""`softplus(-D(real)) + softplus(D(fake))`, `(B,)`: the logistic loss, whose optimum is the log ratio.

    Both are viewed at the same levels, at each of which measurements and fakes can be seen.
    """
    assert judges.discriminator is not None
    batch = batch_of(real, len(fake), rng)
    lowest = judges.objective.lowest(batch.sigma_y)
    sigma = distiller.sigma(judges, fake, rng).clamp(min=lowest)
    logits = [judges.discriminator(judges.objective.view(m, sigma, rng)) for m in (batch, fake)]
    return softplus(-logits[0]) + softplus(logits[1])
