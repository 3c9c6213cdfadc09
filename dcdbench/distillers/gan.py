r"""Adversarial training alone: a discriminator on views of corrupted fakes and of measurements.

Generative Adversarial Nets (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661, with the
corruption before the discriminator as in AmbientGAN (Bora et al., 2018),
https://openreview.net/forum?id=Hy7fDog0b. Both sides share the noise of the levels, so that their laws
have densities, whose ratio is finite. At the optimum of the discriminator the gradient is that of
`KL(fake || real) - 2 JS`: Towards Principled Methods for Training Generative Adversarial Networks
(Arjovsky and Bottou, 2017), https://arxiv.org/abs/1701.04862, theorem 2.5.
"""

from __future__ import annotations

__all__ = ["GAN"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.distillers import register
from dcdbench.distillers.levels import Leveled
from dcdbench.distillers.terms import fooling
from dcdbench.problem import Fake
from dcdbench.protocols import Judges


@register("gan")
@dataclass(frozen=True)
class GAN(Leveled):
    """`softplus(-D)` of a fake's view. Teacher and critic are not asked.

    Args:
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log(sigma / sigma_data)`, before the range; raised to that of the lowest level.
        p_std: The standard deviation of `log sigma`, before the range.
    """

    lr: ClassVar[float] = 3e-4

    @property
    def discriminates(self) -> bool:
        """Whether it needs a discriminator: nothing else."""
        return True

    def __call__(self, judges: Judges, fake: Fake, rng: torch.Generator) -> Tensor:
        """The generator's loss per sample, `(B,)`."""
        return fooling(judges, judges.objective.view(fake, self.sigma(judges, fake, rng), rng))
