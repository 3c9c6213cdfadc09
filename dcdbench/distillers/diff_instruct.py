r"""Diff-Instruct: the gradient of the reverse KL divergence, each level by the same weight.

Diff-Instruct: A Universal Approach for Transferring Knowledge from Pre-trained Diffusion Models
(Luo et al., 2023), https://arxiv.org/abs/2305.18455. The fake signal `u` is moved along `w (g - f)`,
critic minus teacher, with `w = 1`. Denoisers differ by `sigma^2` times what scores do: in the form of
scores this is the weight `sigma^2`.
"""

from __future__ import annotations

__all__ = ["DiffInstruct"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.distillers import register
from dcdbench.distillers.levels import Leveled, look
from dcdbench.distillers.terms import along
from dcdbench.problem import Fake
from dcdbench.protocols import Judges


@register("diff_instruct")
@dataclass(frozen=True)
class DiffInstruct(Leveled):
    """The loss of DMD without its normalisation, so that levels count by how far critic and teacher differ.

    Args:
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log(sigma / sigma_data)`, before the range; raised to that of the lowest level.
        p_std: The standard deviation of `log sigma`, before the range.
    """

    def __call__(self, judges: Judges, fake: Fake, rng: torch.Generator) -> Tensor:
        """The generator's loss per sample, `(B,)`: its value is `u` times the constant direction."""
        seen = look(judges, fake, self.sigma(judges, fake, rng), rng, grad=False)
        return along(seen.critic - seen.teacher, seen)
