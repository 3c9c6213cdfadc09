"""The noise levels at which a distillation loss compares teacher and critic, and what it compares."""

from __future__ import annotations

__all__ = ["Leveled", "Range", "Seen", "look"]

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from dcdbench.diffusion import lognormal_levels
from dcdbench.problem import Corruption, Fake
from dcdbench.protocols import Judges, Objective, View

Range = Literal["all", "above", "below"]
# In units of the data. Below the first, denoisers are nearly the identity: what two of them differ by says
# little of the data, and moved students of noiseless measurements by jumps. Above the second they are blind.
LOWEST, HIGHEST = 0.2, 80.0


@dataclass(frozen=True)
class Leveled:
    """A distiller that judges fakes at log-normal noise levels.

    Args:
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log(sigma / sigma_data)`, before the range; raised to that of the lowest level.
        p_std: The standard deviation of `log sigma`, before the range.
    """

    levels: Range = "above"
    p_mean: float = -0.5
    p_std: float = 1.2

    lr: ClassVar[float] = 1e-3

    def __post_init__(self) -> None:
        if self.levels not in get_args(Range):
            raise ValueError(f"levels must be one of {', '.join(get_args(Range))}, got {self.levels!r}")

    @property
    def discriminates(self) -> bool:
        """Whether it needs a discriminator: not here."""
        return False

    def supports(self, objective: Objective, corruption: Corruption, *, noise: bool = False) -> str | None:
        """All, but for a range that is empty, or that a discriminator cannot see."""
        lowest = objective.lowest(corruption.sigma_y)
        if self.levels == "below" and corruption.sigma_y == 0:
            return "levels below sigma_y are none: sigma_y is 0"
        if self.levels == "below" and noise and lowest > 0:
            return "noisy fakes cannot be seen below sigma_y: choose noise: false, or levels: above"
        if self.discriminates and self.levels != "above" and not noise and lowest > 0:
            return "a discriminator cannot see real measurements below sigma_y: choose levels: above"
        return None

    def sigma(self, judges: Judges, fake: Fake, rng: torch.Generator) -> Tensor:
        """A level per fake, `(B,)`, log-normal on the range that `levels` names relative to `sigma_y`.

        A fake that carries measurement noise cannot be seen below the objective's lowest level. Where that is
        above the mean, it is the mean: else nearly all levels would lie at the end of the range.
        """
        unit = judges.teacher.sigma_data
        low, high = LOWEST * unit, HIGHEST * unit
        if self.levels == "above":
            low = max(low, judges.sigma_y)
        elif self.levels == "below":
            low, high = min(low, judges.sigma_y / 10), judges.sigma_y
        low = max(low, judges.objective.lowest(fake.sigma_y))
        if not low < high:
            raise ValueError(
                f"no noise level between {low:g} and {high:g}: a fake with measurement noise "
                "has none below sigma_y, so choose noise: false or another range"
            )
        mean = max(self.p_mean, math.log(low / unit))
        return lognormal_levels(len(fake), mean, self.p_std, rng, low, high, scale=unit).to(fake.y)


@dataclass(frozen=True)
class Seen:
    """What is seen of fakes at their noise levels, each `(B, *measured)`.

    Estimates, and what is estimated, are in units of the standard deviation of the data, the teacher's
    `sigma_data`, so that losses and their gradients do not depend on the data's unit.
    """

    view: View  # in the data's own unit; carries the generator's gradient
    u: Tensor  # what is to be estimated; carries the generator's gradient
    teacher: Tensor  # its estimates
    critic: Tensor


def look(judges: Judges, fake: Fake, sigma: Tensor, rng: torch.Generator, *, grad: bool) -> Seen:
    """The estimates of teacher and critic, in units of the data; with `grad`, gradients flow through both."""
    view = judges.objective.view(fake, sigma, rng)
    with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
        teacher, critic = view.estimate(judges.teacher), view.estimate(judges.critic)
    u, unit = view.of(judges.objective.signal(fake)), judges.teacher.sigma_data
    return Seen(view, u / unit, teacher / unit, critic / unit)
