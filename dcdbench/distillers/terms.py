"""What distillation losses have in common: a scale, a direction, and an adversarial term."""

from __future__ import annotations

__all__ = ["Adversarial", "along", "fooling", "teacher_error"]

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from dcdbench.batch import mean_per_sample
from dcdbench.distillers.levels import Leveled, Seen
from dcdbench.protocols import Judges, View


def teacher_error(seen: Seen) -> Tensor:
    """The mean absolute error of the teacher, `(B,)`, a constant: the scale of errors at a level."""
    return mean_per_sample((seen.teacher - seen.u).detach().abs()).clamp(min=1e-5)


def along(direction: Tensor, seen: Seen) -> Tensor:
    """A loss, `(B,)`, whose gradient by the fake signal, in units of the data, is `direction`."""
    return mean_per_sample(direction.detach() * seen.u)


def fooling(judges: Judges, view: View) -> Tensor:
    r"""`softplus(-D(view)) = -log P(real)`, `(B,)`: the adversarial loss that does not saturate.

    Generative Adversarial Nets (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661, section 3.
    """
    if judges.discriminator is None:
        raise ValueError("this loss needs a discriminator, and Judges.discriminator is None")
    return softplus(-judges.discriminator(view))


@dataclass(frozen=True)
class Adversarial(Leveled):
    """A distiller that may ask a discriminator too, of the view that teacher and critic have.

    Args:
        levels: The range of noise levels: all, above or below the noise of the measurements.
        p_mean: The mean of `log(sigma / sigma_data)`, before the range; raised to that of the lowest level.
        p_std: The standard deviation of `log sigma`, before the range.
        adversarial: The weight, `>= 0`, of the adversarial term; without it no discriminator is trained.
    """

    adversarial: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.adversarial >= 0:
            raise ValueError(f"adversarial must be >= 0, got {self.adversarial}")

    @property
    def discriminates(self) -> bool:
        """Whether it needs a discriminator."""
        return self.adversarial > 0

    def joined(self, loss: Tensor, judges: Judges, view: View) -> Tensor:
        """The loss, `(B,)`, plus the weighted adversarial term."""
        return loss + self.adversarial * fooling(judges, view) if self.discriminates else loss
