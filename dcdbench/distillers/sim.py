r"""Score implicit matching: SiD's update with `alpha = 1`, for other distances between scores.

One-Step Diffusion Distillation through Score Implicit Matching (Luo et al., 2024),
https://arxiv.org/abs/2410.16794, in the form of denoisers: with `f` the teacher's estimate, `g` the critic's
and `u` the fake signal, `-d'(g - f)^T (g - u)`, where gradients flow through both networks to `x_t`. It is
the gradient of `E d(g - f)` in which the samples stay where they are.
"""

from __future__ import annotations

__all__ = ["SiM"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import expand, mean_per_sample
from dcdbench.distillers import register
from dcdbench.distillers.levels import Leveled, look
from dcdbench.distillers.terms import teacher_error
from dcdbench.problem import Fake
from dcdbench.protocols import Judges


@register("sim")
@dataclass(frozen=True)
class SiM(Leveled):
    r"""The SiM loss, with the pseudo-Huber distance or the squared one.

    The pseudo-Huber distance, `d(y) = sqrt(|y|^2 + c^2) - c`, weights a sample by `1 / sqrt(|y|^2 + c^2)`,
    and needs no other normalisation. The squared distance, `|y|^2 / 2`, has that of SiD.

    Args:
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log(sigma / sigma_data)`, before the range; raised to that of the lowest level.
        p_std: The standard deviation of `log sigma`, before the range.
        huber: `c`, > 0, in units of `sigma_data sqrt(entries)`, the norm of data; None for the squared
            distance.
    """

    huber: float | None = 0.03

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.huber is not None and not self.huber > 0:
            raise ValueError(f"huber must be > 0, or null for the squared distance, got {self.huber}")

    def __call__(self, judges: Judges, fake: Fake, rng: torch.Generator) -> Tensor:
        """The generator's loss per sample, `(B,)`."""
        seen = look(judges, fake, self.sigma(judges, fake, rng), rng, grad=True)
        gap, error = seen.teacher - seen.critic, seen.critic - seen.u
        if self.huber is None:
            scale = teacher_error(seen)
        else:
            scale = (mean_per_sample(gap.square()) + self.huber**2).sqrt()
        return mean_per_sample(gap * error / expand(scale, gap))
