r"""Expectation maximization with a diffusion model for the prior.

Learning Diffusion Priors from Observations by Expectation Maximization (Rozet et al., 2024),
https://arxiv.org/abs/2405.13712.
"""

from __future__ import annotations

__all__ = ["EM", "clean_law", "linear_gaussian", "relearn", "split", "too_large"]

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dcdbench.methods import register
from dcdbench.methods.ideal import entire
from dcdbench.methods.oracle import OnSignals
from dcdbench.phases.relearn import Relearn
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.protocols import Restorer, Setting
from dcdbench.restorers.moments import GaussianPosterior
from dcdbench.restorers.posterior import MMPS
from dcdbench.samplers.heun import Heun

LARGEST = 4096  # numbers of a signal, of which a full covariance is fitted


@register("em")
@dataclass(frozen=True)
class EM:
    """Samples posteriors under the model, learns the model anew from the samples, and so on.

    The first samples are those under a Gaussian prior. Teacher's and student's budget together are split
    over the laps: the first, from scratch, gets `first` times as much as each of the others. Each of these
    goes on from the averaged weights of the lap before, with a fresh optimizer and a rate that falls anew, as
    in the authors' code, https://github.com/francois-rozet/diffusion-priors. There 64 laps of 65 536 steps
    restore 65 536 measurements in each. Candidates of the result are those of the last lap; each lap before
    it is passed on as it ends.

    Args:
        laps: How many times the model is trained, >= 1.
        first: The budget of the first lap, relative to each of the others.
        prior: Gives the signals of the first lap.
        posterior: Gives those of the others.
        lr: The learning rate of every lap.
        steps: The number of noise levels by which the result is sampled.
    """

    laps: int = 12
    first: float = 2.0
    prior: GaussianPosterior = field(default_factory=GaussianPosterior)
    posterior: MMPS = field(default_factory=MMPS)
    lr: float = 1e-3
    steps: int = 18

    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.laps < 1:
            raise ValueError(f"laps must be >= 1, got {self.laps}")
        if not self.first > 0:
            raise ValueError(f"first must be > 0, got {self.first}")

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """Linear operators, with white noise or none."""
        return linear_gaussian(corruption, shape)

    def phases(self, setting: Setting) -> tuple[Relearn, ...]:
        """One training per lap."""
        budgets = split(setting, [self.first] + [1.0] * (self.laps - 1))
        return tuple(
            relearn(setting, kimg, self.posterior if lap else self.prior, self.lr, lap, lap == self.laps - 1)
            for lap, kimg in enumerate(budgets)
        )

    def sampler(self, setting: Setting) -> Heun:
        """Heun's method, down to no noise."""
        return Heun(OnSignals(), "full", setting.corruption.sigma_y, self.steps)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The clean law, where measurements determine it."""
        return clean_law(law, corruption)


def linear_gaussian(corruption: Corruption, shape: tuple[int, ...]) -> str | None:
    """The reason why posteriors under a Gaussian prior are not Gaussian, or too large; None if neither."""
    if not corruption.operator.linear:
        return "samples posteriors by linear algebra: needs a linear operator"
    if corruption.noise is not None:
        return "samples posteriors by linear algebra: needs white Gaussian noise, or none"
    return too_large(shape)


def too_large(shape: tuple[int, ...]) -> str | None:
    """The reason why no covariance can be fitted to such signals, or None."""
    entries = math.prod(shape)
    if entries > LARGEST:
        return f"starts from a full covariance: signals must have at most {LARGEST} entries, not {entries}"
    return None


def split(setting: Setting, shares: list[float]) -> list[float]:
    """Thousands of images for each training: teacher's and student's budget together, by shares."""
    total = setting.teacher_kimg + setting.student_kimg
    return [total * share / sum(shares) for share in shares]


def relearn(
    setting: Setting, kimg: float, restorer: Restorer, lr: float, lap: int, last: bool = True
) -> Relearn:
    """A lap: the first starts from fresh weights, and all but the last have one candidate."""
    teach = Teach(OnSignals(), setting.network, kimg, setting.batch, lr)
    return Relearn(teach, restorer, warm=lap > 0, lap=lap, checkpoints=None if last else 1)


def clean_law(law: Any, corruption: Corruption) -> Any | None:
    """The clean law, where it is the only one that explains the measurements; else None."""
    return law if entire(corruption) else None
