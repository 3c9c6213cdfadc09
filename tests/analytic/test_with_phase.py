"""Complex images of a real source: magnitudes, phases, splits, classes."""

from __future__ import annotations

import pytest
import torch

from dcdbench.datasets.complex_image import COEFFICIENTS, monomials
from dcdbench.datasets.digits import Digits
from dcdbench.datasets.gaussian import LowRankGaussian
from dcdbench.datasets.letters import Letters
from dcdbench.datasets.phantom import Phantom
from dcdbench.datasets.photos import Photos
from dcdbench.datasets.with_phase import SPLITS, WithPhase
from dcdbench.streams import Stream

HERE = Stream(3) / "data"


def test_the_magnitude_is_the_image_and_the_phase_a_polynomial() -> None:
    """For every split; the control: a phase of 0 leaves real images."""
    source = Letters(size=12)
    plain, made = source.load(30, 20, HERE), WithPhase(source, 0.5).load(30, 20, HERE)
    for name in SPLITS:
        image, ink = getattr(made, name), (1 + getattr(plain, name)[:, 0]) / 2
        assert image.shape == (len(ink), 2, 12, 12) == (len(ink), *WithPhase(source).shape())
        u = torch.rand(len(ink), COEFFICIENTS, generator=(HERE / "phase" / name).rng(), dtype=torch.float64)
        angle = (0.5 * torch.special.ndtri(u) @ monomials(12).double()).view_as(ink)
        turned = torch.complex(image[:, 0].double(), image[:, 1].double()) * torch.exp(-1j * angle)
        assert float((turned - ink).abs().max()) < 1e-5
        assert float(image[:, 1].abs().max()) > 0.3
    real = WithPhase(source, 0.0).load(30, 20, HERE).train
    assert torch.equal(real[:, 0], (1 + plain.train[:, 0]) / 2)
    assert not bool(real[:, 1].any())


def test_more_images_leave_the_first_ones_as_they_were() -> None:
    few, many = (WithPhase(Letters(size=12)).load(n, 5, HERE).train for n in (20, 31))
    assert torch.equal(few, many[:20])
    assert not torch.equal(few, many[11:])


def test_classes_and_the_division_are_those_of_the_source() -> None:
    for source, train, heldout in ((Letters(size=12), 10, 40), (Digits(), 100, 90)):
        plain, made = source.load(train, heldout, HERE), WithPhase(source).load(train, heldout, HERE)
        assert set(made.labels) == {"reference", "floor"}
        assert all(torch.equal(made.labels[k], plain.labels[k]) for k in made.labels)
        assert WithPhase(source).divides == getattr(source, "divides", False)


def test_colours_are_averaged() -> None:
    source = Photos(size=8)
    plain, made = source.load(6, 5, HERE).train, WithPhase(source, 0.0).load(6, 5, HERE).train
    assert torch.equal(made[:, 0], (1 + plain.mean(1)) / 2)


def test_refuses_what_is_no_real_image() -> None:
    for source in (LowRankGaussian(dim=4, rank=2), Phantom(size=8)):
        with pytest.raises(ValueError, match="square real images"):
            WithPhase(source)
    with pytest.raises(ValueError, match="phase must be >= 0, got -1"):
        WithPhase(Letters(), -1.0)
