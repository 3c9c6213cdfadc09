"""Outliers: as many as asked for, where they belong, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from component import nearest

from dcdbench.analytic import GaussianMixture
from dcdbench.datasets.contaminated import Contaminated, Outliers
from dcdbench.datasets.digits import Digits
from dcdbench.datasets.gaussian import LowRankGaussian
from dcdbench.datasets.gaussian_mixture import Mixture
from dcdbench.datasets.phantom import Phantom
from dcdbench.harness.resolve import Desk, component
from dcdbench.streams import Stream

RING = Mixture()
STREAM = Stream(5) / "data"


def changed(a: torch.Tensor, b: torch.Tensor) -> int:
    return int((a != b).flatten(1).any(1).sum())


@pytest.mark.parametrize("by", ["uniform", "gaussian"])
@pytest.mark.parametrize("fraction", [0.0, 0.1, 1.0])
def test_so_many_are_outliers(by: Outliers, fraction: float) -> None:
    source = Contaminated(RING, fraction, by, scale=3.0)
    got, clean = source.load(200, 50, STREAM), RING.load(200, 50, STREAM)
    assert changed(got.train, clean.train) == round(200 * fraction)
    assert changed(got.val, clean.val) == round(50 * fraction)
    for name in ("test", "reference", "floor"):
        assert torch.equal(getattr(got, name), getattr(clean, name))


def test_labels_are_those_of_the_signals_that_stay_clean() -> None:
    """And of digits: the nearest digit of the floor mostly has the label that a reference has."""
    got, clean = Contaminated(Digits(), 0.5).load(None, 300, STREAM), Digits().load(None, 300, STREAM)
    assert got.labels.keys() == {"reference", "floor"}
    assert all(torch.equal(got.labels[split], clean.labels[split]) for split in got.labels)
    found = got.labels["floor"][nearest(got.reference.flatten(1), got.floor.flatten(1))[1]]
    assert float((found == got.labels["reference"]).float().mean()) > 0.8
    assert float((found == got.labels["reference"].roll(1)).float().mean()) < 0.3  # control
    assert not Contaminated(RING).load(200, 50, STREAM).labels


def test_they_are_at_random_places() -> None:
    source = Contaminated(RING, 0.5)
    places = [
        (source.load(200, 50, stream).train != RING.load(200, 50, stream).train).any(1)
        for stream in (STREAM, Stream(6) / "data")
    ]
    assert not torch.equal(*places)
    assert 20 < int(places[0][:100].sum()) < 80


def test_their_scale() -> None:
    wide = Contaminated(RING, 1.0, "uniform", 2.0).load(4000, 50, STREAM).train
    assert float(wide.abs().max()) <= 2 and float(wide.var()) == pytest.approx(4 / 3, rel=0.1)
    wide = Contaminated(RING, 1.0, "gaussian", 2.0).load(4000, 50, STREAM).train
    assert float(wide.var()) == pytest.approx(4.0, rel=0.1)


def test_the_law_is_that_of_clean_signals_or_none() -> None:
    law = Contaminated(RING, 0.3).law()
    assert isinstance(law, GaussianMixture)
    assert torch.equal(law.cov, RING.law().cov)
    assert not hasattr(Contaminated(Digits()), "law")


def test_outliers_may_be_another_source() -> None:
    source = Contaminated(LowRankGaussian(2, 1), 0.2, outliers=RING)
    got, clean = source.load(100, 30, STREAM), LowRankGaussian(2, 1).load(100, 30, STREAM)
    assert (changed(got.train, clean.train), changed(got.val, clean.val)) == (20, 6)
    odd = got.train[(got.train != clean.train).any(1)]
    assert float((odd.norm(dim=1) - 1).abs().max()) < 0.4  # they are on the ring


def test_a_suite_names_what_is_inside() -> None:
    desk = Desk()
    spec = {
        "contaminated": {"of": {"gaussian": {"dim": 4, "rank": 2}}, "fraction": 0.2, "outliers": "digits"}
    }
    made = component(desk, ("data",), spec, "datasets")
    assert not desk.mistakes
    assert made == Contaminated(LowRankGaussian(4, 2), 0.2, outliers=Digits())
    with pytest.raises(ValueError, match="shape"):
        made.load(10, 6, STREAM)


@pytest.mark.parametrize("wrong", [{"fraction": 1.5}, {"fraction": -0.1}, {"scale": 0.0}])
def test_errors_name_the_field(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Contaminated(RING, **wrong)  # type: ignore[arg-type]


def test_measurements_cannot_be_contaminated() -> None:
    class Measured(Phantom):
        corrupted = True

    with pytest.raises(ValueError, match="of must be clean"):
        Contaminated(Measured())


def test_what_is_missing_inside_is_missing() -> None:
    class Absent(Phantom):
        def missing(self) -> str | None:
            return "no file"

    assert Contaminated(Absent()).missing() == "no file"
    assert Contaminated(RING, outliers=Absent()).missing() == "no file"
    assert Contaminated(RING).missing() is None
