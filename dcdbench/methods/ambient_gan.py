"""AmbientGAN: a generator, measured, against a critic of measurements; no diffusion at all.

AmbientGAN: Generative Models from Lossy Measurements (Bora et al., 2018),
https://openreview.net/forum?id=Hy7fDog0b.
"""

from __future__ import annotations

__all__ = ["LEAST_BATCH", "AmbientGAN"]

from dataclasses import dataclass
from typing import Any, ClassVar

from dcdbench.methods import register
from dcdbench.methods.ideal import entire
from dcdbench.phases.ambient_gan import Fool
from dcdbench.problem import Corruption
from dcdbench.protocols import Setting
from dcdbench.samplers.generator import Generator

LEAST_BATCH = 32  # images per step, below which no batch is made smaller for the sake of more steps


@register("ambient_gan")
@dataclass(frozen=True)
class AmbientGAN:
    """A one-step generator trained adversarially through the operator, from random weights.

    Its one training has the images of phase II, counted in steps of the generator, as a student's. With three
    steps of a critic whose gradient is differentiated again, each takes about 14 times as many operations as
    one of phase I, and more than twice as many as one of a student.

    It needs many steps (the publication takes from 27 000 to 70 000). Where the task's batch leaves it fewer
    than `least_steps`, its batch is smaller and its images stay the same, down to batches of 32 images (or
    the task's, if that is smaller still): a budget of fewer images than that has fewer steps.

    Args:
        lr: The generator's learning rate, which falls to 0 over the training.
        critic_lr: The critic's, which falls alike.
        critic_steps: Steps of the critic per step of the generator.
        penalty: The weight of the gradient penalty.
        sigma_init: The noise level at which the network serves as a generator, in units of `sigma_data`.
        halflife_kimg: That of the running average of the generator, which is the result.
        least_steps: Steps of the generator, >= 1, that the images of phase II are to give.
    """

    lr: float = 3e-3
    critic_lr: float = 3e-3
    critic_steps: int = 3
    penalty: float = 0.3
    sigma_init: float = 5.0
    halflife_kimg: float = 50.0
    least_steps: int = 1000

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.critic_steps < 1:
            raise ValueError(f"critic_steps must be >= 1, got {self.critic_steps}")
        if self.least_steps < 1:
            raise ValueError(f"least_steps must be >= 1, got {self.least_steps}")
        for name in ("lr", "critic_lr", "penalty", "sigma_init"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """Operators with a gradient; noise of any law."""
        if not corruption.operator.differentiable:
            return "the operator has no gradient, which the generator needs"
        return None

    def phases(self, setting: Setting) -> tuple[Fool, ...]:
        """The training."""
        return (
            Fool(
                setting.network,
                setting.student_kimg,
                self._batch(setting),
                self.lr,
                self.critic_lr,
                self.critic_steps,
                self.penalty,
                self.sigma_init,
                self.halflife_kimg,
            ),
        )

    def _batch(self, setting: Setting) -> int:
        """The task's, or as many images as give the least number of steps."""
        fitting = int(1000 * setting.student_kimg) // self.least_steps
        return min(setting.batch, max(fitting, LEAST_BATCH))

    def sampler(self, setting: Setting) -> Generator:
        """One call of the generator."""
        return Generator(self.sigma_init)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The clean law: corrupted fakes have the law of measurements only if fakes have that of signals."""
        return law if entire(corruption) else None
