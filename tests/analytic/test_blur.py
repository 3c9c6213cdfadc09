"""Blurs against SciPy, explicit matrices and bounds, at every boundary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from dcdbench.harness.conformance import check_operator
from dcdbench.operators.blur import Blur
from dcdbench.operators.boundary import pad, padding, unpad
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.motion_blur import MotionBlur, lines
from dcdbench.streams import Stream

SCIPY = {"reflect": "mirror", "circular": "wrap", "zero": "constant"}  # its names of our boundaries
boundaries = pytest.mark.parametrize("boundary", SCIPY)
seeds = st.integers(0, 2**32)


def normal(*shape: int, seed: int = 0, name: str = "x") -> Tensor:
    return torch.randn(*shape, generator=(Stream(seed) / name).rng(), dtype=torch.float64)


def drawn(law: Any, shape: tuple[int, ...], n: int = 2, seed: int = 0) -> Any:
    return law.draw(shape, n, (Stream(seed) / "A").rng()).to(dtype=torch.float64)


def dense(A: Any, shape: tuple[int, ...]) -> Tensor:
    """The matrix of the first draw of A."""
    d = int(np.prod(shape))
    basis = torch.eye(d, dtype=torch.float64).reshape(d, 1, *shape)
    return torch.stack([A[:1](e).flatten() for e in basis], 1)


def rows(kernel: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in kernel.tolist())


@boundaries
@given(radius=st.integers(0, 2), std=st.floats(0.3, 3), height=st.integers(3, 8), seed=seeds)
def test_gaussian_blur_is_scipys(boundary: Any, radius: int, std: float, height: int, seed: int) -> None:
    law = GaussianBlur(2 * radius + 1, std, boundary)
    x, mode = normal(2, 3, height, 5, seed=seed), SCIPY[boundary]
    expected = ndimage.gaussian_filter(x.numpy(), std, mode=mode, radius=radius, axes=(2, 3))
    torch.testing.assert_close(drawn(law, (3, height, 5))(x), torch.from_numpy(expected))
    v = x[:, 0, :, 0]
    expected = ndimage.gaussian_filter1d(v.numpy(), std, mode=mode, radius=radius)
    torch.testing.assert_close(drawn(law, (height,))(v), torch.from_numpy(expected))


@boundaries
def test_gaussian_blur_of_large_images_is_the_same_operator(boundary: Any) -> None:
    law, x = GaussianBlur(5, 1.2, boundary), normal(2, 2, 130, 131)
    A = drawn(law, (2, 130, 131))
    left, right = law.matrix(130), law.matrix(131)
    torch.testing.assert_close(A(x), left @ x @ right.mT)
    torch.testing.assert_close(A.adjoint(x), left.mT @ x @ right)


@boundaries
@given(radii=st.tuples(st.integers(0, 2), st.integers(0, 2)), width=st.integers(3, 7), seed=seeds)
def test_blur_is_scipys_convolution(boundary: Any, radii: tuple[int, int], width: int, seed: int) -> None:
    kernel = normal(2 * radii[0] + 1, 2 * radii[1] + 1, seed=seed, name="kernel")
    x = normal(2, 3, 4, width, seed=seed)
    y = drawn(Blur(rows(kernel), boundary), (3, 4, width))(x)
    expected = ndimage.convolve(x.numpy(), kernel[None, None].numpy(), mode=SCIPY[boundary])
    torch.testing.assert_close(y, torch.from_numpy(expected))


def test_blur_is_no_correlation() -> None:
    kernel, x = normal(3, 3, name="kernel"), normal(1, 1, 5, 5)
    y = drawn(Blur(rows(kernel), "zero"), (1, 5, 5))(x)
    flipped = drawn(Blur(rows(kernel.flip(0, 1)), "zero"), (1, 5, 5))(x)
    assert float((y - flipped).abs().max()) > 0.1


@boundaries
def test_a_vector_is_an_image_of_one_row(boundary: Any) -> None:
    law, v = Blur(((0.5, 1.0, -0.25),), boundary), normal(4, 6)
    expected = ndimage.convolve1d(v.numpy(), [0.5, 1.0, -0.25], mode=SCIPY[boundary])
    A = drawn(law, (6,))
    torch.testing.assert_close(A(v), torch.from_numpy(expected))
    torch.testing.assert_close(A.pinv(v), v @ torch.linalg.pinv(dense(A, (6,))).mT)
    with pytest.raises(ValueError, match="one row for vectors"):
        Blur().measured_shape((6,))


@boundaries
def test_gaussian_blur_is_a_blur(boundary: Any) -> None:
    law, shape = GaussianBlur(5, 1.5, boundary), (2, 6, 7)
    kernel, x = law.kernel(), normal(2, *shape)
    torch.testing.assert_close(
        drawn(law, shape)(x), drawn(Blur(rows(kernel.outer(kernel)), boundary), shape)(x)
    )


@boundaries
@given(length=st.integers(3, 9), radius=st.integers(0, 2), seed=seeds)
def test_padding_and_its_adjoint(boundary: Any, length: int, radius: int, seed: int) -> None:
    left, right = padding(length, radius, boundary), padding(5, 1, boundary)
    x = normal(2, 1, length, 5, seed=seed)
    torch.testing.assert_close(pad(x, (radius, 1), boundary), left @ x @ right.mT)
    y = normal(2, 1, length + 2 * radius, 7, seed=seed, name="y")
    torch.testing.assert_close(unpad(y, (radius, 1), boundary), left.mT @ y @ right)


@boundaries
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_each_image_moves_along_its_own_line(boundary: Any, length: int) -> None:
    A, x = drawn(MotionBlur(length, boundary), (2, 6, 5), n=4), normal(4, 2, 6, 5)
    for kernel, image, y in zip(A.kernels, x, A(x), strict=True):
        expected = ndimage.convolve(image.numpy(), kernel.numpy(), mode=SCIPY[boundary])
        torch.testing.assert_close(y, torch.from_numpy(expected))
    assert length == 1 or float((A.kernels[0] - A.kernels[1]).abs().max()) > 0.01


@given(length=st.integers(1, 9), angle=st.floats(0, np.pi))
def test_lines_are_means_over_points_in_pairs(length: int, angle: float) -> None:
    kernel = lines(length, torch.tensor([angle], dtype=torch.float64))[0, 0]
    torch.testing.assert_close(kernel.sum(), torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(kernel, kernel.flip(0, 1), atol=1e-12, rtol=0)
    j = torch.arange(len(kernel), dtype=torch.float64) - len(kernel) // 2
    turned = lines(length, torch.tensor([angle + np.pi / 2], dtype=torch.float64))[0, 0]
    torch.testing.assert_close(turned, kernel.rot90(-1), atol=1e-7, rtol=0)
    # The second moments of a line lie along it: cov / var is the tangent of twice the angle.
    row, column = (kernel * j[:, None] ** 2).sum(), (kernel * j**2).sum()
    both = (kernel * j[:, None] * j).sum()
    along = torch.tensor([column - row, 2 * both])
    assert length < 3 or float(along @ torch.tensor([np.cos(2 * angle), np.sin(2 * angle)])) > 0.2


def test_lines_along_an_axis_are_means() -> None:
    kernels = lines(5, torch.tensor([0.0, np.pi / 2], dtype=torch.float64))[:, 0]
    expected = torch.zeros(5, 5, dtype=torch.float64)
    expected[2] = 0.2
    torch.testing.assert_close(kernels, torch.stack([expected, expected.mT]), atol=1e-12, rtol=0)


def top(A: Any, shape: tuple[int, ...]) -> float:
    """The norm of the first draw, by power iteration."""
    x = normal(1, *shape)
    for _ in range(30):
        x = A.adjoint(A(x))
        x = x / x.norm()
    return float(A(x).norm())


@settings(max_examples=25)
@given(seed=seeds)
def test_means_do_not_enlarge_circular_signals(seed: int) -> None:
    kernel = normal(3, 5, seed=seed, name="kernel").abs()
    law, shape = Blur(rows(kernel / kernel.sum()), "circular"), (1, 5, 6)
    assert top(drawn(law, shape), shape) <= 1 + 1e-9


@pytest.mark.parametrize("law", [GaussianBlur(5, 2.0, "circular"), MotionBlur(5, "circular")])
def test_blurs_are_means(law: Any) -> None:
    A = drawn(law, (1, 6, 6), n=1)
    assert top(A, (1, 6, 6)) <= 1 + 1e-6
    torch.testing.assert_close(
        A(torch.ones(1, 1, 6, 6, dtype=torch.float64)).mean().item(), 1.0, atol=1e-6, rtol=0
    )


def test_a_kernel_with_negative_entries_does_enlarge() -> None:
    sharper = ((0.0, -1.0, 0.0), (-1.0, 5.0, -1.0), (0.0, -1.0, 0.0))
    assert top(drawn(Blur(sharper, "circular"), (1, 6, 6)), (1, 6, 6)) > 2


@boundaries
@pytest.mark.parametrize("shape", [(1, 5, 7), (2, 10, 9)], ids=str)
def test_pseudo_inverses_are_those_of_the_matrix(boundary: Any, shape: tuple[int, ...]) -> None:
    """Both sides of the size up to which matrices are formed for motion blur."""
    for law in (Blur(boundary=boundary), MotionBlur(3, boundary), GaussianBlur(3, 1.0, boundary)):
        A, y = drawn(law, shape, n=1), normal(1, *shape)
        expected = torch.linalg.pinv(dense(A, shape), rtol=1e-8) @ y.flatten()
        torch.testing.assert_close(A.pinv(y).flatten(), expected, atol=1e-6, rtol=1e-6)


@boundaries
def test_large_images_are_restored(boundary: Any) -> None:
    kernel = ((0.0, 0.1, 0.0), (0.1, 0.7, 0.2), (0.0, 0.1, 0.0))
    A, x = drawn(Blur(kernel, boundary), (1, 40, 30)), normal(2, 1, 40, 30)
    torch.testing.assert_close(A.pinv(A(x)), x, atol=1e-6, rtol=0)


@boundaries
@pytest.mark.parametrize("law", [GaussianBlur, Blur, MotionBlur], ids=lambda law: law.__name__)
def test_adjoints_carry_gradients(boundary: Any, law: Any) -> None:
    A, x = drawn(law(boundary=boundary), (2, 4, 5)), normal(2, 2, 4, 5)
    y = normal(2, 2, 4, 5, name="y").requires_grad_()
    (grad,) = torch.autograd.grad((A.adjoint(y) * x).sum(), y)
    torch.testing.assert_close(grad, A(x))


@pytest.mark.parametrize(
    ("law", "shape", "full"),
    [
        (Blur(boundary="circular"), (1, 4, 5), True),
        (Blur(boundary="circular"), (1, 4, 6), False),  # a mean of three loses a frequency of six pixels
        (Blur(boundary="circular"), (1, 40, 42), False),
        (Blur(boundary="reflect"), (1, 40, 42), False),  # 39 is three times a number
        (Blur(boundary="reflect"), (1, 36, 35), True),
        (GaussianBlur(3, 1.0), (1, 64, 64), True),
        (GaussianBlur(3, 1.0), (64,), True),
        (GaussianBlur(3, 100.0, "circular"), (1, 6, 6), False),
    ],
    ids=str,
)
def test_identifiable(law: Any, shape: tuple[int, ...], full: bool) -> None:
    assert law.identifiable(shape) == full


@boundaries
@pytest.mark.parametrize("length", [2, 3, 5])
def test_lines_at_all_angles_lose_nothing(boundary: Any, length: int) -> None:
    shape = (1, 4, 6)
    A = drawn(MotionBlur(length, boundary), shape, n=200)
    basis = torch.eye(24, dtype=torch.float64).reshape(24, 1, *shape)
    gram = torch.stack([A.adjoint(A(e.expand(200, *shape))).mean(0).flatten() for e in basis])
    assert float(torch.linalg.eigvalsh(gram).min()) > 1e-4


@boundaries
@pytest.mark.parametrize("law", [GaussianBlur(5, 0.7), Blur(), MotionBlur(1), MotionBlur(4)], ids=str)
def test_the_contract(boundary: Any, law: Any) -> None:
    broken = [
        f
        for f in check_operator(replace(law, boundary=boundary), ((1, 4, 4), (2, 5, 6)), seeds=1)
        if not f.passed
    ]
    assert not broken


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"size 9 .* axis 1, .* \(1, 4, 20\)"):
        GaussianBlur(9).measured_shape((1, 4, 20))
    with pytest.raises(ValueError, match="size must be odd"):
        GaussianBlur(4)
    with pytest.raises(ValueError, match=r"kernel width 3 .* axis 2"):
        Blur().measured_shape((1, 4, 1))
    with pytest.raises(ValueError, match="kernel must have an odd number of rows"):
        Blur(((1.0, 2.0),))
    with pytest.raises(ValueError, match="for images"):
        MotionBlur().measured_shape((5,))
    assert GaussianBlur(9, boundary="zero").measured_shape((1, 4, 20)) == (1, 4, 20)
