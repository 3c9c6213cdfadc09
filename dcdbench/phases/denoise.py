"""A phase that trains a network to restore measurements, from these alone."""

from __future__ import annotations

__all__ = ["Denoise"]

from dataclasses import dataclass, field
from typing import ClassVar

from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.samplers.restoring import Restoring


@dataclass(frozen=True)
class Denoise(Teach):
    """A network of one noise level; the training is that of a diffusion model.

    Its checkpoints are compared by restored measurements, corrupted again. Estimates of signals are not as
    wide as signals, so the distance does not fall to that of signals; it tells failures all the same.

    Args:
        objective: The loss.
        network: The architecture.
        kimg: Thousands of images to train on.
        batch: Images per step.
        lr: The learning rate of Adam: warmed up over 1 %, and brought to 0 over the last `decay`.
        decay: The share of the training in which the rate falls.
        halflife_kimg: That of the running average of the weights, which is the result.
        clip: The largest norm of the gradient.
        needs_clean: Never.
        sampler: How the network is asked.
    """

    sampler: Restoring = field(default_factory=Restoring)

    kind: ClassVar[str] = "restorer"

    def preview(self, sigma_y: float) -> Restoring:  # type: ignore[override]
        """Restored measurements."""
        return self.sampler

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """All of it: what was restored are signals."""
        return corruption
