"""Scores in measurement space: they see what clean-data metrics see, as far as measurements show it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dcdbench.metrics.measurement import MeasurementDistance, compared
from dcdbench.metrics.sliced_w2 import directions, sliced_w2
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.motion_blur import MotionBlur
from dcdbench.problem import Corruption, Reference
from dcdbench.selection import advantage, compare


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("operator", [Identity(), Inpainting(keep=0.5)])
def test_candidates_are_ranked_without_clean_data(operator: object) -> None:
    corruption = Corruption(operator, 0.3)  # type: ignore[arg-type]
    clean = 0.5 * normal(0, 2000, 4).float()
    held_out = corruption(clean, generator(1))
    fresh = 0.5 * normal(2, 2000, 4).float()
    metric, ref = MeasurementDistance(), Reference(None, held_out, corruption)
    found = [metric(scale * fresh, ref, generator(3)) for scale in (1.0, 1.3, 2.0)]
    for name in metric.values:
        assert found[0][name] < 0.5 * found[1][name] < 0.5 * found[2][name]
    right, *wrong = (compared(s * fresh, held_out, corruption, generator(3)) for s in (1.0, 1.3, 2.0))
    assert right.distance < wrong[0].distance < wrong[1].distance
    noisy = fresh + 0.3 * normal(4, 2000, 4).float()  # a student that kept the noise is seen, too
    wrong.append(compared(noisy, held_out, corruption, generator(3)))
    assert all(advantage(right, each, 1).clear and not advantage(each, right, 1).clear for each in wrong)


def test_without_operator_or_noise_the_samples_themselves_are_compared() -> None:
    corruption = Corruption(Identity(), 0.0)
    x, y = normal(0, 60, 3).float(), normal(1, 40, 3).float() + 0.3
    held_out = corruption(y, generator(0))
    assert compared(x, held_out, corruption, generator(1)).distance == pytest.approx(compare([x], y).distance)
    metric = MeasurementDistance(projections=30, draws=1)
    found = metric(x, Reference(None, held_out, corruption), generator(1))["measurement_sw2"]
    assert found == pytest.approx(sliced_w2(x.double(), y.double(), directions(30, 3, generator(1))))


def test_measurements_by_random_operators_are_compared_as_signals() -> None:
    """Random rows: y is one number whose meaning changes, and A^T y tells directions apart."""
    law = _RandomRow()
    corruption = Corruption(law, 0.0)
    wide, tall = (normal(i, 3000, 2).float() * torch.tensor(s) for i, s in ((0, [3.0, 0.3]), (1, [0.3, 3.0])))
    held_out = corruption(wide, generator(2))
    again = normal(5, 3000, 2).float() * torch.tensor([3.0, 0.3])
    same, other = (compared(x, held_out, corruption, generator(3)).distance for x in (again, tall))
    assert other > 0.1 > 10 * abs(same)
    bare = compare([corruption(tall, generator(4)).y], held_out.y).distance
    assert abs(bare) < 0.01  # control: the bare numbers do not tell


def test_samples_that_are_measurements_are_compared_with_measurements() -> None:
    """Such is what some teachers learn of a random operator: nothing is left to be done to their samples."""
    x = normal(0, 2000, 1, 6, 6).float().cumsum(-1).cumsum(-2)
    x = x / x.std()
    blurred = Corruption(MotionBlur(), 0.1)
    held_out, y = blurred(x[:1000], generator(1)), blurred(x[1000:], generator(2)).y
    done = Corruption(Identity())
    right = compared(y, held_out, done, generator(3))
    assert right.distance == pytest.approx(
        compared(x[1000:], held_out, blurred, generator(3)).distance, abs=0.02
    )
    wrong = compared(held_out.A.back(y), held_out, done, generator(3))
    assert advantage(right, wrong, 1).clear  # control


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
