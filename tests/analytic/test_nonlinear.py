"""Saturation and quantisation, and nonlinear parts of other operators."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdbench.operators.clip import Clip
from dcdbench.operators.composition import Composition
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.mixture import Mixture
from dcdbench.operators.quantise import Quantise
from dcdbench.streams import Stream

finite = st.floats(-3, 3, allow_subnormal=False)


def rng() -> torch.Generator:
    return Stream(0).rng()


def test_clip_reads_the_range_and_nothing_beyond() -> None:
    A = Clip(gain=2.0, low=-0.5, high=1.0).draw((5,), 1, rng())
    x = torch.tensor([[-1.0, -0.2, 0.0, 0.4, 0.6]], requires_grad=True)
    torch.testing.assert_close(A(x), torch.tensor([[-0.5, -0.4, 0.0, 0.8, 1.0]]))
    (gradient,) = torch.autograd.grad(A(x).sum(), x)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, 2.0, 2.0, 2.0, 0.0]]))


def test_clip_within_its_range_is_the_identity() -> None:
    x = torch.rand(4, 3, 5, 5, generator=rng()) * 2 - 1
    assert torch.equal(Clip().draw((3, 5, 5), 4, rng())(x), x)


def test_quantise_reads_so_many_values() -> None:
    A = Quantise(levels=5).draw((1001,), 1, rng())
    y = A(torch.linspace(-1.5, 1.5, 1001)[None])
    torch.testing.assert_close(y.unique(), torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]))


@settings(max_examples=50, deadline=None)
@given(x=finite, levels=st.integers(2, 300), low=st.floats(-2, 0), width=st.floats(0.1, 3))
def test_quantise_takes_the_nearest_value(x: float, levels: int, low: float, width: float) -> None:
    law = Quantise(levels, low, low + width)
    A, t = law.draw((1,), 1, rng()), torch.tensor([[x]], dtype=torch.float64)
    values = torch.linspace(low, low + width, levels, dtype=torch.float64)
    torch.testing.assert_close((A(t) - t).abs().item(), (values - x).abs().min().item(), atol=1e-9, rtol=0)
    torch.testing.assert_close(A(A(t)), A(t))


@pytest.mark.parametrize("law", [Clip(), Quantise()])
def test_what_only_linear_operators_have_says_so(law: Clip | Quantise) -> None:
    A, y = law.draw((3,), 2, rng()), torch.zeros(2, 3)
    for call in (A.adjoint, A.pinv):
        with pytest.raises(TypeError, match="nonlinear operator has no"):
            call(y)
    assert not law.identifiable((3,))
    assert torch.equal(A.back(y), y)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Clip(gain=0.0), "gain must be > 0, got 0.0"),
        (lambda: Clip(low=1.0, high=1.0), "low must be < high"),
        (lambda: Quantise(levels=1), "levels must be >= 2, got 1"),
        (lambda: Quantise(low=2.0), "low must be < high"),
    ],
)
def test_errors_name_the_field(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_one_nonlinear_part_makes_the_whole_nonlinear() -> None:
    for law in (Composition(Clip(), Inpainting()), Composition(GaussianBlur(), Clip()), Mixture((Clip(),))):
        assert not law.linear and not law.draw((4,), 2, rng()).linear and law.differentiable
    assert not Composition(Quantise(), Inpainting()).differentiable
    assert Composition(GaussianBlur(), Inpainting()).linear


def test_clip_after_blur_is_clip_of_blur_and_carries_its_gradient() -> None:
    blur, clip = GaussianBlur(), Clip(gain=2.0)
    A = Composition(blur, clip).draw((1, 5, 5), 3, rng())
    x = torch.randn(3, 1, 5, 5, generator=rng(), requires_grad=True)
    blurred = blur.draw((1, 5, 5), 3, rng())(x)
    torch.testing.assert_close(A(x), (2 * blurred).clamp(-1, 1))
    (gradient,) = torch.autograd.grad(A(x).sum(), x)
    inside = ((2 * blurred).abs() < 1).float()
    torch.testing.assert_close(gradient, blur.draw((1, 5, 5), 3, rng()).adjoint(2 * inside))
