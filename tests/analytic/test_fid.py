"""FID against scipy, on a network whose features are known; the content of its file is in the key."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor, nn

from dcdbench.harness.plan import make_plan
from dcdbench.harness.suitefile import load_suite
from dcdbench.metrics.fid import FID
from dcdbench.operators.identity import Identity
from dcdbench.problem import Corruption, Reference

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


class Quadratic(nn.Module):
    """Features of the channels' means and their squares."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3))
        return torch.cat([mean, mean.square()], 1)


class Flat(nn.Module):
    """Features that are images."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def save(net: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(net).save(path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(Quadratic(), tmp_path_factory.mktemp("weights") / "net.pt")


def images(seed: int, n: int = 40, channels: int = 3, side: int = 4) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    level = torch.rand(n, channels, 1, 1, generator=rng) - 0.5
    return level + 0.2 * torch.rand(n, channels, side, side, generator=rng)


def reference(clean: Tensor) -> Reference:
    corruption = Corruption(Identity())
    return Reference(clean, corruption(clean, torch.Generator()), corruption)


def score(metric: FID, x: Tensor, clean: Tensor) -> float:
    assert metric.supports(reference(clean)) is None
    return metric(x, reference(clean), torch.Generator())["fid"]


def by_hand(x: Tensor, y: Tensor, span: str) -> float:
    """Fréchet's formula with scipy, on means that resizing to one pixel leaves as they are."""
    features = []
    for part in (x, y):
        mean = part.double().mean((2, 3))
        mean = mean if span == "signed" else (mean + 1) / 2
        features.append(np.concatenate([mean, mean**2], 1))
    (m, n), (c, d) = ([f.mean(0) for f in features], [np.cov(f.T) for f in features])
    return float(((m - n) ** 2).sum() + np.trace(c + d - 2 * np.real(sqrtm(c @ d))))


@pytest.mark.parametrize("span", ["signed", "unit"])
def test_it_is_the_formula_on_the_network_s_features(weights: Path, span: str) -> None:
    x, y = images(0), 0.8 * images(1, 60)
    found = score(FID(weights, 1, span), x, y)  # type: ignore[arg-type]
    expected = by_hand(x, y, span)
    assert found == pytest.approx(expected, rel=1e-3)  # float32 features, and the root of a product
    other = by_hand(x, y, "unit" if span == "signed" else "signed")
    assert abs(found - other) > 0.1 * expected  # control


def test_images_are_clipped_resized_and_made_colour(weights: Path) -> None:
    x, y = images(0, channels=1), images(1, channels=1)
    metric = FID(weights, 8)
    assert score(metric, x.expand(-1, 3, -1, -1), y.expand(-1, 3, -1, -1)) == score(metric, x, y)
    far = x + 5 * (x > 0)
    assert score(metric, far, y) == score(metric, far.clamp(-1, 1), y) != score(metric, x, y)
    assert score(metric, y, y) == pytest.approx(0, abs=1e-9)


def test_what_it_cannot_score_has_a_reason(weights: Path, tmp_path: Path) -> None:
    metric = FID(weights)
    for clean in (images(0, channels=2), images(0).flatten(1), 3 * images(0), images(0, 1)):
        assert metric.supports(reference(clean))
    with pytest.raises(ValueError, match="features"):
        score(FID(save(Flat(), tmp_path / "flat.pt"), 4), images(0), images(1))
    with pytest.raises(ValueError, match="weights"):
        FID(tmp_path / "absent.pt")
    with pytest.raises(ValueError, match="size"):
        FID(weights, 0)


SUITE = """\
seeds: [0]
network: mlp
budget: {teacher_kimg: 1, student_kimg: 1}
tasks: {digits: {data: digits, operator: identity}}
methods: {observed: observed}
metrics: [frechet, {fid: {weights: net.pt, size: 8}}]
"""


def test_the_content_of_the_file_names_the_scores_and_not_its_place(tmp_path: Path, weights: Path) -> None:
    keys = {}
    for folder, net in (("here", Quadratic()), ("there", Quadratic()), ("changed", Flat())):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "net.pt"
        path.write_bytes(weights.read_bytes()) if isinstance(net, Quadratic) else save(net, path)
        suite = tmp_path / folder / "s.yaml"
        suite.write_text(SUITE)
        keys[folder] = {s.label: s.key for s in make_plan(load_suite(suite)).stages}
    assert keys["here"] == keys["there"]
    moved = {label.rpartition("/")[2] for label, key in keys["changed"].items() if key != keys["here"][label]}
    assert moved == {"scores"}
