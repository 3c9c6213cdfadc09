r"""Score distillation sampling: a negative control, which collapses to modes.

DreamFusion: Text-to-3D using 2D Diffusion (Poole et al., 2022), https://arxiv.org/abs/2209.14988.
The fake signal `u` is moved along `u - f`: the true noise stands where DMD has the critic's estimate.
What is left of the reverse KL divergence is the cross-entropy, `-E log p(x_t)` under the teacher's
law: the entropy, which keeps a generator from collapsing, has no gradient here.
"""

from __future__ import annotations

__all__ = ["SDS"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import expand
from dcdbench.distillers import register
from dcdbench.distillers.levels import Leveled, look
from dcdbench.distillers.terms import along, teacher_error
from dcdbench.problem import Fake
from dcdbench.protocols import Judges


@register("sds")
@dataclass(frozen=True)
class SDS(Leveled):
    """The SDS loss, divided as in DMD by the mean absolute error of the teacher.

    It differs from DMD in the critic alone, which is trained here and not asked.

    Args:
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log(sigma / sigma_data)`, before the range; raised to that of the lowest level.
        p_std: The standard deviation of `log sigma`, before the range.
    """

    def __call__(self, judges: Judges, fake: Fake, rng: torch.Generator) -> Tensor:
        """The generator's loss per sample, `(B,)`: its value is `u` times the constant direction."""
        seen = look(judges, fake, self.sigma(judges, fake, rng), rng, grad=False)
        return along((seen.u - seen.teacher) / expand(teacher_error(seen), seen.u), seen)
