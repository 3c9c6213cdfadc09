"""Given matrices, greyscale and random projections against their formulas and laws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.harness.conformance import check_operator
from dcdbench.operators.greyscale import Greyscale
from dcdbench.operators.matrix import Matrix
from dcdbench.operators.random_projections import Projections, RandomProjections
from dcdbench.streams import Stream

seeds = st.integers(0, 2**32)


def normal(*shape: int, seed: int = 0, name: str = "x") -> Tensor:
    return torch.randn(*shape, generator=(Stream(seed) / name).rng(), dtype=torch.float64)


def drawn(law: Any, shape: tuple[int, ...], n: int = 2, seed: int = 0) -> Any:
    return law.draw(shape, n, (Stream(seed) / "A").rng()).to(dtype=torch.float64)


def entries(a: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in a.tolist())


@given(m=st.integers(1, 6), d=st.integers(1, 6), seed=seeds)
def test_a_matrix_is_the_matrix(m: int, d: int, seed: int) -> None:
    a, x, y = normal(m, d, seed=seed, name="a"), normal(3, d, seed=seed), normal(3, m, seed=seed, name="y")
    A = drawn(Matrix(entries(a)), (d,), n=3)
    torch.testing.assert_close(A(x), x @ a.mT)
    torch.testing.assert_close(A.adjoint(y), y @ a)
    torch.testing.assert_close(A.pinv(y), y @ torch.linalg.pinv(a).mT)
    assert Matrix(entries(a)).identifiable((d,)) == (m >= d)


def test_a_matrix_on_images_and_what_is_stored_of_it() -> None:
    a, x, law = normal(4, 12, name="a"), normal(5, 2, 3, 2), None
    law = Matrix(entries(a))
    A = drawn(law, (2, 3, 2), n=5)
    torch.testing.assert_close(A(x), x.flatten(1) @ a.mT)
    again = law.restore(A[1:3].tensors())
    torch.testing.assert_close(again.pinv(A(x)[1:3]), A.pinv(A(x))[1:3])
    assert A.adjoint(A(x)).shape == x.shape and sum(t.numel() for t in A.tensors().values()) == 0
    assert law.restore({}).adjoint(A(x)).shape == (5, 12)  # without a shape, signals are vectors


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_matrix_from_a_file(tmp_path: Path, name: str) -> None:
    a, x, file = np.arange(6, dtype=np.int32).reshape(2, 3), normal(2, 3), tmp_path / name
    np.save(file, a) if name == "a.npy" else np.savez(file, whatever=a)
    A = drawn(Matrix(file=file), (3,))
    torch.testing.assert_close(A(x), x @ torch.tensor(a, dtype=torch.float64).mT)
    assert A(x.float()).dtype == torch.float32 and not Matrix(file=file).identifiable((3,))


def test_mistaken_matrices_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "vector.npy", np.zeros(3))
    np.save(tmp_path / "nan.npy", np.full((2, 2), np.nan))
    (tmp_path / "text.npy").write_text("no array")
    for name, text in (
        ("none", "exists"),
        ("vector", "two axes"),
        ("nan", "NaN"),
        ("text", "cannot be read"),
    ):
        with pytest.raises(ValueError, match=f"^file .*{text}"):
            Matrix(file=tmp_path / f"{name}.npy")
    with pytest.raises(ValueError, match="entries must be rows of one length"):
        Matrix(((1.0,), (1.0, 2.0)))
    with pytest.raises(ValueError, match=r"entries has 2 columns, .* have 6 entries"):
        Matrix().measured_shape((1, 2, 3))


@given(seed=seeds, weights=st.lists(st.floats(0.1, 2), min_size=1, max_size=4))
def test_greyscale_is_the_weighted_sum(seed: int, weights: list[float]) -> None:
    shape, w = (len(weights), 3, 2), torch.tensor(weights).double()[:, None, None]
    A, x = drawn(Greyscale(tuple(weights)), shape), normal(2, *shape, seed=seed)
    torch.testing.assert_close(A(x), (w * x).sum(1, keepdim=True))
    torch.testing.assert_close(A(A.pinv(A(x))), A(x))
    torch.testing.assert_close(A.adjoint(A(x)), w * A(x))


def test_greyscale_keeps_grey_images() -> None:
    grey = normal(2, 1, 4, 4)
    torch.testing.assert_close(
        drawn(Greyscale(), (3, 4, 4))(grey.expand(2, 3, 4, 4)), grey, atol=1e-6, rtol=0
    )
    with pytest.raises(ValueError, match=r"3 channels, .* \(1, 4, 4\)"):
        Greyscale().measured_shape((1, 4, 4))
    assert Greyscale().measured_shape((3, 4, 4)) == (1, 4, 4)
    assert not Greyscale().identifiable((3, 4, 4)) and Greyscale((2.0,)).identifiable((1, 4, 4))


@pytest.mark.parametrize("orthonormal", [False, True])
@pytest.mark.parametrize("shape", [(4,), (1, 2, 2)], ids=str)
def test_projections_look_in_all_directions_alike(orthonormal: bool, shape: tuple[int, ...]) -> None:
    """`E[A^T A] = (m / d) I` for rows of norm 1, with the variances of entries of uniform directions."""
    n, m, d = 20000, 3, 4
    A = drawn(RandomProjections(m, orthonormal), shape, n)
    rows = A.rows.flatten(2)
    norms = rows.norm(dim=2)
    torch.testing.assert_close(norms, torch.ones_like(norms), atol=1e-6, rtol=0)
    each = rows.mT @ rows
    expected = (m / d) * torch.eye(d, dtype=torch.float64)
    z = (each.mean(0) - expected) / (each.std(0) / n**0.5)
    assert float(z.abs().max()) < 4.5
    assert float((rows.mean(0) * (n * d) ** 0.5).abs().max()) < 4.5


def test_orthonormal_rows() -> None:
    eye = torch.eye(3, dtype=torch.float64).expand(6, 3, 3)
    for orthonormal in (True, False):
        rows = drawn(RandomProjections(3, orthonormal), (5,), n=6).rows
        assert torch.allclose(rows @ rows.mT, eye, atol=1e-5) == orthonormal
    with pytest.raises(ValueError, match=r"rows must be <= 4 .* got 5"):
        RandomProjections(5, orthonormal=True).measured_shape((1, 2, 2))
    assert RandomProjections(5).measured_shape((1, 2, 2)) == (5,)


def test_projections_are_inner_products() -> None:
    A, x = drawn(RandomProjections(3), (2, 3, 2), n=4), normal(4, 2, 3, 2)
    rows, y = A.rows, A(x)
    for b in range(4):
        for i in range(3):
            torch.testing.assert_close(y[b, i], (rows[b, i] * x[b]).sum())
    torch.testing.assert_close(A(A.pinv(y)), y)
    assert A.condition().shape == (4, 6, 3, 2)


def test_conditions_of_vectors_do_not_tell_signs() -> None:
    A = drawn(RandomProjections(2), (4,), n=3)
    turned = Projections(A.rows * torch.tensor([1.0, -1.0]).reshape(1, 2, 1), A.keep)
    torch.testing.assert_close(turned.condition(), A.condition())
    torch.testing.assert_close(A.condition().reshape(3, 4, 4), A.rows.mT @ A.rows)


@given(delta=st.floats(0.01, 0.99), m=st.integers(2, 5), seed=seeds)
def test_of_several_rows_at_least_one_is_dropped(delta: float, m: int, seed: int) -> None:
    A = drawn(RandomProjections(m), (4,), n=50)
    B = A.further(delta, Stream(seed).rng())
    assert (B.keep.sum(1) < m).all() and (B.rows[B.keep == 0] == 0).all()
    torch.testing.assert_close(B.rows[B.keep == 1], A.rows[B.keep == 1])
    C = B.further(delta, Stream(seed + 1).rng())
    several = B.keep.sum(1) > 1
    assert (C.keep <= B.keep).all() and (C.keep.sum(1)[several] < B.keep.sum(1)[several]).all()


@pytest.mark.parametrize(("m", "drop"), [(1, 0.3), (2, 0.3 + 0.7**2 / 2), (3, 0.3 + 0.7**3 / 3)])
def test_how_many_rows_are_dropped(m: int, drop: float) -> None:
    """`delta`, and a share `1 / m` where chance alone would drop none, with probability `(1 - delta)^m`."""
    n = 20000
    keep = drawn(RandomProjections(m), (4,), n).further(0.3, Stream(1).rng()).keep
    z = (1 - keep.mean(0) - drop) / (drop * (1 - drop) / n) ** 0.5
    assert float(z.abs().max()) < 4  # no row is preferred


@pytest.mark.parametrize(
    "law", [RandomProjections(3), RandomProjections(1, True), Greyscale((1.0,))], ids=str
)
def test_the_contract(law: Any) -> None:
    assert not [f for f in check_operator(law, seeds=1) if not f.passed]


def test_the_contract_of_wide_and_tall_matrices() -> None:
    for m in (2, 9):
        law = Matrix(entries(normal(m, 6, name="a")))
        assert not [f for f in check_operator(law, ((6,), (1, 2, 3)), seeds=1) if not f.passed]


@pytest.mark.parametrize(("m", "rank"), [(1, 1), (2, 4)])
def test_what_was_dropped_could_have_been_anything(m: int, rank: int) -> None:
    """`E[A^T A | A']` has full rank for two rows. With one, what is left tells all of A."""
    left, n = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64), 500
    A = drawn(RandomProjections(m), (4,), n)
    rows = A.rows.clone()
    rows[:, 0] = left  # condition on the first row
    B = Projections(rows, A.keep).further(0.3, Stream(1).rng())
    same = (B.keep[:, 0] == 1) & (B.keep[:, 1:] == 0).all(1)
    gram = (rows[same].mT @ rows[same]).mean(0)
    assert int(same.sum()) > 50 and int(torch.linalg.matrix_rank(gram)) == rank
