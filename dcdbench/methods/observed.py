"""The floor of effort: the measurements themselves."""

from __future__ import annotations

__all__ = ["NoModel"]

from dataclasses import dataclass
from typing import Any, ClassVar

from dcdbench.methods import register
from dcdbench.methods.ideal import denoising
from dcdbench.problem import Corruption
from dcdbench.protocols import Phase, Setting
from dcdbench.samplers.observed import Observed


@register("observed")
@dataclass(frozen=True)
class NoModel:
    """No model: training measurements, as they are or, where they are no signals, brought back."""

    needs_clean: ClassVar[bool] = False

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """Everything."""
        return None

    def phases(self, setting: Setting) -> tuple[Phase, ...]:
        """None."""
        return ()

    def sampler(self, setting: Setting) -> Observed:
        """The measurements."""
        return Observed()

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The law of `x + sigma_y n`, where A is the identity."""
        return law.noised(corruption.sigma_y) if denoising(corruption) else None
