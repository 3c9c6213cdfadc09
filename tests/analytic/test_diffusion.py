"""Noise levels and the sampler, against closed forms."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from scipy import stats
from torch import Tensor

from dcdbench.diffusion import edm_weight, heun, karras_levels, lognormal_levels

N = 20_000
MEAN, STD = -1.2, 1.2


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def at(z: float) -> float:
    """The level that lies `z` standard deviations from the mean of the logarithm."""
    return math.exp(MEAN + STD * z)


def p_value(levels: Tensor, low: float, high: float) -> float:
    """Kolmogorov and Smirnov's test against the truncated normal law of scipy."""
    law = stats.truncnorm(low, high)
    return float(stats.kstest((levels.double().log().numpy() - MEAN) / STD, law.cdf).pvalue)


# Levels


@pytest.mark.parametrize(("low", "high", "rho"), [(0.002, 80.0, 7.0), (0.2, 80.0, 7.0), (0.5, 3.0, 1.0)])
def test_karras_levels_go_down_from_end_to_end(low: float, high: float, rho: float) -> None:
    levels = karras_levels(18, low, high, rho)
    assert levels.shape == (18,)
    assert float(levels[0]) == pytest.approx(high, rel=1e-12)
    assert float(levels[-1]) == pytest.approx(low, rel=1e-12)
    assert bool((levels.diff() < 0).all())
    steps = (levels ** (1 / rho)).diff()
    torch.testing.assert_close(steps, steps.mean().expand_as(steps), rtol=1e-9, atol=1e-12)


def test_karras_levels_are_those_of_the_paper() -> None:
    by_hand = [(80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(18)]
    torch.testing.assert_close(karras_levels(18, 0.002, 80.0), torch.tensor(by_hand, dtype=torch.float64))


WINDOWS = [
    (-math.inf, math.inf),
    (0.3, math.inf),
    (-math.inf, -0.3),
    (-1.0, 2.0),
    (8.0, 9.0),
    (8.0, math.inf),
    (30.0, 31.0),
    (-9.0, -8.0),
    (-math.inf, -30.0),
    (1.0, 1.001),
]


@pytest.mark.parametrize("window", WINDOWS)
def test_levels_follow_the_conditioned_law(window: tuple[float, float]) -> None:
    """Far in either tail too, where one minus a distribution function has no digits left."""
    low, high = (0.0 if z == -math.inf else at(z) for z in window)
    levels = lognormal_levels(N, MEAN, STD, rng(), low, high)
    assert levels.shape == (N,) and levels.dtype == torch.float32
    assert bool(((levels >= low) & (levels <= high)).all())
    narrow = abs(window[1] - window[0]) < 0.1  # where float32 has few numbers, ties are rounding
    if not narrow:
        assert p_value(levels, *window) > 1e-3
        assert levels.unique().numel() > 0.95 * N


def test_the_test_of_the_law_tells_a_clamped_one() -> None:
    """Control: levels that are clamped to the bound, as is common, leave an atom there."""
    low = at(0.3)
    clamped = lognormal_levels(N, MEAN, STD, rng()).clamp(min=low)
    assert float((clamped == low).double().mean()) > 0.5
    assert p_value(clamped, 0.3, math.inf) < 1e-9


def test_levels_at_the_bounds_have_no_mass() -> None:
    low, high = at(-0.5), at(0.5)
    levels = lognormal_levels(200_000, MEAN, STD, rng(), low, high)
    near = ((levels / low - 1).abs() < 1e-5) | ((levels / high - 1).abs() < 1e-5)
    assert int(near.sum()) < 20  # about 3 are expected of a density


def test_levels_depend_on_the_generator_alone() -> None:
    before = torch.get_rng_state()
    a, b, c = (lognormal_levels(9, MEAN, STD, rng(seed), low=0.2) for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("window", [(40.0, 41.0), (-41.0, -40.0), (1.0, 1.0), (2.0, 1.0)])
def test_a_window_without_mass_is_refused(window: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="has no mass"):
        lognormal_levels(3, MEAN, STD, rng(), *map(at, window))


# The weight


def test_the_weight_makes_the_loss_of_the_network_unweighted() -> None:
    sigma = torch.logspace(-2, 2, 9, dtype=torch.float64)
    d = 0.7
    c_out = sigma * d / (sigma**2 + d**2).sqrt()
    torch.testing.assert_close(edm_weight(sigma, d) * c_out**2, torch.ones_like(sigma))


# The sampler

VARIANCES = torch.tensor([0.3, 1.0, 4.0], dtype=torch.float64)


def exact(x: Tensor, sigma: float) -> Tensor:
    """The denoiser of N(0, diag(VARIANCES))."""
    return VARIANCES / (VARIANCES + sigma**2) * x


def flow(x: Tensor, start: float, end: float) -> Tensor:
    """The probability flow in closed form: each coordinate keeps its quantile."""
    return x * ((VARIANCES + end**2) / (VARIANCES + start**2)).sqrt()


def error(steps: int, end: float = 0.05, start: float = 20.0) -> float:
    x = start * torch.randn(5, 3, generator=rng(), dtype=torch.float64)
    levels = karras_levels(steps + 1, end, start)
    return float((heun(exact, x, levels) - flow(x, start, end)).abs().max())


def test_heun_is_of_second_order() -> None:
    errors = [error(steps) for steps in (64, 128, 256, 512)]
    ratios = [a / b for a, b in pairwise(errors)]
    assert all(3.6 < ratio < 4.4 for ratio in ratios)
    assert errors[-1] < 1e-3


def test_euler_is_of_first_order() -> None:
    """Control: without the correction the error only halves."""

    def euler(steps: int) -> float:
        x = start = 20.0 * torch.randn(5, 3, generator=rng(), dtype=torch.float64)
        levels = karras_levels(steps + 1, 0.05, 20.0).tolist()
        for sigma, after in pairwise(levels):
            x = x + (after - sigma) * (x - exact(x, sigma)) / sigma
        return float((x - flow(start, 20.0, 0.05)).abs().max())

    assert 1.8 < euler(128) / euler(256) < 2.2


def test_heun_follows_the_flow_down_to_no_noise() -> None:
    x = 80.0 * torch.randn(4, 3, generator=rng(), dtype=torch.float64)
    levels = torch.cat([karras_levels(400, 0.002, 80.0), torch.zeros(1, dtype=torch.float64)])
    torch.testing.assert_close(heun(exact, x, levels), flow(x, 80.0, 0.0), rtol=2e-4, atol=1e-5)


def test_the_last_step_to_no_noise_is_the_denoiser() -> None:
    """An Euler step to 0 lands on the estimate itself, by one call."""
    calls = []

    def counted(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return exact(x, sigma)

    x = torch.ones(1, 3, dtype=torch.float64)
    got = heun(counted, x, torch.tensor([2.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(got, exact(x, 2.0))
    assert calls == [2.0]


def test_heun_calls_twice_per_step_but_once_for_the_last() -> None:
    calls: list[float] = []

    def counted(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return x

    heun(counted, torch.ones(1, 2), torch.tensor([3.0, 2.0, 1.0, 0.0]))
    assert calls == [3.0, 2.0, 2.0, 1.0, 1.0]
