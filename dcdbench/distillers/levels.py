"""The noise levels at which a distillation loss compares teacher and critic."""

from __future__ import annotations

__all__ = ["Range", "check_range", "draw_levels", "supports_range"]

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from dcdbench.diffusion import lognormal_levels
from dcdbench.problem import Corruption, Fake
from dcdbench.protocols import Objective

Range = Literal["all", "above", "below"]
LOWEST, HIGHEST = 0.02, 80.0  # where a denoiser is the identity to rounding, and where it knows nothing


def check_range(levels: str) -> None:
    """Refuses a range that is not one of the three."""
    if levels not in get_args(Range):
        raise ValueError(f"levels must be one of {', '.join(get_args(Range))}, got {levels!r}")


def supports_range(levels: Range, corruption: Corruption) -> str | None:
    """None, or the reason why the range is empty."""
    if levels == "below" and corruption.sigma_y <= LOWEST:
        return f"levels below sigma_y are none: sigma_y is {corruption.sigma_y:g}"
    return None


def draw_levels(
    levels: Range,
    sigma_y: float,
    mean: float,
    std: float,
    objective: Objective,
    fake: Fake,
    rng: torch.Generator,
) -> Tensor:
    """A level per fake, `(B,)`, log-normal on the range that `levels` names relative to `sigma_y`.

    A fake that carries measurement noise cannot be seen below the objective's lowest level.
    """
    low, high = LOWEST, HIGHEST
    if levels == "above":
        low = max(low, sigma_y)
    elif levels == "below":
        high = sigma_y
    low = max(low, objective.lowest(fake.sigma_y))
    if not low < high:
        raise ValueError(
            f"no noise level between {low:g} and {high:g}: a fake with measurement noise "
            "has none below sigma_y, so choose noise: false or another range"
        )
    return lognormal_levels(len(fake), mean, std, rng, low, min(high, math.inf)).to(fake.y)
