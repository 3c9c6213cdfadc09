r"""Score identity distillation.

Score identity Distillation (Zhou et al., 2024), https://arxiv.org/abs/2404.04057, in the
form of denoisers: with `f` the teacher's estimate, `g` the critic's and `u` the fake signal,
`(f - g)^T [(f - u) - alpha (f - g)]`, where gradients flow through both networks to `x_t`.
`alpha = 1/2` is half the exact gradient of the Fisher divergence. What draws a generator in that is too
wide fades with its width at `alpha = 1`, so that a lagging critic cannot hold it, and for `alpha > 1` it
is pushed wider. With an adversarial term it is that of
Adversarial Score identity Distillation (Zhou et al., 2024), https://arxiv.org/abs/2410.14919.
"""

from __future__ import annotations

__all__ = ["SiD"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.batch import expand, mean_per_sample
from dcdbench.distillers import register
from dcdbench.distillers.levels import look
from dcdbench.distillers.terms import Adversarial, teacher_error
from dcdbench.problem import Fake
from dcdbench.protocols import Judges


@register("sid")
@dataclass(frozen=True)
class SiD(Adversarial):
    """The SiD loss, divided per sample by the mean absolute error of the teacher.

    Args:
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log(sigma / sigma_data)`, before the range; raised to that of the lowest level.
        p_std: The standard deviation of `log sigma`, before the range.
        adversarial: The weight, `>= 0`, of the adversarial term; without it no discriminator is trained.
        alpha: The weight of the second term.
    """

    alpha: float = 1.0

    lr: ClassVar[float] = 3e-3

    def __call__(self, judges: Judges, fake: Fake, rng: torch.Generator) -> Tensor:
        """The generator's loss per sample, `(B,)`."""
        seen = look(judges, fake, self.sigma(judges, fake, rng), rng, grad=True)
        gap, error = seen.teacher - seen.critic, seen.teacher - seen.u
        scale = expand(teacher_error(seen), gap)
        return self.joined(mean_per_sample(gap * (error - self.alpha * gap) / scale), judges, seen.view)
