"""What clean data would have given: an upper bound, marked as such."""

from __future__ import annotations

__all__ = ["Oracle"]

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from dcdbench.methods import register
from dcdbench.methods.teacher import teach
from dcdbench.objectives.standard import Standard
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import Left, Setting
from dcdbench.samplers.heun import Heun


@dataclass(frozen=True)
class OnSignals(Standard):
    """The standard objective on clean signals, whatever the operator of the task."""

    def draw(self, corruption: Corruption, shape: tuple[int, ...], n: int, rng: torch.Generator) -> None:
        """Nothing: the network is shown signals."""

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Left:
        """All: samples are signals."""
        return "all"


@register("oracle")
@dataclass(frozen=True)
class Oracle:
    """A diffusion model trained on clean data, which no other method sees, for both phases' images.

    As many images as teacher and student have together, so that it bounds what either could reach.

    Args:
        steps: The number of noise levels of Heun's method.
        lr: The learning rate of the training.
    """

    steps: int = 18
    lr: float = 1e-3

    needs_clean: ClassVar[bool] = True

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """Everything, where there are clean data."""
        return None

    def phases(self, setting: Setting) -> tuple[Teach, ...]:
        """Phase I on clean data, for the images of both phases."""
        phase = teach(OnSignals(), setting, self.lr, needs_clean=True)
        return (replace(phase, kimg=setting.teacher_kimg + setting.student_kimg),)

    def sampler(self, setting: Setting) -> Heun:
        """Heun's method, down to no noise."""
        return Heun(OnSignals(), "full", setting.corruption.sigma_y, self.steps)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The clean law."""
        return law
