r"""f-distillation: the gradient of any f-divergence, by the ratio that a discriminator estimates.

One-step Diffusion Models with f-Divergence Distribution Matching (Xu et al., 2025),
https://arxiv.org/abs/2502.15681. The gradient of `D_f(real || fake) = E_fake[f(r)]`,
`r = p_real / p_fake`, is that of the reverse KL divergence with samples weighted by `h(r) = f''(r) r^2`.
"""

from __future__ import annotations

__all__ = ["FDistill"]

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from dcdbench.distillers import register
from dcdbench.distillers.dmd import reverse_kl
from dcdbench.distillers.levels import Leveled, look
from dcdbench.problem import Fake
from dcdbench.protocols import Judges, View

Divergence = Literal["rkl", "kl", "js", "hellinger", "softened_rkl", "jeffreys", "neyman"]
WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {  # h(r), but for a constant
    "rkl": torch.ones_like,
    "kl": lambda r: r,
    "js": lambda r: r / (1 + r),
    "hellinger": torch.sqrt,
    "softened_rkl": lambda r: 1 / (1 + r),
    "jeffreys": lambda r: 1 + r,
    "neyman": lambda r: 1 / r,
}


@register("f_distill")
@dataclass(frozen=True)
class FDistill(Leveled):
    """The loss of DMD, weighted by `h(r)` with mean 1 over the batch.

    The mean of `h` says how far the laws are apart, by a measure that differs between divergences. Brought
    to 1, they differ in which samples count, not in the length of steps, and one learning rate fits all.

    Args:
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log(sigma / sigma_data)`, before the range; raised to that of the lowest level.
        p_std: The standard deviation of `log sigma`, before the range.
        divergence: `rkl` is KL(fake || real), `kl` KL(real || fake), `jeffreys` their sum, `softened_rkl`
            KL((fake + real) / 2 || real), `js` Jensen-Shannon, `hellinger` the squared distance of Hellinger,
            `neyman` chi squared.
        ratio_low: The smallest ratio, > 0; what is less counts as this.
        ratio_high: The largest ratio; what is more counts as this.
    """

    divergence: Divergence = "js"
    ratio_low: float = 0.1
    ratio_high: float = 20.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.divergence not in get_args(Divergence):
            raise ValueError(
                f"divergence must be one of {', '.join(get_args(Divergence))}, got {self.divergence!r}"
            )
        if not 0 < self.ratio_low < self.ratio_high:
            raise ValueError(
                f"ratios must satisfy 0 < ratio_low < ratio_high, got {self.ratio_low} and {self.ratio_high}"
            )

    @property
    def discriminates(self) -> bool:
        """Whether it needs a discriminator, which estimates the ratio."""
        return True

    def __call__(self, judges: Judges, fake: Fake, rng: torch.Generator) -> Tensor:
        """The generator's loss per sample, `(B,)`; samples share the factor that brings weights to mean 1."""
        seen = look(judges, fake, self.sigma(judges, fake, rng), rng, grad=False)
        weight = self.weight(judges, seen.view)
        return weight / weight.mean() * reverse_kl(seen)

    @torch.no_grad()
    def weight(self, judges: Judges, view: View) -> Tensor:
        """`h(r)`, `(B,)`, a constant: samples are weighted by the ratio, not moved along its gradient."""
        if judges.discriminator is None:
            raise ValueError("f-distillation needs a discriminator, and Judges.discriminator is None")
        logit = judges.discriminator(view).clamp(math.log(self.ratio_low), math.log(self.ratio_high))
        return WEIGHTS[self.divergence](logit.exp())
