"""Moments of noise that is not white, and the path of its gradient, against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.methods.choice import fitting
from dcdbench.noises.coloured import Coloured
from dcdbench.noises.poisson import Poisson
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.standard import Standard
from dcdbench.operators.fixed_mask import FixedMask
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.problem import Corruption
from dcdbench.protocols import OperatorLaw

N = 40_000


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Coloured noise


def kernel_correlation(length: float, r: Tensor) -> Tensor:
    return torch.exp(-(r**2) / (4 * length**2))


@pytest.mark.parametrize("length", [1.0, 1.7, 2.5])
def test_coloured_noise_has_its_correlation_along_vectors(length: float) -> None:
    """Exactly, as the covariance of a linear map of white noise: the response to single entries."""
    d = 48
    response = Coloured(0.3, length)._smoothed(torch.eye(d, dtype=torch.float64), 1)
    index = torch.arange(d)
    r = (index[:, None] - index).abs()
    expected = 0.09 * kernel_correlation(length, torch.minimum(r, d - r).double())
    torch.testing.assert_close(0.09 * response.T @ response, expected, rtol=0, atol=2e-4)
    longer = 0.09 * kernel_correlation(1.2 * length, torch.minimum(r, d - r).double())
    assert float((0.09 * response.T @ response - longer).abs().max()) > 5e-3  # control


def test_coloured_noise_has_its_correlation_on_images() -> None:
    """By Monte Carlo: alike along both axes, and none between channels and samples."""
    noise = Coloured(0.5, 1.2)(torch.zeros(N // 10, 2, 16, 16, dtype=torch.float64), rng())
    for shift, r in (((0, 1), 1.0), ((2, 0), 2.0), ((1, 1), math.sqrt(2)), ((0, 0), 0.0)):
        product = (noise * noise.roll(shift, (2, 3))).flatten(1).mean(1)
        expected = 0.25 * float(kernel_correlation(1.2, torch.tensor(r)))
        error = float(product.std()) / math.sqrt(len(product))
        assert float(product.mean()) == pytest.approx(expected, abs=5 * error)
        assert 5 * error < 0.02
    between = (noise[:, 0] * noise[:, 1]).flatten(1).mean(1)
    assert abs(float(between.mean())) < 5 * float(between.std()) / math.sqrt(len(between))


@settings(deadline=None, max_examples=30)
@given(d=st.integers(1, 9), length=st.floats(0.05, 20), std=st.floats(0.1, 3))
def test_coloured_noise_has_its_variance_for_every_size(d: int, length: float, std: float) -> None:
    """Also where the kernel is wider than the signal, or narrower than an entry."""
    response = Coloured(std, length)._smoothed(torch.eye(d, dtype=torch.float64), 1)
    torch.testing.assert_close(response.square().sum(0), torch.ones(d, dtype=torch.float64))


def test_coloured_noise_does_not_depend_on_the_signal() -> None:
    u = torch.randn(5, 1, 6, 6, generator=rng(1), dtype=torch.float64).requires_grad_()
    y = Coloured()(u, rng(2))
    torch.testing.assert_close(y - u, Coloured()(torch.zeros_like(u), rng(2)))
    (slope,) = torch.autograd.grad(y.sum(), u)
    assert bool((slope == 1).all())


# Counts


LEVELS = (-0.95, -0.3, 0.4, 1.0)


def moments(peak: float, level: float) -> tuple[float, float]:
    y = Poisson(peak)(torch.full((N, 1), level, dtype=torch.float64), rng())
    return float(y.mean()), float(y.var())


@pytest.mark.parametrize("peak", [2.0, 30.0])
@pytest.mark.parametrize("level", LEVELS)
def test_counts_have_the_mean_of_the_signal_and_a_variance_that_grows_with_it(
    peak: float, level: float
) -> None:
    """Variance `2 (u + 1) / peak`: of `2 k / peak`, with `k` of mean and variance `peak (u + 1) / 2`."""
    variance = 2 * (level + 1) / peak
    fourth = variance**2 * (3 + 2 / (peak * (level + 1)))
    mean, var = moments(peak, level)
    assert mean == pytest.approx(level, abs=5 * math.sqrt(variance / N))
    assert var == pytest.approx(variance, abs=5 * math.sqrt((fourth - variance**2) / N))
    assert moments(2 * peak, level)[1] != pytest.approx(variance, rel=0.3)  # control


def test_counts_are_whole_numbers() -> None:
    y = Poisson(10.0)(torch.linspace(-1, 1, 50, dtype=torch.float64)[None], rng())
    k = (y + 1) * 5
    torch.testing.assert_close(k, k.round(), rtol=0, atol=1e-9)
    assert bool((k >= 0).all())


def test_what_is_darker_than_black_gives_no_count() -> None:
    u = torch.tensor([[-1.0, -1.5, -7.0]], dtype=torch.float64, requires_grad=True)
    y = Poisson()(u, rng())
    assert bool((y == -1).all())
    (slope,) = torch.autograd.grad(y.sum(), u)
    assert bool((slope[0, 1:] == 0).all()) and bool(torch.isfinite(slope).all())


@pytest.mark.parametrize("level", LEVELS)
def test_the_gradient_of_counts_moves_mean_and_variance_as_it_should(level: float) -> None:
    """`d E[y] / du = 1` and `d Var[y] / du = 2 / peak`, estimated by the path."""
    peak = 12.0
    u = torch.full((N, 1), level, dtype=torch.float64, requires_grad=True)
    y = Poisson(peak)(u, rng())
    (of_mean,) = torch.autograd.grad(y.sum(), u, retain_graph=True)
    (of_square,) = torch.autograd.grad((y - level).square().sum(), u)  # of (y - u)^2 at a fixed u
    for slope, expected in ((of_mean, 1.0), (of_square, 2 / peak)):
        error = float(slope.std()) / math.sqrt(N)
        assert float(slope.mean()) == pytest.approx(expected, abs=5 * error + 1e-9)
    straight = 2 * (y.detach() - level)  # control: a path that moves the mean alone
    assert abs(float(straight.mean()) - 2 / peak) > 5 * float(straight.std()) / math.sqrt(N)


@pytest.mark.parametrize(
    ("make", "field", "value"),
    [
        (Coloured, "std", 0.0),
        (Coloured, "std", -1.0),
        (Coloured, "std", math.nan),
        (Coloured, "length", 0.0),
        (Poisson, "peak", 0.0),
        (Poisson, "peak", -3.0),
        (Poisson, "peak", math.nan),
    ],
)
def test_wrong_fields_are_named(make: type, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{field} must be > 0, got {value}"):
        make(**{field: value})


# The objective that fits


@pytest.mark.parametrize("noise", [None, Coloured(), Poisson()])
@pytest.mark.parametrize(
    ("operator", "sigma_y", "expected"),
    [
        (Identity(), 0.0, Standard),
        (Identity(), 0.2, AmbientTweedie),
        (GaussianBlur(), 0.0, Standard),
        (GaussianBlur(), 0.2, AmbientTweedie),
        (Inpainting(), 0.0, AmbientDiffusion),
        (Inpainting(), 0.2, AmbientDiffusion),
        (FixedMask(), 0.2, AmbientDiffusion),
    ],
)
def test_the_objective_that_fits_a_corruption(
    operator: OperatorLaw, sigma_y: float, expected: type, noise: Coloured | Poisson | None
) -> None:
    """Noise of another law counts as data; through masks nothing learns from it, and it says so."""
    corruption = Corruption(operator, sigma_y, noise)
    objective = fitting(None, corruption)
    assert type(objective) is expected
    reason = objective.supports(corruption)
    assert (reason is None) is (noise is None or not operator.masks)
    assert reason is None or reason == "needs white noise or none: the task adds noise of another law"
    given = Standard()
    assert fitting(given, corruption) is given
