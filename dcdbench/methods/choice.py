"""The objective that fits a corruption, for methods that are not told one."""

from __future__ import annotations

__all__ = ["fitting"]

from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.standard import Standard
from dcdbench.operators.inpainting import Inpainting
from dcdbench.problem import Corruption
from dcdbench.protocols import Objective

# Where each entry is seen by a chance of its own, hardly two signals have one mask. Unless much of it is
# dropped, it tells which signal it is. docs/tuning.md compares shares in measurement space.
INDEPENDENT = AmbientDiffusion(delta=0.3)


def fitting(objective: Objective | None, corruption: Corruption) -> Objective:
    """The objective itself; for None the corruption-aware one.

    That is Ambient Diffusion through masks, Ambient Tweedie under white noise, and the standard
    objective where there is neither. Noise of another law is learned as a part of the data. Through masks of
    independent entries Ambient Diffusion drops more in training: see the claim `mask_names_signal`.
    """
    if objective is not None:
        return objective
    if corruption.operator.masks:
        return INDEPENDENT if isinstance(corruption.operator, Inpainting) else AmbientDiffusion()
    return AmbientTweedie() if corruption.sigma_y > 0 else Standard()
