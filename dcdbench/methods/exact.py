"""The perfect teacher: exact scores, sampled in many steps."""

from __future__ import annotations

__all__ = ["Exact", "ExactHeun", "knows_denoiser", "knows_law"]

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from dcdbench.methods import register
from dcdbench.methods.choice import fitting
from dcdbench.methods.ideal import denoising, masked
from dcdbench.methods.teacher import Teacher
from dcdbench.phases.distil_exact import exact_denoiser
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import DataSource, Denoiser, Objective, Phase, Samples, Setting
from dcdbench.samplers.heun import Heun


@dataclass(frozen=True)
class ExactHeun:
    """Heun's method with the exact denoiser.

    Args:
        heun: The sampler, which also says what the denoiser knows.
        source: The data, whose law is known.
    """

    heun: Heun
    source: DataSource

    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals, on the device of `rng`."""
        exact = exact_denoiser(self.source, self.heun.objective, self.heun.sigma_y)
        return self.heun.sample(exact, problem, n, rng)


@register("exact")
@dataclass(frozen=True)
class Exact:
    """A teacher without error: the exact denoiser of the data's law, sampled by Heun's method.

    It knows signals with noise, and what random masks show of them. What separates it from the law that
    theory expects is the sampler's doing alone.

    Args:
        objective: What a teacher would learn by; None for the one that fits the corruption.
        sampling: `full`, down to no noise, or `truncated`, down to the lowest level that the
            objective trains, where the denoiser's estimate is the sample.
        steps: The number of noise levels.
    """

    objective: Objective | None = None
    sampling: Literal["full", "truncated"] = "full"
    steps: int = 18

    needs_clean: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._teacher()

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """What a trained teacher supports, where A is the identity, or masks that it is shown."""
        objective = fitting(self.objective, corruption)
        return knows_denoiser(objective, corruption) or self._teacher().supports(corruption, shape)

    def supports_source(self, source: DataSource) -> str | None:
        """Data with an analytic law."""
        return knows_law(source)

    def phases(self, setting: Setting) -> tuple[Phase, ...]:
        """None."""
        return ()

    def sampler(self, setting: Setting) -> ExactHeun:
        """Heun's method with the exact denoiser."""
        if setting.source is None:
            raise ValueError("the method exact needs the law of the data: setting.source is None")
        objective = fitting(self.objective, setting.corruption)
        heun = Heun(objective, self.sampling, setting.corruption.sigma_y, self.steps)
        return ExactHeun(heun, setting.source)

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """What is expected of a trained teacher."""
        return self._teacher().expected(law, corruption)

    def _teacher(self) -> Teacher:
        return Teacher(self.objective, self.sampling, self.steps)


def knows_denoiser(objective: Objective, corruption: Corruption) -> str | None:
    """None where the denoiser that an objective would learn is known in closed form, else a reason."""
    if denoising(corruption) or masked(objective, corruption):
        return None
    return "knows exact denoisers of the identity with white noise, and of random masks by ambient_diffusion"


def knows_law(source: DataSource) -> str | None:
    """None where the data have an analytic law, else a reason."""
    return None if hasattr(source, "law") else "needs data with an analytic law"
