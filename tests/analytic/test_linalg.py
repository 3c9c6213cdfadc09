"""Square roots and the Bures distance, against POT and against their laws."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.linalg import (
    PRODUCTS_DIM,
    bures,
    bures_factors,
    distances,
    distances_by_products,
    eigh_psd,
    sqrtm,
)
from dcdbench.metrics.energy import energy_distance

seeds = st.integers(0, 2**31)
tried = settings(max_examples=30, deadline=None)
dims = st.integers(1, 6)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def covariance(seed: int, d: int, rank: int | None = None) -> Tensor:
    f = normal(seed, d, rank or d)
    return f @ f.mT


@tried
@given(seeds, dims, dims)
def test_square_root_squares_to_the_matrix(seed: int, d: int, rank: int) -> None:
    a = covariance(seed, d, min(rank, d))
    root = sqrtm(a)
    torch.testing.assert_close(root @ root, a, atol=1e-12 * a.trace().item(), rtol=0)
    torch.testing.assert_close(root, root.mT)


def test_singular_matrix_keeps_its_rank_through_the_root() -> None:
    a = covariance(0, 6, 2)
    assert int((eigh_psd(a)[0] > 0).sum()) == 2
    assert int((torch.linalg.eigvalsh(a) != 0).sum()) > 2  # control: without the threshold it does not


def test_indefinite_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="eigenvalues >= 0"):
        sqrtm(torch.diag(torch.tensor([1.0, -0.1], dtype=torch.float64)))


@tried
@given(seeds, dims)
def test_bures_is_that_of_pot(seed: int, d: int) -> None:
    import ot

    a, b, zero = covariance(seed, d), covariance(seed + 1, d), torch.zeros(d, dtype=torch.float64)
    other = ot.gaussian.bures_wasserstein_distance(zero.numpy(), zero.numpy(), a.numpy(), b.numpy())
    assert math.sqrt(bures(a, b)) == pytest.approx(float(other), abs=1e-6)


@tried
@given(seeds, dims, st.integers(1, 6))
def test_bures_is_a_metric(seed: int, d: int, rank: int) -> None:
    a, b, c = (covariance(seed + i, d, min(d, rank)) for i in range(3))
    ab, bc, ac = (bures(p, q).sqrt().item() for p, q in ((a, b), (b, c), (a, c)))
    assert bures(a, a).item() < 1e-20 * a.trace().item()
    assert bures(b, a).sqrt().item() == pytest.approx(ab, abs=1e-9)
    assert ac <= ab + bc + 1e-9


@tried
@given(seeds, st.integers(1, 6), st.floats(1e-3, 1e3))
def test_bures_scales_and_rotates(seed: int, d: int, scale: float) -> None:
    a, b = covariance(seed, d), covariance(seed + 1, d)
    q = torch.linalg.qr(normal(seed + 2, d, d)).Q
    value = bures(a, b).item()
    assert bures(scale * a, scale * b).item() == pytest.approx(scale * value, rel=1e-9)
    assert bures(q @ a @ q.mT, q @ b @ q.mT).item() == pytest.approx(value, rel=1e-9)


def test_close_covariances_keep_their_digits() -> None:
    step = 1e-7
    a = torch.eye(3, dtype=torch.float64)
    b = (1 + step) ** 2 * a
    exact = 3 * step**2
    assert bures(a, b).item() == pytest.approx(exact, rel=1e-6, abs=0)
    naive = (a + b).trace() - 2 * sqrtm(sqrtm(a) @ b @ sqrtm(a)).trace()
    assert naive.item() != pytest.approx(exact, rel=1e-3, abs=0)  # control: traces cancel


def test_singular_against_regular_and_rectangular_factors() -> None:
    a = torch.diag(torch.tensor([4.0, 0.0, 0.0], dtype=torch.float64))
    b = torch.diag(torch.tensor([1.0, 9.0, 0.0], dtype=torch.float64))
    assert bures(a, b).item() == pytest.approx(1 + 9, rel=1e-14)
    f, g = normal(0, 5, 2), normal(1, 5, 7)
    assert bures_factors(f, g).item() == pytest.approx(bures(f @ f.mT, g @ g.mT).item(), rel=1e-10)


@tried
@given(seeds, st.sampled_from([1, 3, 64, 200]))
def test_distances_are_norms_of_differences(seed: int, d: int) -> None:
    x, y = normal(seed, 7, d), normal(seed + 1, 40, d)
    torch.testing.assert_close(distances(x, y), (x[:, None] - y).norm(dim=2))


@pytest.mark.parametrize("d", [2, 15, 16, 64, 300])
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_distances_by_products_are_within_their_bound(d: int, offset: float) -> None:
    """Of points that are far, near and equal, against differences in float64."""
    rng = torch.Generator().manual_seed(d)
    x, far = (torch.randn(40, d, generator=rng) + offset for _ in range(2))
    near = x + 1e-5 * torch.randn(40, d, generator=rng)
    y = torch.cat([far, near, x])
    exact = (x.double()[:, None] - y.double()).norm(dim=2)
    centre = y.double().mean(0)
    size = (x - centre).norm(dim=1)[:, None] + (y - centre).norm(dim=1)
    rounding = torch.finfo(torch.float64 if d >= PRODUCTS_DIM else torch.float32).eps
    root = size * ((d + 4) * torch.finfo(torch.float64).eps) ** 0.5
    bound = root if d >= PRODUCTS_DIM else 4 * d * rounding * exact
    assert bool(((distances_by_products(x, y) - exact).abs() <= bound).all())
    if d >= PRODUCTS_DIM:  # control: products in float32, of points that are not centred
        single = torch.cdist(x, y, compute_mode="use_mm_for_euclid_dist")
        assert not bool(((single - exact).abs() <= bound).all())


def test_the_mean_over_pairs_of_near_points_keeps_its_digits() -> None:
    """The distance of two clouds in 64 dimensions that differ by 1e-4 of their size."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(300, 64, generator=rng)
    y = x + 1e-4 * torch.randn(300, 64, generator=rng)
    means = [
        float((a.double()[:, None] - b.double()).norm(dim=2).mean()) for a, b in ((x, y), (x, x), (y, y))
    ]
    assert energy_distance(x, y) == pytest.approx(2 * means[0] - means[1] - means[2], abs=2e-9)
    assert energy_distance(x, x) == 0.0
    assert energy_distance(x, y) > 1e-7  # control: it is seen
