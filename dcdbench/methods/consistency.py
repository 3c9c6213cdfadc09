r"""Consistency distillation: a control that cannot be better than its teacher.

Consistency Models (Song et al., 2023), https://arxiv.org/abs/2303.01469.
"""

from __future__ import annotations

__all__ = ["ConsistencyDistillation"]

from dataclasses import dataclass
from typing import Any, ClassVar

from dcdbench.methods import register
from dcdbench.methods.choice import fitting
from dcdbench.methods.teacher import Teacher, teach
from dcdbench.phases.consistency import Consistency
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import Objective, Setting
from dcdbench.samplers.heun import Heun


@register("consistency")
@dataclass(frozen=True)
class ConsistencyDistillation:
    """Phase I teaches a diffusion model; its sampler is then learned by a student of one step.

    Nothing of phase II asks whether fakes are like measurements: what is gained over the teacher by other
    methods, and not by this one, is not due to the single step.

    Args:
        objective: The loss of the teacher; None for the one that fits the corruption.
        teacher_lr: The teacher's learning rate, as in the method `teacher`.
        lr: The student's learning rate.
        steps: The number of noise levels of the sampler that is learned.
        huber: `c` of the pseudo-Huber distance, in units of `sigma_data sqrt(entries)`, the norm of data;
            None for the squared distance.
        target_halflife_kimg: The half-life of the running average of the student that is its target.
        halflife_kimg: That of the running average that is the result.
    """

    objective: Objective | None = None
    teacher_lr: float = 1e-3
    lr: float = 1e-3
    steps: int = 18
    huber: float | None = None
    target_halflife_kimg: float = 1.0
    halflife_kimg: float = 50.0

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise ValueError(f"steps must be >= 2, got {self.steps}")
        if self.huber is not None and not self.huber > 0:
            raise ValueError(f"huber must be > 0, or null for the squared distance, got {self.huber}")

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """What the objective supports."""
        return fitting(self.objective, corruption).supports(corruption)

    def phases(self, setting: Setting) -> tuple[Teach | Consistency, ...]:
        """Phase I, shared with the method `teacher`, then the regression."""
        objective = fitting(self.objective, setting.corruption)
        student = Consistency(
            objective,
            setting.network,
            setting.student_kimg,
            setting.batch,
            self.lr,
            steps=self.steps,
            huber=self.huber,
            target_halflife_kimg=self.target_halflife_kimg,
            halflife_kimg=self.halflife_kimg,
        )
        return (teach(objective, setting, self.teacher_lr), student)

    def sampler(self, setting: Setting) -> Heun:
        """One call of the student, at the first level."""
        return Heun(
            fitting(self.objective, setting.corruption), "truncated", setting.corruption.sigma_y, steps=1
        )

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """That of the teacher's sampler, which is truncated where not every level is trained."""
        objective = fitting(self.objective, corruption)
        lowest = objective.lowest(corruption.sigma_y)
        return Teacher(objective, "truncated" if lowest > 0 else "full").expected(law, corruption)
