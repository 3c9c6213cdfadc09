"""The teacher at its strongest: more training, more steps, fresh noise, guidance."""

from __future__ import annotations

__all__ = ["Ambient"]

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from dcdbench.methods import register
from dcdbench.methods.choice import fitting
from dcdbench.methods.teacher import Teacher, teach
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import Objective, Setting
from dcdbench.samplers.churn import Churned
from dcdbench.samplers.guided import Guided
from dcdbench.samplers.heun import Heun


@register("ambient")
@dataclass(frozen=True)
class Ambient:
    """The diffusion model of phase I, trained for longer, with a choice of samplers.

    The controls of distillation. With the operations of teacher and student together, which a suite's
    `equal_flops` gives it, a student that beats this one does not owe it to a longer training. Else, with
    `longer: 0`, the teacher is that of the student, and what differs is the sampler alone.

    Args:
        objective: The loss of the training; None for the one that fits the corruption.
        sampling: `full`, down to no noise, or `truncated`, down to the lowest level that the
            objective trained, where the denoiser's estimate is the sample.
        steps: The number of noise levels.
        churn: How much fresh noise EDM's stochastic sampler adds in all; 0 for the deterministic one.
        guidance: The weight of reconstruction guidance, for denoisers that are shown masks; 0 for none.
        masks: To how many masks at each step guidance compares the fixed one.
        longer: Training beyond phase I, in units of phase II's images, each of which costs several times as
            many operations as one of phase I.
        lr: The learning rate.
    """

    objective: Objective | None = None
    sampling: Literal["full", "truncated"] = "full"
    steps: int = 18
    churn: float = 0.0
    guidance: float = 0.0
    masks: int = 4
    longer: float = 1.0
    lr: float = 1e-3

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._teacher()
        for name, least in (("churn", 0), ("guidance", 0), ("masks", 1), ("longer", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")
        if self.churn > 0 and self.guidance > 0:
            raise ValueError(f"churn must be 0 with guidance = {self.guidance}, got {self.churn}")

    def _teacher(self) -> Teacher:
        return Teacher(self.objective, self.sampling, self.steps, self.lr)

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """What the method `teacher` supports; guidance needs masks."""
        if reason := self._teacher().supports(corruption, shape):
            return reason
        if self.guidance > 0 and not corruption.operator.masks:
            return "guidance compares masks: the operator has none"
        return None

    def phases(self, setting: Setting) -> tuple[Teach, ...]:
        """Phase I, for longer."""
        phase = teach(fitting(self.objective, setting.corruption), setting, self.lr)
        return (replace(phase, kimg=setting.teacher_kimg + self.longer * setting.student_kimg),)

    def sampler(self, setting: Setting) -> Heun:
        """Heun's method, with what was asked for."""
        corruption = setting.corruption
        heun = fitting(self.objective, corruption), self.sampling, corruption.sigma_y, self.steps
        if self.churn > 0:
            return Churned(*heun, churn=self.churn)
        if self.guidance > 0:
            return Guided(*heun, guidance=self.guidance, draws=self.masks)
        return Heun(*heun)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """That of the method `teacher`; with guidance, nothing exact."""
        if self.guidance > 0:
            return None
        return self._teacher().expected(law, corruption)
