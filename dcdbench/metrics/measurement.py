r"""Distances in the space of measurements: corrupted samples against held-out measurements.

They need no clean data, so they may choose a checkpoint. Where every draw of A measures alike,
the measurements `y` are compared. Where A is random, entries of two measurements need not
mean the same, so what is compared is `A.back(y)`, which for masks is `y` filled with
zeros: a signal, whose law is the same for samples and data if their own laws are. The
converse holds only where the law of $(A, y)$ determines that of `x`: these scores are blind
to what no measurement shows.
"""

from __future__ import annotations

__all__ = ["MeasurementDistance", "compared"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.metrics import register
from dcdbench.metrics.frechet import empirical_frechet
from dcdbench.metrics.pairs import flat
from dcdbench.metrics.sliced_w2 import directions, sliced_w2
from dcdbench.problem import Corruption, Measurement, Reference
from dcdbench.selection import Comparison, compare


def comparable(m: Measurement, alike: bool) -> Tensor:
    """Measurements as vectors `(n, d)` whose entries mean the same in every draw."""
    return flat(m.y if alike else m.A.back(m.y))


def _fakes(samples: Tensor, corruption: Corruption, draws: int, rng: torch.Generator) -> list[Tensor]:
    """The samples, corrupted afresh for each of the draws."""
    alike = not corruption.operator.random
    return [comparable(corruption(samples.detach(), rng), alike) for _ in range(draws)]


def compared(
    samples: Tensor, held_out: Measurement, corruption: Corruption, rng: torch.Generator, *, draws: int = 4
) -> Comparison:
    """How corrupted `samples`, `(n, *signal)`, compare with held-out measurements.

    For choosing among checkpoints: give each a generator at the same address, so that they share the draws of
    A and the noise.
    """
    real = comparable(held_out.to(samples.device, samples.dtype), not corruption.operator.random)
    return compare(_fakes(samples, corruption, draws, rng), real)


@register("measurement")
@dataclass(frozen=True)
class MeasurementDistance:
    """Sliced W2 and Frechet distance between corrupted samples and the held-out measurements.

    Args:
        projections: How many directions for sliced W2.
        draws: How often the samples are corrupted afresh; scores are averaged.
    """

    projections: int = 500
    draws: int = 4

    needs: ClassVar[str] = "measurements"
    sampling_unit: ClassVar[str] = "corrupted samples and held-out measurements"
    values: ClassVar[dict[str, tuple[str, str]]] = {
        "measurement_sw2": ("lower", "measurement unit"),
        "measurement_frechet": ("lower", "measurement unit^2"),
    }

    def __post_init__(self) -> None:
        for name in ("projections", "draws"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        return None if len(reference.test) > 1 else "needs held-out measurements, and there are none"

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The scores of `samples`, `(n, *signal)`."""
        corruption = reference.corruption
        y = comparable(reference.test.to(samples.device, samples.dtype), not corruption.operator.random)
        theta = directions(self.projections, y.shape[1], rng)
        fakes = _fakes(samples, corruption, self.draws, rng)
        sliced = sum(sliced_w2(fake, y, theta) ** 2 for fake in fakes) / self.draws
        frechet = sum(empirical_frechet(fake, y) for fake in fakes) / self.draws
        return {"measurement_sw2": sliced**0.5, "measurement_frechet": frechet}
