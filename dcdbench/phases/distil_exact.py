"""Phase II from a perfect teacher: what is left is the effect of distillation."""

from __future__ import annotations

__all__ = ["DistilExact", "exact_denoiser"]

from dataclasses import dataclass, field

from dcdbench.networks.edm import Preconditioned
from dcdbench.networks.exact import ExactDenoiser
from dcdbench.phases.distil import Distil
from dcdbench.protocols import DataSource, Objective


@dataclass(frozen=True)
class DistilExact(Distil):
    """Distils the exact denoiser; the trained one only initialises generator and critic.

    It sees no clean data, but knows their law.

    Args:
        objective: The trained teacher's, which is the critic's loss too, and says what the exact one knows.
        distiller: The generator's loss.
        network: The architecture of generator and critic.
        kimg: Thousands of images that the generator is trained on.
        batch: Images per step.
        lr: The generator's learning rate: warmed up, and brought to 0 over the last `decay` of the training.
        critic_lr: The critic's learning rate, warmed up as the generator's, then constant.
        decay: The share of the training in which the generator's rate falls.
        warmup: The share in which it rises.
        critic_steps: Steps of the critic per step of the generator.
        start: Generator and critic start from the trained `teacher`'s weights or from `random` ones.
        sigma_init: The noise level at which the network serves as a generator, in units of `sigma_data`.
        latent: Whether a generator that is shown a draw of A sees its latents through it or in full.
        noise: Whether the generator's step adds measurement noise to the fakes.
        halflife_kimg: That of the running average of the generator, which is the result.
        clip: The largest norm of the gradients.
        beta2: Adam's, of all networks, in [0, 1).
        update_clip: The largest root mean square of a step's changes of weights, in units of the learning
            rate.
        critic: The critic's loss, where it is not the teacher's.
        operator: Whether fakes are corrupted at all.
        source: The data, whose law is known.
        sigma_y: The noise of the measurements.
    """

    source: DataSource = field(kw_only=True)
    sigma_y: float = field(kw_only=True)

    def _teacher(self, parent: Preconditioned) -> ExactDenoiser:
        return exact_denoiser(self.source, self.objective, self.sigma_y)


def exact_denoiser(source: DataSource, objective: Objective, sigma_y: float) -> ExactDenoiser:
    """What an objective learns from `y = x + sigma_y n` with an infinite sample and a perfect fit.

    So it does from what masks show, if it is shown them. One that trains levels above `sigma_y` alone
    learns the law of `x`, any other that of `y`.

    Args:
        source: Data with an analytic law: a source that has a method `law`.
        objective: What is learned.
        sigma_y: The noise of the measurements.
    """
    law = source.law()  # type: ignore[attr-defined]
    return ExactDenoiser(law if objective.lowest(sigma_y) > 0 else law.noised(sigma_y))
