r"""Distribution matching distillation, the gradient of the reverse KL divergence.

One-step Diffusion with Distribution Matching Distillation (Yin et al., 2024),
https://arxiv.org/abs/2311.18828, without its regression term. The fake signal `u` is moved
along `g - f`, critic minus teacher; no gradient flows through the networks. With an adversarial
term it is that of Improved Distribution Matching Distillation (Yin et al., 2024),
https://arxiv.org/abs/2405.14867.
"""

from __future__ import annotations

__all__ = ["DMD", "reverse_kl"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import expand
from dcdbench.distillers import register
from dcdbench.distillers.levels import Seen, look
from dcdbench.distillers.terms import Adversarial, along, teacher_error
from dcdbench.problem import Fake
from dcdbench.protocols import Judges


@register("dmd")
@dataclass(frozen=True)
class DMD(Adversarial):
    """The DMD loss, divided per sample by the mean absolute error of the teacher.

    Args:
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log(sigma / sigma_data)`, before the range; raised to that of the lowest level.
        p_std: The standard deviation of `log sigma`, before the range.
        adversarial: The weight, `>= 0`, of the adversarial term; without it no discriminator is trained.
    """

    def __call__(self, judges: Judges, fake: Fake, rng: torch.Generator) -> Tensor:
        """The generator's loss per sample, `(B,)`: its value is `u` times the constant direction."""
        seen = look(judges, fake, self.sigma(judges, fake, rng), rng, grad=False)
        return self.joined(reverse_kl(seen), judges, seen.view)


def reverse_kl(seen: Seen) -> Tensor:
    """The loss, `(B,)`, that moves `u` along critic minus teacher, in units of the teacher's error."""
    return along((seen.critic - seen.teacher) / expand(teacher_error(seen), seen.u), seen)
