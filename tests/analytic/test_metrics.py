"""Each metric against an independent implementation, its laws, and its calibration."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.analytic import Gaussian, frechet
from dcdbench.metrics.energy import Energy, energy_distance
from dcdbench.metrics.frechet import Frechet, empirical_frechet
from dcdbench.metrics.manifold import Manifold, manifold_scores
from dcdbench.metrics.sliced_w2 import SlicedW2, directions, sliced_w2, w2_squared_1d
from dcdbench.metrics.w2 import W2, empirical_w2
from dcdbench.operators.identity import Identity
from dcdbench.problem import Corruption, Reference

seeds = st.integers(0, 2**31)
sizes = st.integers(2, 12)
tried = settings(max_examples=30, deadline=None)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def pair(seed: int, n: int = 60, m: int = 40, d: int = 3) -> tuple[Tensor, Tensor]:
    return normal(seed, n, d), 1.5 * normal(seed + 1, m, d) + 0.3


def reference(clean: Tensor) -> Reference:
    corruption = Corruption(Identity(), 0.2)
    return Reference(clean, corruption(clean, generator(99)), corruption)


# Independent implementations


@pytest.mark.parametrize("n", [5, 6])
def test_w2_is_the_best_assignment_by_brute_force(n: int) -> None:
    x, y = pair(0, n, n)
    cost = (x[:, None] - y).square().sum(2)
    best = min(cost[range(n), p].mean().item() for p in map(list, permutations(range(n))))
    assert empirical_w2(x, y) == pytest.approx(best**0.5)
    assert cost.diagonal().mean().item() > best  # control: not any assignment


@pytest.mark.parametrize(("n", "m"), [(30, 30), (30, 20), (7, 31)])
def test_w2_in_one_dimension_is_that_of_quantiles(n: int, m: int) -> None:
    x, y = pair(0, n, m, 1)
    assert empirical_w2(x, y) ** 2 == pytest.approx(w2_squared_1d(x.mT, y.mT).item())


@tried
@given(seeds, sizes, sizes)
def test_quantile_distance_is_exact_for_unequal_numbers(seed: int, n: int, m: int) -> None:
    """By repeating points until both samples are equally many, which changes neither law."""
    x, y = normal(seed, 3, n), normal(seed + 1, 3, m)
    k = math.lcm(n, m)
    xs, ys = (z.repeat_interleave(k // z.shape[1], 1).sort(1).values for z in (x, y))
    torch.testing.assert_close(w2_squared_1d(x, y), (xs - ys).square().mean(1))


def test_quantile_distance_bounds_the_one_of_scipy() -> None:
    """scipy has W1 only: it never exceeds W2, and equals it under translation."""
    from scipy.stats import wasserstein_distance

    x, y = pair(0, 50, 35, 1)
    w1 = wasserstein_distance(x[:, 0].numpy(), y[:, 0].numpy())
    assert w1 <= w2_squared_1d(x.mT, y.mT).item() ** 0.5
    w1 = wasserstein_distance(x[:, 0].numpy(), (x[:, 0] + 2).numpy())
    assert w2_squared_1d(x.mT, x.mT + 2).item() ** 0.5 == pytest.approx(w1)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 25)])
def test_sliced_w2_is_that_of_pot(n: int, m: int) -> None:
    import ot

    x, y = pair(1, n, m, 5)
    theta = directions(50, 5, generator(0))
    other = ot.sliced_wasserstein_distance(x.numpy(), y.numpy(), projections=theta.mT.numpy().copy())
    assert sliced_w2(x, y, theta) == pytest.approx(float(other), rel=1e-10)


def test_energy_is_that_of_scipy_and_of_sums() -> None:
    from scipy.stats import energy_distance as other

    x, y = pair(2, d=1)
    assert energy_distance(x, y) == pytest.approx(other(x[:, 0].numpy(), y[:, 0].numpy()) ** 2)
    x, y = pair(2, d=4)
    between, within_x, within_y = ((a[:, None] - b).norm(dim=2).mean() for a, b in ((x, y), (x, x), (y, y)))
    assert energy_distance(x, y) == pytest.approx((2 * between - within_x - within_y).item())


def test_energy_in_blocks_is_energy_at_once() -> None:
    x, y = pair(2, 2500, 1100, 2)
    between, wx, wy = (torch.cdist(a, b).mean() for a, b in ((x, y), (x, x), (y, y)))
    assert energy_distance(x, y) == pytest.approx((2 * between - wx - wy).item(), abs=1e-7)


def test_frechet_is_that_of_fitted_gaussians() -> None:
    x, y = pair(3, 200, 100, 4)
    p, q = (Gaussian(z.mean(0), torch.from_numpy(np.cov(z.mT.numpy()))) for z in (x, y))
    assert empirical_frechet(x, y) == pytest.approx(frechet(p, q), rel=1e-9)
    few = pair(3, 5, 7, 20)  # fewer samples than dimensions
    p, q = (Gaussian(z.mean(0), torch.from_numpy(np.cov(z.mT.numpy()))) for z in few)
    assert empirical_frechet(*few) == pytest.approx(frechet(p, q), rel=1e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_manifold_scores_by_brute_force(k: int) -> None:
    x, y = (z.numpy() for z in pair(4, 70, 50, 2))

    def ball(points: np.ndarray, c: int) -> float:
        return sorted(float(np.linalg.norm(points[c] - p)) for i, p in enumerate(points) if i != c)[k - 1]

    rx, ry = [ball(x, i) for i in range(len(x))], [ball(y, i) for i in range(len(y))]
    d = [[float(np.linalg.norm(a - b)) for b in y] for a in x]
    hits = [[d[i][j] < ry[j] for j in range(len(y))] for i in range(len(x))]
    expected = {
        "precision": np.mean([any(row) for row in hits]),
        "recall": np.mean([any(d[i][j] <= rx[i] for i in range(len(x))) for j in range(len(y))]),
        "density": np.sum(hits) / (k * len(x)),
        "coverage": np.mean([any(hits[i][j] for i in range(len(x))) for j in range(len(y))]),
    }
    assert manifold_scores(*map(torch.from_numpy, (x, y)), k) == pytest.approx(expected)


# Laws


DISTANCES = {
    "w2": empirical_w2,
    "sliced": lambda x, y: sliced_w2(x, y, directions(20, x.shape[1], generator(0))),
    "frechet": lambda x, y: empirical_frechet(x, y) ** 0.5,
    "energy": lambda x, y: energy_distance(x, y) ** 0.5,
}


@pytest.mark.parametrize("name", DISTANCES)
@tried
@given(seed=seeds, n=sizes, m=sizes)
def test_distances_are_metrics(name: str, seed: int, n: int, m: int) -> None:
    distance = DISTANCES[name]
    x, y = pair(seed, n, m)
    z = 2 * normal(seed + 2, 9, 3)
    assert distance(x, x) == pytest.approx(0, abs=1e-7)
    assert distance(x, y) == pytest.approx(distance(y, x), rel=1e-9) and distance(x, y) > 1e-3
    assert distance(x, z) <= distance(x, y) + distance(y, z) + 1e-9


@pytest.mark.parametrize(("name", "power"), [("w2", 1), ("sliced", 1), ("frechet", 1), ("energy", 0.5)])
@tried
@given(seed=seeds, scale=st.floats(0.01, 100))
def test_distances_scale_and_ignore_the_origin(name: str, power: float, seed: int, scale: float) -> None:
    distance = DISTANCES[name]
    x, y = pair(seed, 15, 10)
    value, shift = distance(x, y), normal(seed + 2, 3)
    assert distance(scale * x, scale * y) == pytest.approx(scale**power * value, rel=1e-6)
    assert distance(x + shift, y + shift) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("name", ["w2", "frechet", "energy"])
@tried
@given(seed=seeds)
def test_distances_ignore_rotation(name: str, seed: int) -> None:
    x, y = pair(seed, 15, 10)
    q = torch.linalg.qr(normal(seed + 2, 3, 3)).Q
    assert DISTANCES[name](x @ q, y @ q) == pytest.approx(DISTANCES[name](x, y), rel=1e-6)
    rotated = directions(20, 3, generator(0)) @ q
    assert sliced_w2(x @ q, y @ q, rotated) == pytest.approx(sliced_w2(x, y, rotated @ q.mT), rel=1e-9)


@tried
@given(seeds, sizes)
def test_translation_by_t_costs_t(seed: int, n: int) -> None:
    x, t = normal(seed, n + 1, 3), normal(seed + 1, 3)
    assert empirical_w2(x, x + t) == pytest.approx(t.norm().item(), rel=1e-6)
    assert empirical_frechet(x, x + t) == pytest.approx(t.square().sum().item(), rel=1e-6)
    theta = directions(20, 3, generator(0))
    assert sliced_w2(x, x + t, theta) == pytest.approx((theta @ t).square().mean().sqrt().item(), rel=1e-9)


@tried
@given(seeds, st.integers(4, 12))
def test_frechet_and_sliced_never_exceed_w2(seed: int, n: int) -> None:
    """Gelbrich's bound, for covariances that divide by n: the fitted ones divide by n - 1."""
    x, y = pair(seed, n, n)
    w2 = empirical_w2(x, y)
    assert sliced_w2(x, y, directions(20, 3, generator(0))) <= w2
    between_means = (x.mean(0) - y.mean(0)).square().sum().item()
    covariances = (empirical_frechet(x, y) - between_means) * (n - 1) / n
    assert between_means + covariances <= w2**2 * (1 + 1e-9)


def test_manifold_scores_see_what_is_missing_and_what_is_extra() -> None:
    clean = torch.cat([normal(0, 300, 2), normal(1, 300, 2) + 20])
    half = normal(2, 600, 2)
    scores = manifold_scores(half, clean, 5)
    assert scores["precision"] > 0.95 and scores["recall"] < 0.6 and scores["coverage"] < 0.6
    extra = torch.cat([normal(3, 300, 2), normal(4, 300, 2) - 20])
    assert manifold_scores(extra, clean, 5)["precision"] < 0.6


# Calibration


def test_floors_vanish_at_their_rates() -> None:
    """Clean against clean: near zero at large n, and far below a distance that is there."""
    law = Gaussian(torch.zeros(2), torch.eye(2))
    x, y = law.sample(2000, generator(0)), law.sample(2000, generator(1))
    ref = reference(y)
    floors = {
        name: value
        for m in (W2(), SlicedW2(), Frechet(), Energy())
        for name, value in m(x, ref, generator(2)).items()
    }
    assert 0 < floors["w2"] < 0.3 and 0 < floors["sliced_w2"] < 0.1
    assert 0 < floors["frechet"] < 0.02 and 0 < floors["energy"] < 0.01
    off = {
        name: value
        for m in (W2(), SlicedW2(), Frechet(), Energy())
        for name, value in m(1.5 * x, ref, generator(2)).items()
    }
    assert all(off[name] > 2 * floors[name] for name in floors)


def test_frechet_and_sliced_reach_their_closed_forms() -> None:
    a, b, d = 1.0, 1.44, 5
    x, y = normal(0, 20_000, d) * a**0.5, normal(1, 20_000, d) * b**0.5
    expected = d * (b**0.5 - a**0.5) ** 2
    assert empirical_frechet(x, y) == pytest.approx(expected, rel=0.1)
    assert d * sliced_w2(x, y, directions(50, d, generator(0))) ** 2 == pytest.approx(expected, rel=0.1)


# Mistakes


def test_mistakes_are_explained() -> None:
    x = normal(0, 20, 2)
    broken = x.clone()
    broken[3] = math.nan
    for metric in (W2(), SlicedW2(), Frechet(), Energy(), Manifold()):
        with pytest.raises(ValueError, match="non-finite"):
            metric(broken, reference(x), generator(0))
    with pytest.raises(ValueError, match="shape"):
        Frechet()(x, reference(normal(0, 20, 3)), generator(0))
    with pytest.raises(ValueError, match="projections must be >= 1"):
        SlicedW2(projections=0)
    assert "has 4" in (Manifold().supports(reference(x[:4])) or "")
    assert "none" in (W2().supports(Reference(None, reference(x).test, Corruption(Identity()))) or "")


def test_w2_thins_what_is_too_many() -> None:
    x, y = pair(0, 300, 300, 2)
    thinned = W2(limit=100)(x, reference(y), generator(0))["w2"]
    assert thinned != W2()(x, reference(y), generator(0))["w2"]
    assert thinned == W2(limit=100)(x, reference(y), generator(0))["w2"]
