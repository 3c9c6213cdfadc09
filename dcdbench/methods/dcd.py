r"""Distillation from corrupted data: a corruption-aware teacher, then a one-step generator.

Score Distillation Beyond Acceleration: Generative Modeling from Corrupted Data (2025),
https://arxiv.org/abs/2505.13377.
"""

from __future__ import annotations

__all__ = ["DCD"]

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from dcdbench.distillers.sds import SDS
from dcdbench.distillers.sid import SiD
from dcdbench.methods import register
from dcdbench.methods.choice import fitting
from dcdbench.methods.ideal import denoising, fills, teaches
from dcdbench.methods.teacher import teach
from dcdbench.phases.distil import Distil
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import Distiller, Objective, Setting
from dcdbench.samplers.one_step import Latent, OneStep


@register("dcd")
@dataclass(frozen=True)
class DCD:
    """Phase I teaches a diffusion model; phase II distils it through the operator.

    Args:
        objective: The loss of the teacher, and of the critic on re-corrupted fakes; None for the
            one that fits the corruption.
        distiller: The generator's loss.
        teacher_lr: The teacher's learning rate, as in the method `teacher`.
        lr: The generator's learning rate; None for that of the distiller.
        critic_lr: The critic's learning rate.
        critic_steps: Steps of the critic per step of the generator.
        start: Generator and critic start from the `teacher`'s weights or from `random` ones.
        sigma_init: The noise level at which the network serves as a generator, in units of `sigma_data`.
        latent: Whether a generator that is shown a draw of A sees its latents through it or in full.
        noise: Whether the generator's step adds measurement noise to the fakes. None for
            what the objective needs: yes where it models the noise as part of the data.
        halflife_kimg: That of the running average of the generator, which is the result.
        beta2: Adam's in phase II, in [0, 1): how long it remembers the size of gradients.
        update_clip: The largest step in phase II, > 0: the root mean square of the changes of weights, in
            units of the learning rate.
        critic: The critic's loss, where it is to differ from the teacher's.
        operator: Whether phase II corrupts fakes at all; without, the generator imitates the measurements.
    """

    objective: Objective | None = None
    distiller: Distiller = field(default_factory=SiD)
    teacher_lr: float = 1e-3
    lr: float | None = None
    critic_lr: float = 6e-4
    critic_steps: int = 1
    start: Literal["teacher", "random"] = "teacher"
    sigma_init: float = 5.0
    latent: Latent = "full"
    noise: bool | None = None
    halflife_kimg: float = 50.0
    beta2: float = 0.99
    update_clip: float = 0.5
    critic: Objective | None = None
    operator: bool = True

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.critic_steps < 1:
            raise ValueError(f"critic_steps must be >= 1, got {self.critic_steps}")
        if self.sigma_init <= 0:
            raise ValueError(f"sigma_init must be > 0, got {self.sigma_init}")
        if not 0 <= self.beta2 < 1:
            raise ValueError(f"beta2 must be in [0, 1), got {self.beta2}")
        if not self.update_clip > 0:
            raise ValueError(f"update_clip must be > 0, got {self.update_clip}")

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """What objective and distiller support."""
        objective = fitting(self.objective, corruption)
        return (
            objective.supports(corruption)
            or self._critic_supports(objective, corruption)
            or self._operator_supports(objective, corruption, shape)
            or self.distiller.supports(objective, corruption, noise=self._noise(corruption))
        )

    def _critic_supports(self, objective: Objective, corruption: Corruption) -> str | None:
        if self.critic is None:
            return None
        if reason := self.critic.supports(corruption):
            return f"the critic's loss: {reason}"
        return None

    def _operator_supports(
        self, objective: Objective, corruption: Corruption, shape: tuple[int, ...]
    ) -> str | None:
        if not corruption.operator.differentiable:
            return "the operator has no gradient, which the generator needs"
        if not self.operator and objective.left(corruption, shape) == "all":
            return "operator: false needs a teacher of measurements, and this one is a teacher of signals"
        return None

    def phases(self, setting: Setting) -> tuple[Teach | Distil, ...]:
        """Phase I, shared with the method `teacher`, then phase II."""
        objective = fitting(self.objective, setting.corruption)
        distil = Distil(
            objective,
            self.distiller,
            setting.network,
            setting.student_kimg,
            setting.batch,
            self.distiller.lr if self.lr is None else self.lr,
            self.critic_lr,
            critic_steps=self.critic_steps,
            start=self.start,
            sigma_init=self.sigma_init,
            latent=self.latent,
            noise=self._noise(setting.corruption),
            halflife_kimg=self.halflife_kimg,
            beta2=self.beta2,
            update_clip=self.update_clip,
            critic=self.critic,
            operator=self.operator,
        )
        return (teach(objective, setting, self.teacher_lr), distil)

    def sampler(self, setting: Setting) -> OneStep:
        """One call of the generator."""
        return OneStep(fitting(self.objective, setting.corruption), self.sigma_init, self.latent)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The clean law if phase II knows of the noise (at full capacity), else the noisy one.

        Of SDS, which collapses, of a critic that learns by another loss than the teacher, and of levels that
        are below the noise alone, no law is known.
        """
        objective = fitting(self.objective, corruption)
        if self.critic not in (None, objective) or not _matches(self.distiller):
            return None
        if fills(objective, corruption):
            return law
        if not denoising(corruption):
            return None
        if not self.operator:
            return teaches(objective, law, corruption)
        aware = self._noise(corruption) or objective.lowest(corruption.sigma_y) > 0
        return law if aware else law.noised(corruption.sigma_y)

    def _noise(self, corruption: Corruption) -> bool:
        """Fakes carry noise where the objective takes noise for a part of the data, unless said otherwise."""
        if not self.operator:
            return False
        if self.noise is not None or corruption.sigma_y == 0:
            return bool(self.noise) and corruption.sigma_y > 0
        return fitting(self.objective, corruption).lowest(corruption.sigma_y) == 0


def _matches(distiller: Distiller) -> bool:
    """Whether the loss is least where fakes and data have one law, at levels that teachers know."""
    return not isinstance(distiller, SDS) and getattr(distiller, "levels", "above") != "below"
