"""Distillation from a perfect teacher: what is left is the effect of distillation."""

from __future__ import annotations

__all__ = ["OracleDCD"]

from dataclasses import dataclass, fields
from typing import ClassVar

from dcdbench.methods import register
from dcdbench.methods.choice import fitting
from dcdbench.methods.dcd import DCD
from dcdbench.methods.exact import knows_denoiser, knows_law
from dcdbench.phases.distil import Distil
from dcdbench.phases.distil_exact import DistilExact
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import DataSource, Setting


@register("oracle_dcd")
@dataclass(frozen=True)
class OracleDCD(DCD):
    """As `dcd`, but phase II asks the exact denoiser of the data's law; phase I only gives first weights.

    Args:
        objective: The loss of phase I, and of the critic on re-corrupted fakes, which also says what the
            exact denoiser knows; None for the one that fits the corruption.
        distiller: The generator's loss.
        teacher_lr: The learning rate of phase I, as in the method `teacher`.
        lr: The generator's learning rate; None for that of the distiller.
        critic_lr: The critic's learning rate.
        critic_steps: Steps of the critic per step of the generator.
        start: Generator and critic start from the weights of phase I (`teacher`) or from `random` ones.
        sigma_init: The noise level at which the network serves as a generator, in units of `sigma_data`.
        latent: Whether a generator that is shown a draw of A sees its latents through it (`seen`) or in
            `full`.
        noise: Whether the generator's step adds measurement noise to the fakes. None for
            what the objective needs: yes where it models the noise as part of the data.
        halflife_kimg: That of the running average of the generator, which is the result.
        beta2: Adam's in phase II, in [0, 1): how long it remembers the size of gradients.
        update_clip: The largest step in phase II, > 0: the root mean square of the changes of weights, in
            units of the learning rate.
        critic: The critic's loss, where it is to differ from that of phase I.
        operator: Whether phase II corrupts fakes at all; without, the generator imitates the measurements.
    """

    needs_clean: ClassVar[bool] = True

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """What `dcd` supports, where A is the identity, or masks that the exact denoiser is shown."""
        objective = fitting(self.objective, corruption)
        return knows_denoiser(objective, corruption) or super().supports(corruption, shape)

    def supports_source(self, source: DataSource) -> str | None:
        """Data with an analytic law."""
        return knows_law(source)

    def phases(self, setting: Setting) -> tuple[Teach | Distil, ...]:
        """Phase I, shared with the method `teacher`, then phase II."""
        if setting.source is None:
            raise ValueError("the method oracle_dcd needs the law of the data: setting.source is None")
        teach, distil = super().phases(setting)
        assert isinstance(distil, Distil)
        same = {f.name: getattr(distil, f.name) for f in fields(distil)}
        sigma_y = setting.corruption.sigma_y
        return (teach, DistilExact(**same, source=setting.source, sigma_y=sigma_y))
