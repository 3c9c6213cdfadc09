"""Scores in measurement space: they see what clean-data metrics see, as far as measurements show it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dcdbench.metrics.measurement import MeasurementDistance, measurement_distance
from dcdbench.metrics.sliced_w2 import directions, sliced_w2
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.motion_blur import MotionBlur
from dcdbench.problem import Corruption, Reference


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("operator", [Identity(), Inpainting(keep=0.5)])
def test_measurement_distance_ranks_without_clean_data(operator: object) -> None:
    corruption = Corruption(operator, 0.3)  # type: ignore[arg-type]
    clean = 0.5 * normal(0, 2000, 4).float()
    held_out = corruption(clean, generator(1))
    fresh = 0.5 * normal(2, 2000, 4).float()
    metric, ref = MeasurementDistance(), Reference(None, held_out, corruption)
    found = [metric(scale * fresh, ref, generator(3)) for scale in (1.0, 1.3, 2.0)]
    for name in metric.values:
        assert found[0][name] < 0.5 * found[1][name] < 0.5 * found[2][name]
    chosen = [measurement_distance(s * fresh, held_out, corruption, generator(3)) for s in (1.0, 1.3, 2.0)]
    assert sorted(chosen) == chosen
    noisy = fresh + 0.3 * normal(4, 2000, 4).float()  # a student that kept the noise is seen, too
    assert measurement_distance(noisy, held_out, corruption, generator(3)) > 1.5 * chosen[0]


def test_measurement_distance_without_operator_or_noise_is_sliced_w2() -> None:
    corruption = Corruption(Identity(), 0.0)
    x, y = normal(0, 60, 3).float(), normal(1, 40, 3).float() + 0.3
    held_out = corruption(y, generator(0))
    found = measurement_distance(x, held_out, corruption, generator(1), projections=30)
    theta = directions(30, 3, generator(1))
    assert found == pytest.approx(sliced_w2(x.double(), y.double(), theta))


def test_measurements_by_random_operators_are_compared_as_signals() -> None:
    """Random rows: y is one number whose meaning changes, and A^T y tells directions apart."""
    law = _RandomRow()
    corruption = Corruption(law, 0.0)
    wide, tall = (normal(i, 3000, 2).float() * torch.tensor(s) for i, s in ((0, [3.0, 0.3]), (1, [0.3, 3.0])))
    held_out = corruption(wide, generator(2))
    same = measurement_distance(
        normal(5, 3000, 2).float() * torch.tensor([3.0, 0.3]), held_out, corruption, generator(3)
    )
    other = measurement_distance(tall, held_out, corruption, generator(3))
    assert other > 5 * same
    y = held_out.y.double(), corruption(tall, generator(4)).y.double()
    assert sliced_w2(*y, torch.ones(1, 1)) < 2 * same  # control: the bare numbers do not tell


def test_samples_that_are_measurements_are_compared_with_measurements() -> None:
    """Such is what some teachers learn of a random operator: nothing is left to be done to their samples."""
    x = normal(0, 2000, 1, 6, 6).float().cumsum(-1).cumsum(-2)
    x = x / x.std()
    blurred = Corruption(MotionBlur(), 0.1)
    held_out, y = blurred(x[:1000], generator(1)), blurred(x[1000:], generator(2)).y
    done = Corruption(Identity())
    right = measurement_distance(y, held_out, done, generator(3))
    assert right == pytest.approx(measurement_distance(x[1000:], held_out, blurred, generator(3)), abs=0.05)
    adjoint = held_out.A.back(y)
    assert right < 0.7 * measurement_distance(adjoint, held_out, done, generator(3))  # control


class _Rows:
    linear = True

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def __call__(self, x: Tensor) -> Tensor:
        return (self.rows * x).sum(1, keepdim=True)

    def pinv(self, y: Tensor) -> Tensor:
        return self.rows * y

    back = pinv

    def tensors(self) -> dict[str, Tensor]:
        return {"rows": self.rows}

    def __getitem__(self, index: Tensor | slice) -> _Rows:
        return _Rows(self.rows[index])

    def to(self, device: object = None, dtype: torch.dtype | None = None) -> _Rows:
        return _Rows(self.rows.to(dtype=dtype))


class _RandomRow:
    linear = True
    random = True

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> _Rows:
        return _Rows(torch.eye(2)[torch.randint(2, (n,), generator=rng)])
