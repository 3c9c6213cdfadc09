"""Super-resolution against pooling, PyTorch's resizing and shifted images; and what is identifiable."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.harness.conformance import check_operator
from dcdbench.operators.super_resolution import SuperResolution, keys
from dcdbench.streams import Stream

kernels = pytest.mark.parametrize("kernel", ["average", "bicubic", "nearest"])
seeds = st.integers(0, 2**32)


def normal(*shape: int, seed: int = 0, name: str = "x") -> Tensor:
    return torch.randn(*shape, generator=(Stream(seed) / name).rng(), dtype=torch.float64)


def drawn(law: Any, shape: tuple[int, ...], n: int = 2, seed: int = 0) -> Any:
    return law.draw(shape, n, (Stream(seed) / "A").rng()).to(dtype=torch.float64)


def grams(law: Any, d: int, n: int = 64) -> Tensor:
    """`A^T A` of draws for vectors of length d, one for each that occurs, `(k, d, d)`."""
    A, basis = drawn(law, (d,), n), torch.eye(d, dtype=torch.float64)
    each = torch.stack([A.adjoint(A(e.expand(n, d))) for e in basis], 2)
    return torch.unique(each, dim=0)


def ranks(each: Tensor) -> tuple[int, int]:
    """The ranks of `E[G]`, and of `S -> E[G S G]` on symmetric matrices, for equally likely G."""
    d = each.shape[1]
    i, j = torch.triu_indices(d, d)
    S = torch.zeros(len(i), d, d, dtype=torch.float64)
    S[torch.arange(len(i)), i, j] = 1
    S = S + S.mT
    images = torch.stack([g @ S @ g for g in each]).mean(0)
    return _rank(each.mean(0)), _rank(images[:, i, j])


def _rank(a: Tensor) -> int:
    return int(torch.linalg.matrix_rank(a, rtol=1e-9))


@given(factor=st.integers(1, 4), height=st.integers(1, 3), width=st.integers(1, 3), seed=seeds)
def test_average_and_nearest(factor: int, height: int, width: int, seed: int) -> None:
    shape = (2, factor * height, factor * width)
    x = normal(2, *shape, seed=seed)
    y = drawn(SuperResolution(factor), shape)(x)
    torch.testing.assert_close(y, F.avg_pool2d(x, factor))
    y = drawn(SuperResolution(factor, "nearest"), shape)(x)
    torch.testing.assert_close(y, F.interpolate(x, y.shape[2:], mode="nearest"))


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_bicubic_is_pytorchs_away_from_the_edges(factor: int) -> None:
    """At the edges PyTorch cuts the kernel off, and we continue the image."""
    shape, x = (2, 8 * factor, 9 * factor), normal(2, 2, 8 * factor, 9 * factor)
    y = drawn(SuperResolution(factor, "bicubic"), shape)(x)
    expected = F.interpolate(x, (8, 9), mode="bicubic", antialias=True, align_corners=False)
    torch.testing.assert_close(y[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2])


@kernels
@pytest.mark.parametrize("phase", ["fixed", "random"])
@given(factor=st.integers(1, 4), m=st.integers(1, 4))
def test_a_constant_stays(kernel: Any, phase: Any, factor: int, m: int) -> None:
    rows = SuperResolution(factor, kernel, phase).matrix(factor * m).sum(1)
    torch.testing.assert_close(rows, torch.ones_like(rows))


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_bicubic_keeps_straight_lines(factor: int) -> None:
    """A cell of a ramp has the value of its middle; a cubic kernel with another `a` would do it too."""
    n = 8 * factor
    line = torch.arange(n, dtype=torch.float64)
    y = SuperResolution(factor, "bicubic").matrix(n) @ line
    torch.testing.assert_close(y[2:-2], line.reshape(8, factor).mean(1)[2:-2])


def test_the_cubic_kernel_is_smooth_and_keeps_parabolas() -> None:
    """With a = -1/2, and no other a, interpolation is exact for parabolas."""
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    nodes = torch.arange(-1, 3, dtype=torch.float64)
    weights = keys(t[:, None] - nodes)
    for power in range(3):
        torch.testing.assert_close(weights @ nodes**power, t**power)
    assert float((weights @ nodes**3 - t**3).abs().max()) > 1e-2


@kernels
@given(factor=st.integers(1, 3), seed=seeds)
def test_a_random_phase_shifts_the_image(kernel: Any, factor: int, seed: int) -> None:
    shape, law = (2, 2 * factor, 3 * factor), SuperResolution(factor, kernel, "random")
    A, x = drawn(law, shape, n=5, seed=seed), normal(5, 2, 2 * factor, 3 * factor, seed=seed)
    rows, columns = A.rows.flatten(1).argmax(1).tolist(), A.columns.flatten(1).argmax(1).tolist()
    left, right = law.matrix(2 * factor), law.matrix(3 * factor)
    for i, (r, c) in enumerate(zip(rows, columns, strict=True)):
        shifted = x[i].roll((-r, -c), (-2, -1))
        torch.testing.assert_close(A(x)[i], left @ shifted @ right.mT)


def test_the_condition_says_which_points_are_seen() -> None:
    A, x = drawn(SuperResolution(3, "nearest", "random"), (1, 6, 9), n=40), normal(40, 1, 6, 9)
    seen = A.condition()
    assert seen.shape == x.shape and (seen.sum((1, 2, 3)) == 6).all()
    torch.testing.assert_close(A(x).flatten(), x[seen == 1])
    torch.testing.assert_close(A.adjoint(A(x)), seen * x)
    vectors = drawn(SuperResolution(3, "nearest", "random"), (9,), n=40)
    torch.testing.assert_close(vectors(x[:, 0, 0]).flatten(), x[:, 0, 0][vectors.condition() == 1])
    assert drawn(SuperResolution(3), (9,)).condition() is None


def test_phases_are_uniform() -> None:
    n = 9000
    A = drawn(SuperResolution(3, phase="random"), (1, 3, 3), n=n)
    share = A.condition().mean(0)  # nine equally likely places
    z = (share - 1 / 9) / (8 / 81 / n) ** 0.5
    assert float(z.abs().max()) < 4


@kernels
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_fixed_phase_sees_one_dimension_per_measurement(kernel: Any, factor: int) -> None:
    law = SuperResolution(factor, kernel)
    each, m = grams(law, 12), 12 // factor
    assert len(each) == 1 and ranks(each) == (m, m * (m + 1) // 2)
    assert not law.identifiable((12,)) and not law.identifiable((1, 12, 12))


@pytest.mark.parametrize(
    ("kernel", "expected"), [("average", (10, 28)), ("nearest", (12, 30))], ids=["average", "nearest"]
)
def test_a_random_phase_sees_more(kernel: Any, expected: tuple[int, int]) -> None:
    """Of 12 means and 78 second moments. A box loses frequencies whatever its phase; points lose none."""
    law = SuperResolution(3, kernel, "random")
    each = grams(law, 12)
    assert len(each) == 3 and ranks(each) == expected
    assert law.identifiable((12,)) == (expected[0] == 12)


@kernels
@pytest.mark.parametrize("d", [4, 6, 8, 12])
def test_identifiable_with_a_random_phase_is_the_rank(kernel: Any, d: int) -> None:
    law = SuperResolution(2, kernel, "random")
    assert law.identifiable((d,)) == (ranks(grams(law, d))[0] == d)
    assert law.identifiable((1, d, d)) == law.identifiable((d,))


@kernels
def test_a_factor_of_one_is_the_identity(kernel: Any) -> None:
    law, x = SuperResolution(1, kernel), normal(2, 1, 3, 4)
    torch.testing.assert_close(drawn(law, (1, 3, 4))(x), x)
    assert law.identifiable((1, 3, 4))


@kernels
def test_means_do_not_enlarge(kernel: Any) -> None:
    """Cells are disjoint, so a row of f entries 1/f has norm `f^{-1/2}`; points have norm 1."""
    norm = torch.linalg.matrix_norm(SuperResolution(3, kernel, "random").matrix(12), 2)
    bound = {"average": 3**-0.5, "nearest": 1.0, "bicubic": 1.0}[kernel]
    assert float(norm) <= bound + 1e-9


@kernels
@pytest.mark.parametrize("phase", ["fixed", "random"])
@pytest.mark.parametrize("factor", [1, 3])
def test_the_contract(kernel: Any, phase: Any, factor: int) -> None:
    shapes, law = ((3,), (12,), (2, 3, 6)), SuperResolution(factor, kernel, phase)
    assert not [f for f in check_operator(law, shapes, seeds=1) if not f.passed]


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"factor 2 must divide the axes \(4, 5\)"):
        SuperResolution().measured_shape((3, 4, 5))
    with pytest.raises(ValueError, match="factor 2 must divide"):
        SuperResolution().draw((1, 1, 4), 1, Stream(0).rng())
    with pytest.raises(ValueError, match="factor must be >= 1"):
        SuperResolution(0)
    assert SuperResolution(4).measured_shape((3, 8, 12)) == (3, 2, 3)
    assert SuperResolution(4).measured_shape((8,)) == (2,)
