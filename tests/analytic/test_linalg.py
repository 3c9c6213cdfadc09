"""Square roots and the Bures distance, against POT and against their laws."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.linalg import bures, bures_factors, distances, eigh_psd, sqrtm

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
