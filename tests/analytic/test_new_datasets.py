"""Manifolds, phantoms, brains, published images, and mixtures at random: what their data obey.

Real data are replaced by files of the same form; the last test reads the real ones where they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest
import torch
from component import nearest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import avg_pool2d

from dcdbench.datasets import brain, phantom
from dcdbench.datasets.brain import Brain
from dcdbench.datasets.cifar10 import Cifar10
from dcdbench.datasets.complex_image import monomials, with_phase
from dcdbench.datasets.fashion_mnist import FashionMnist
from dcdbench.datasets.gaussian_mixture import STRETCH, Mixture
from dcdbench.datasets.manifold import WAVES, Manifold
from dcdbench.datasets.mnist import Mnist
from dcdbench.datasets.parts import InParts
from dcdbench.datasets.phantom import Ellipses, Phantom, magnitudes, paint
from dcdbench.protocols import Data
from dcdbench.streams import Stream

SEEDS = st.integers(0, 1000)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def load(source: Any, train: int = 40, heldout: int = 30, seed: int = 0) -> Data:
    data: Data = source.load(train, heldout, Stream(seed) / "data")
    return data


def rows(x: Tensor) -> set[tuple[float, ...]]:
    return {tuple(row) for row in x.flatten(1).tolist()}


# Manifolds


def parameters(n: int, intrinsic: int) -> Tensor:
    """A grid of period 1, over which means of series are exact."""
    axis = torch.arange(n, dtype=torch.float64) / n
    return torch.cartesian_prod(*[axis] * intrinsic).reshape(-1, intrinsic)


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 2), st.integers(0, 3), st.floats(0.6, 4.0))
def test_coordinates_of_a_manifold_have_mean_0_and_deviation_one_half(
    seed: int, intrinsic: int, more: int, smoothness: float
) -> None:
    source = Manifold(intrinsic + 1 + more, intrinsic, smoothness, seed)
    x = source.points(parameters(3 * WAVES, intrinsic))
    torch.testing.assert_close(x.mean(0), torch.zeros_like(x[0]), atol=1e-12, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.full_like(x[0], 0.5))
    coarse = source.points(parameters(3, intrinsic))  # control: too few points for that
    assert float(coarse.mean(0).abs().max()) > 1e-9


def test_a_manifold_is_closed_and_that_of_its_own_seed() -> None:
    u = torch.rand(50, 1, generator=generator())
    x = Manifold().points(u)
    torch.testing.assert_close(Manifold().points(u + 1), x, atol=1e-4, rtol=0)
    assert not torch.allclose(Manifold().points(u + 0.5), x, atol=0.1)
    assert not torch.allclose(Manifold(shape_seed=1).points(u), x, atol=0.1)


@pytest.mark.bits
def test_data_of_every_seed_lie_on_one_manifold() -> None:
    curve = Manifold().points(parameters(4000, 1)).float()
    for seed in (0, 1):
        data = load(Manifold(), 200, 50, seed)
        for x in (data.train, data.test, data.reference, data.floor):
            assert float(nearest(x, curve)[0].max()) < 0.01
    other = load(Manifold(shape_seed=1), 200).train  # control
    assert float(nearest(other, curve)[0].max()) > 0.1


@pytest.mark.parametrize("smoothness", [1.0, 2.0, 3.0])
def test_the_spectrum_of_a_manifold_decays_by_its_smoothness(smoothness: float) -> None:
    """The power of wave k falls like $k^{-2s}$; normal coefficients cancel in a median of many."""
    x = Manifold(2000, 1, smoothness).points(parameters(256, 1))
    power = torch.fft.rfft(x, dim=0).abs().square()
    power = (power / power[1:2]).median(1).values[1 : WAVES + 1]
    k = torch.arange(1, WAVES + 1, dtype=torch.float64)
    slope = torch.linalg.lstsq(torch.stack([torch.ones_like(k), k.log()], 1), power.log()).solution[1]
    assert float(slope) == pytest.approx(-2 * smoothness, abs=0.1)


@pytest.mark.parametrize("intrinsic", [1, 2])
def test_tangents_span_the_intrinsic_dimension(intrinsic: int) -> None:
    source = Manifold(intrinsic=intrinsic)
    u = torch.rand(1, intrinsic, generator=generator(), dtype=torch.float64)
    near = torch.randn(60, intrinsic, generator=generator(1), dtype=torch.float64)

    def ratio(step: float) -> float:
        spread = torch.linalg.svdvals(source.points(u + step * near) - source.points(u))
        return float(spread[intrinsic] / spread[intrinsic - 1])

    assert ratio(1e-4) < 0.02 < ratio(0.3)  # the latter, a control, sees the whole manifold


def test_a_manifold_refuses() -> None:
    for wrong in ({"intrinsic": 0}, {"intrinsic": 5}, {"smoothness": 0.5}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
            Manifold(**wrong)


# Phases and phantoms


def test_the_phase_is_a_polynomial_of_degree_2() -> None:
    n, size, phase = 400, 12, 0.05  # so small that no angle wraps around
    x = with_phase(torch.full((n, size, size), 0.7), phase, generator()).double()
    torch.testing.assert_close(x.square().sum(1).sqrt(), torch.full((n, size, size), 0.7).double())
    angle = torch.atan2(x[:, 1], x[:, 0]).flatten(1).mT
    basis = monomials(size).double().mT
    found = torch.linalg.lstsq(basis, angle).solution
    torch.testing.assert_close(basis @ found, angle, atol=1e-6, rtol=0)
    z = (found.square().mean() / phase**2 - 1) / (2 / found.numel()) ** 0.5
    assert abs(float(z)) < 4
    plane = basis[:, :3]  # control: one degree less
    assert float((plane @ torch.linalg.lstsq(plane, angle).solution - angle).abs().max()) > 1e-3


def ellipses(n: int, seed: int) -> Ellipses:
    def u(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=rng)

    rng = generator(seed)
    return Ellipses(u(-0.3, 0.3), u(-0.3, 0.3), u(0.2, 0.6), u(0.2, 0.6), u(0, 3.2), u(0.1, 1))


@settings(max_examples=15)
@given(SEEDS, st.sampled_from([16, 21, 32]))
def test_an_ellipse_has_its_area_wherever_it_lies(seed: int, size: int) -> None:
    """And its centre: the moments of degree 0 and 1."""
    e = ellipses(20, seed)
    image = paint([e], size)
    area = image.mean((1, 2)) / e.value * 4
    torch.testing.assert_close(area, torch.pi * e.width * e.height, rtol=0.06, atol=0.003)
    first = torch.einsum("nij,kij->nk", image, monomials(size)[1:3].view(2, size, size))
    centre = first / image.sum((1, 2))[:, None]
    torch.testing.assert_close(centre, torch.stack([e.x, e.y], 1), rtol=0, atol=0.03)


def test_edges_are_smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    e = ellipses(200, 0)
    area = torch.pi * e.width * e.height * e.value / 4
    fine = (paint([e], 16).mean((1, 2)) - area).abs().mean()
    monkeypatch.setattr(phantom, "FINE", 1)
    assert float((paint([e], 16).mean((1, 2)) - area).abs().mean()) > 3 * fine  # control


def test_what_is_painted_last_is_seen() -> None:
    low, high = ellipses(10, 0), ellipses(10, 1)
    both, above = paint([low, high], 16), paint([high], 16)
    inside = above == high.value[:, None, None]
    assert inside.any() and torch.equal(both[inside], above[inside])
    assert not torch.equal(paint([high, low], 16)[inside], above[inside])  # control


def test_phantoms_are_heads_of_magnitude_at_most_one() -> None:
    x = load(Phantom(), 300).train
    magnitude = x.square().sum(1).sqrt()
    assert float(magnitude.max()) <= 1 + 1e-6 and float(magnitude.mean()) > 0.2
    assert float(magnitude[:, (0, 0, -1, -1), (0, -1, 0, -1)].max()) == 0  # corners
    assert float(magnitude[:, 7:9, 4:12].mean()) > 0.3
    assert float(x[:, 1].abs().mean()) > 0.05  # truly complex
    real = load(Phantom(phase=0), 300).train
    assert float(real[:, 1].abs().max()) == 0 and float(real[:, 0].min()) >= 0
    assert float(real.std(0).max()) > 0.1 and len(rows(real)) == 300


def test_sizes_show_the_same_heads() -> None:
    small, large = (magnitudes(20, size, generator(3)) for size in (12, 48))
    pooled = avg_pool2d(large, 4)
    assert float((pooled - small).abs().mean()) < 0.01
    assert float((pooled - magnitudes(20, 12, generator(4))).abs().mean()) > 0.03  # control


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = magnitudes(50, 8, generator())
    monkeypatch.setattr(phantom, "BLOCK", 7 * 32**2)
    torch.testing.assert_close(magnitudes(50, 8, generator()), whole)


@pytest.mark.parametrize("make", [Phantom, Brain])
def test_complex_images_refuse(make: type) -> None:
    with pytest.raises(ValueError, match="size must be"):
        make(size=3)
    with pytest.raises(ValueError, match="phase must be"):
        make(phase=-1.0)


# Files of real data


PARTS = pytest.mark.parametrize("make", published.SOURCES)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of the real ones' form: a volume of noise, and images that say their number and part."""
    published.put(tmp_path, monkeypatch)
    volume = np.random.default_rng(0).integers(0, 128, (56, 80, 112), np.uint8)
    np.savez(tmp_path / "volume.npz", images=volume)
    monkeypatch.setattr(brain, "FILE", published.known(tmp_path, "volume.npz"))
    return tmp_path


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("make", [Brain, *published.SOURCES])
def test_data_that_are_here_are_not_missing(make: type) -> None:
    assert make().missing() is None and len(load(make()).train) == 40


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Brain, "volume.npz"),
        (FashionMnist, "fashion-mnist/t10k-labels-idx1-ubyte.gz"),
        (Mnist, "mnist/train-images-idx3-ubyte.gz"),
        (Cifar10, "cifar-10-python.tar.gz"),
    ],
)
def test_files_of_other_content_are_refused(make: type, name: str, files: Path) -> None:
    (files / name).write_bytes(b"another")
    with pytest.raises(ValueError, match=f"{name} is another file"):
        load(make())


def test_slices_are_of_one_split() -> None:
    val, test, train = (set(brain._indices(split)) for split in ("val", "test", "train"))
    assert not (val & test | val & train | test & train)
    assert val | test | train == set(range(48)) and (len(train), len(val), len(test)) == (33, 6, 9)
    assert brain._indices("floor") == brain._indices("train")
    assert brain._indices("reference") == brain._indices("test")


@pytest.mark.usefixtures("files")
@pytest.mark.bits
def test_signals_are_slices_of_their_split_or_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brain, "TURN", 0.0)
    monkeypatch.setattr(brain, "SHIFT", 0.0)
    slices = brain._slices()
    data = load(Brain(size=112, phase=0), 12, 9)
    for split in ("train", "val", "test", "reference", "floor"):
        x = getattr(data, split)[:, 0]
        own = slices[brain._indices(split)]
        distance, which = nearest(x.flatten(1), torch.cat([own, own.flip(-1)]).flatten(1))
        assert float(distance.max()) < 1e-2, split
        assert int((which < len(own)).sum()) not in (0, len(x)), split  # some are mirrored
    other = slices[brain._indices("val")]  # control
    assert float(nearest(data.train[:, 0].flatten(1), other.flatten(1))[0].min()) > 1


@pytest.mark.usefixtures("files")
def test_brains_are_turned_and_moved_a_little() -> None:
    """As bright as they were; a turn of 10 degrees and a shift of 7 % keep what is near the middle."""
    x = load(Brain(size=28, phase=0.5), 200).train
    magnitude = x.square().sum(1).sqrt()
    assert len(rows(x)) == 200 and float(magnitude.max()) <= 1
    mean = brain._slices()[brain._indices("train")].mean()
    assert float(magnitude.mean()) == pytest.approx(float(mean), rel=0.03)
    assert float(magnitude[:, :, :2].mean()) < 0.1 * mean < float(magnitude[:, 10:18, 10:18].mean())


def marks(x: Tensor, pixel: int) -> set[int]:
    """What images say in one pixel, in all channels alike."""
    said = (x[:, :, 0, pixel] * 127.5 + 127.5).round().int()
    assert bool((said == said[:, :1]).all())
    return set(said.flatten().tolist())


@pytest.mark.usefixtures("files")
@PARTS
def test_images_that_are_held_out_come_from_the_test_part(make: type[InParts]) -> None:
    source = make()
    data = load(source, 150, 60)
    found = {name: marks(getattr(data, name), 1) for name in ("train", "floor", "val", "test", "reference")}
    early, late = {published.EARLY}, {published.LATE}
    assert found == {"train": early, "floor": early, "val": late, "test": late, "reference": late}
    assert float(data.train.min()) == -1 and float(data.train.max()) == 1
    assert torch.equal(data.test, data.reference)
    assert data.test.data_ptr() != data.reference.data_ptr()  # files of tensors refuse shared memory
    with pytest.raises(ValueError, match="must fit into 200 images for training and 100"):
        load(source, 201)


@pytest.mark.usefixtures("files")
@PARTS
def test_labels_are_what_the_images_say(make: type[InParts]) -> None:
    data = load(make(), 150, 60)
    for split, labels in data.labels.items():
        said = (getattr(data, split)[:, 0, 0, 0] * 127.5 + 127.5).round().long()
        assert torch.equal(said, labels) and not torch.equal(said.flip(0), labels)


@pytest.mark.usefixtures("files")
@PARTS
def test_every_image_of_a_part_is_taken_once(make: type[InParts]) -> None:
    """And channels are apart: pixels are those of the files, in whatever order."""
    data = load(make(), published.EARLY, published.LATE)
    for x, n in ((data.train, published.EARLY), (torch.cat([data.val, data.test]), published.LATE)):
        pixels = torch.from_numpy(published.images(n, *x.shape[1:3])[0])
        assert rows((x * 127.5 + 127.5).round()) == rows(pixels)


@pytest.mark.usefixtures("files")
@PARTS
def test_small_images_are_means_of_large_ones(make: type[InParts]) -> None:
    large, half, quarter = (load(make(size=make.side // factor)).train for factor in (1, 2, 4))
    torch.testing.assert_close(half, avg_pool2d(large, 2), atol=1e-6, rtol=0)
    torch.testing.assert_close(quarter, avg_pool2d(half, 2), atol=1e-6, rtol=0)
    assert not torch.equal(quarter, large[:, :, ::4, ::4])  # control


@pytest.mark.usefixtures("files")
@PARTS
def test_images_of_chosen_classes(make: type[InParts]) -> None:
    data = load(make(classes=(3, 7)), 40, 20)
    assert marks(torch.cat([data.train, data.val, data.test]), 0) == {3, 7}
    assert set(data.labels["reference"].tolist()) == {3, 7}
    with pytest.raises(ValueError, match="must fit into 40 images"):
        load(make(classes=(3, 7)), 41)


@PARTS
def test_images_in_parts_refuse(make: type[InParts]) -> None:
    sizes = ", ".join(str(make.side // factor) for factor in (1, 2, 4))
    with pytest.raises(ValueError, match=f"size must be one of {sizes}, got 30"):
        make(size=30)
    for classes in ((10,), (1, 1)):
        with pytest.raises(ValueError, match="classes must be different numbers"):
            make(classes=classes)


def test_real_data_are_what_they_should_be(data_folder: Path) -> None:
    x = load(Brain(phase=0), 60).train
    assert x.shape[1:] == (2, 32, 32) and 0.15 < float(x[:, 0].mean()) < 0.35 and float(x.min()) >= -1e-6
    assert float((x[:, 0] > 0.1).float().mean((1, 2)).min()) > 0.1  # a slice holds brain
    clothes = load(FashionMnist(size=7, classes=(1,)), 6000, 1000)  # trousers: dark at the sides
    assert float(clothes.train[..., 0].mean()) < -0.9 < float(clothes.train[..., 3].mean())
    with pytest.raises(ValueError, match="must fit into 6000 images for training and 1000"):
        load(FashionMnist(classes=(1,)), 6001)
    for file in (brain.FILE, *FashionMnist.files):
        assert (data_folder / file.name).stat().st_size == file.size


# Mixtures at random


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 16), st.integers(1, 12), st.floats(0.01, 1.0))
def test_components_at_random_have_axes_of_their_own(seed: int, dim: int, modes: int, std: float) -> None:
    law = Mixture("random", modes, std, dim, layout_seed=seed).law()
    assert law.means.shape == (modes, dim) and float(law.means.abs().max()) <= 1
    variances = torch.linalg.eigvalsh(law.covs)
    torch.testing.assert_close(variances.mean(1), torch.full((modes,), std**2).double())
    assert bool((variances[:, -1] <= (1 + 1e-9) * STRETCH**2 * variances[:, 0]).all())


def test_the_layout_at_random_is_that_of_its_own_seed() -> None:
    source = Mixture("random", 6, 0.2, 16)
    one, other = source.law(), Mixture("random", 6, 0.2, 16, layout_seed=1).law()
    assert torch.equal(one.covs, source.law().covs) and not torch.allclose(one.means, other.means)
    off = one.covs - torch.diag_embed(one.covs.diagonal(dim1=1, dim2=2))
    assert float(off.abs().max()) > 1e-3 and not torch.allclose(one.covs[0], one.covs[1])
    ring = Mixture(dim=3).law()  # control: components of the other layouts are alike and round
    torch.testing.assert_close(ring.covs, (0.05**2 * torch.eye(3).double()).expand(8, -1, -1))


def test_data_of_a_mixture_at_random_follow_its_law() -> None:
    source = Mixture("random", 4, 0.3, 16, weights=(1.0, 2.0, 3.0, 4.0))
    law, n = source.law(), 20_000
    torch.testing.assert_close(law.weights, torch.tensor([0.1, 0.2, 0.3, 0.4]).double())
    x = load(source, n).train.double()
    z = (x.mean(0) - law.mean) / (law.cov.diagonal() / n).sqrt()
    assert float(z.abs().max()) < 4.5
    assert float((x.T.cov() - law.cov).abs().max()) < 6 * float(law.cov.diagonal().max()) * (2 / n) ** 0.5
