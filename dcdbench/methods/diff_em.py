r"""Expectation maximization whose posteriors are those of a conditional diffusion model.

DiffEM (2025), https://arxiv.org/abs/2510.12691.
"""

from __future__ import annotations

__all__ = ["DiffEM"]

from dataclasses import dataclass, field
from typing import Any, ClassVar

from dcdbench.methods import register
from dcdbench.methods.em import clean_law, relearn, split, too_large
from dcdbench.methods.oracle import OnSignals
from dcdbench.phases.conditional import Conditioned
from dcdbench.phases.relearn import Relearn
from dcdbench.problem import Corruption
from dcdbench.protocols import Restorer, Setting
from dcdbench.restorers.conditional import Back, Conditional
from dcdbench.restorers.moments import GaussianPosterior
from dcdbench.samplers.heun import Heun


@register("diff_em")
@dataclass(frozen=True)
class DiffEM:
    """Laps of a model of signals given measurements, then a model of signals learned from its samples.

    A lap restores the measurements by the model of the lap before and learns from pairs of what was restored
    and a fresh corruption of it. The first restores by a Gaussian prior, or where that cannot be (A is not
    linear) brings measurements back as they are. Any operator will do. Teacher's and student's budget
    together are split over all trainings: the first and the last, which start from scratch, get `first`
    times as much as each of the others. Candidates of the result are those of the last; each training before
    it is passed on as it ends.

    Args:
        laps: How many times the conditional model is trained, >= 1.
        first: The budget of the first and the last training, relative to each of the others.
        prior: Gives the signals of the first lap, where the operator is linear and noise is white.
        conditional: How the conditional model is sampled.
        lr: The learning rate of every training.
        steps: The number of noise levels by which the result is sampled.
    """

    laps: int = 12
    first: float = 2.0
    prior: GaussianPosterior = field(default_factory=GaussianPosterior)
    conditional: Conditional = field(default_factory=Conditional)
    lr: float = 1e-3
    steps: int = 18

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.laps < 1:
            raise ValueError(f"laps must be >= 1, got {self.laps}")
        if not self.first > 0:
            raise ValueError(f"first must be > 0, got {self.first}")

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """Everything, up to the size of signals of which a prior can be fitted."""
        return too_large(shape) if self._gaussian(corruption) else None

    def phases(self, setting: Setting) -> tuple[Conditioned | Relearn, ...]:
        """The laps, then the training of the model that is sampled."""
        *budgets, last = split(setting, [self.first] + [1.0] * (self.laps - 1) + [self.first])
        laps = [self._lap(setting, kimg, lap) for lap, kimg in enumerate(budgets)]
        return (*laps, relearn(setting, last, self.conditional, self.lr, 0))

    def _lap(self, setting: Setting, kimg: float, lap: int) -> Conditioned:
        start = self.prior if self._gaussian(setting.corruption) else Back(self.conditional.pool)
        restorer: Restorer = self.conditional if lap else start
        return Conditioned(
            restorer,
            setting.network,
            kimg,
            setting.batch,
            self.conditional,
            self.lr,
            warm=lap > 0,
            lap=lap,
            checkpoints=1,
        )

    @staticmethod
    def _gaussian(corruption: Corruption) -> bool:
        return corruption.operator.linear and corruption.noise is None

    def sampler(self, setting: Setting) -> Heun:
        """Heun's method, down to no noise."""
        return Heun(OnSignals(), "full", setting.corruption.sigma_y, self.steps)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The clean law, where measurements determine it."""
        return clean_law(law, corruption)
