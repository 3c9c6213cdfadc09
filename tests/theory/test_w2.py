"""W2 between mixtures: on the line, between points, its brackets, and sliced."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdbench.analytic import Gaussian, GaussianMixture, Law
from tests.theory.laws import line, mixture, normal, ring, rotation, tensor
from theory.divergences import Kind, bounds, gaussian
from theory.divergences.line import w2_line
from theory.divergences.quantiles import Line, quantile
from theory.divergences.quantised import cells, quantise, w2_quantised
from theory.divergences.sliced import along, sliced_random, sliced_w2
from theory.divergences.sliced_gaussian import sliced_gaussian
from theory.divergences.transport import transport, transport_line

ROUNDING = 1e-12
seeds = st.integers(0, 10**6)
few = settings(max_examples=8, deadline=None)


# The line


@pytest.mark.parametrize(
    ("m", "value", "low"),
    [
        (0, 0.17157, 0.17157),
        (1, 0.10481, 0.10102),
        (2, 0.10350, 0.04555),
        (4, 0.16768, 0.01429),
        (8, 0.17157, 0.00382),
    ],
)
def test_two_modes_and_noise(m: float, value: float, low: float) -> None:
    p, q = (line([0.5, 0.5], [-m, m], [v, v]) for v in (1.0, 2.0))
    w2 = w2_line(p, q)
    assert w2.value == pytest.approx(value, abs=6e-6) and w2.high - w2.low < 1e-12
    assert bounds.gelbrich(p, q) == pytest.approx(low, abs=6e-6)
    assert bounds.mw2(p, q) == pytest.approx(0.17157, abs=6e-6)


def maps(p: Law, q: Law) -> tuple[list[float], list[float]]:
    """Points and where the monotone map takes them, by bisection on plain distribution functions."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    def cdf(law: Law, x: float) -> float:
        w, m, c = (part.flatten().numpy() for part in law.components)
        return float(w @ ndtr((x - m) / np.sqrt(c)))

    x = np.linspace(-9, 9, 181)
    return list(x), [brentq(lambda y, s=s: cdf(q, y) - cdf(p, s), -40, 40, xtol=1e-13) for s in x]


def test_line_is_the_integral_of_the_monotone_map() -> None:
    p, q = line([0.3, 0.7], [-1.0, 1.0], [1.0, 0.5]), line([0.6, 0.4], [-1.0, 1.5], [1.2, 1.0])
    x, y = maps(p, q)
    inside = slice(40, 141)  # where plain distribution functions have digits left
    x, y = np.array(x)[inside], np.array(y)[inside]
    density = p.log_prob(tensor(x)[:, None]).exp().numpy()
    assert w2_line(p, q).value == pytest.approx(float(((x - y) ** 2 * density).sum() * 0.1), abs=2e-4)


def test_line_agrees_with_twenty_digits() -> None:
    mp = pytest.importorskip("mpmath")
    p, q = line([0.5, 0.5], [-1.0, 1.0], [1.0, 1.0]), line([0.5, 0.5], [-1.0, 1.0], [2.0, 2.0])
    with mp.workdps(25):

        def cdf(x: object, s: object) -> object:
            return (mp.ncdf((x - 1) / s) + mp.ncdf((x + 1) / s)) / 2

        def square(x: object) -> object:
            level = mp.log(cdf(x, mp.mpf(1)))
            y = mp.findroot(lambda y: mp.log(cdf(y, mp.sqrt(2))) - level, x * mp.sqrt(2))
            return (x - y) ** 2 * (mp.npdf(x - 1) + mp.npdf(x + 1)) / 2

        # The trapezoid rule on the left half, where the cdf has all digits; the map is odd.
        exact = sum(square(-mp.mpf(k) / 10) for k in range(1, 86)) / 5
    assert w2_line(p, q).value == pytest.approx(float(exact), abs=1e-12)


def test_atoms_are_laws_too() -> None:
    value = w2_line(normal(1.0), line([0.5, 0.5], [0.0, 0.0], [1.0, 0.0])).value
    assert value == pytest.approx(0.189947, abs=6e-7)
    assert w2_line(
        line([0.5, 0.5], [0, 2], [0, 0]), line([0.25, 0.75], [0, 2], [0, 0])
    ).value == pytest.approx(1.0)


@pytest.mark.parametrize("deviations", [1.0, 8.0, 20.0, 40.0])
def test_quantiles_are_precise_in_the_tail(deviations: float) -> None:
    from scipy.special import log_ndtr

    law = line([0.3, 0.7], [0.0, 5.0], [1.0, 0.01])
    log_cdf = float(
        np.logaddexp(math.log(0.3) + log_ndtr(-deviations), math.log(0.7) + log_ndtr(-10 * (5 + deviations)))
    )
    assert quantile(law, log_cdf) == pytest.approx(-deviations, rel=1e-13)


@pytest.mark.parametrize("distance", [0.0, 1.0, 3.0])
def test_quantiles_are_precise_between_modes(distance: float) -> None:
    from scipy.special import ndtr

    law, t = line([0.5, 0.5], [-distance, distance], [1.0, 1.0]), np.linspace(-40, -2, 200)
    x = Line.of(law).quantile(np.full(200, 0.5), t)
    inverse = (ndtr(x - distance) + ndtr(x + distance)) / 2
    np.testing.assert_allclose(inverse, 0.5 + np.exp(t), rtol=1e-14)


@few
@given(seeds, st.floats(-3, 3), st.floats(0.2, 4))
def test_line_moves_scales_and_mirrors(seed: int, shift: float, scale: float) -> None:
    p, q = mixture(seed, 1), mixture(seed + 1, 1)
    value, change = w2_line(p, q).value, tensor([[-scale]])
    assert w2_line(q, p).value == pytest.approx(value, rel=1e-10)
    assert w2_line(p, p).value < ROUNDING
    moved = [law.affine(change, tensor([shift])) for law in (p, q)]
    assert w2_line(*moved).value == pytest.approx(scale**2 * value, rel=1e-9)
    assert w2_line(p, p.affine(tensor([[1.0]]), tensor([shift]))).value == pytest.approx(shift**2, abs=1e-9)


@few
@given(seeds)
def test_w2_on_the_line_is_a_metric(seed: int) -> None:
    a, b, c = (mixture(seed + i, 1, 2) for i in range(3))
    ab, bc, ac = (math.sqrt(w2_line(*pair).value) for pair in ((a, b), (b, c), (a, c)))
    assert ac <= ab + bc + ROUNDING


def test_line_refuses_the_plane() -> None:
    with pytest.raises(ValueError, match="project"):
        w2_line(ring(1, 1), ring(1, 1))


# Transport between points


@few
@given(seeds)
def test_transport_on_the_line(seed: int) -> None:
    from scipy.stats import wasserstein_distance

    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(n, generator=rng, dtype=torch.float64) for n in (7, 11))
    a, b = (torch.rand(n, generator=rng, dtype=torch.float64) for n in (7, 11))
    a, b = a / a.sum(), b / b.sum()
    value = transport_line(a, x, b, y)
    assert value == pytest.approx(transport(a, b, (x[:, None] - y).square()), rel=1e-9)
    assert wasserstein_distance(x, y, a, b) ** 2 <= value + ROUNDING
    assert transport_line(a, x, a, x + 2) == pytest.approx(wasserstein_distance(x, x + 2, a, a) ** 2)


# Bounds


@few
@given(seeds, st.floats(0, 3))
def test_bounds_are_in_order_and_products_add(seed: int, angle: float) -> None:
    blocks = [(mixture(seed + i, 1, 2), mixture(seed + i + 2, 1, 2)) for i in range(2)]
    truth = bounds.product(w2_line(*pair) for pair in blocks).value
    turn = rotation(angle)
    p, q = (bounds.product_law(side).affine(turn) for side in zip(*blocks, strict=True))
    axes = bounds.marginals(p, q, turn)
    assert axes.value == pytest.approx(truth, rel=1e-7)  # the axes of the blocks, found again
    assert bounds.gelbrich(p, q) <= truth + ROUNDING and truth <= bounds.mw2(p, q) + ROUNDING
    assert bounds.marginals(p, q, rotation(1.0)).low <= truth + ROUNDING
    assert w2_quantised(p, q, 6).covers(truth)


def test_bracket_of_a_ring() -> None:
    clean, noisy = ring(2.0, 0.09), ring(2.0, 0.34)
    found = bounds.w2_bracket(clean, noisy, bounds.bases_2d(1))
    assert bounds.gelbrich(clean, noisy) <= found.low <= found.high == bounds.mw2(clean, noisy)
    assert found.high == pytest.approx(2 * (math.sqrt(0.34) - 0.3) ** 2)
    fine = w2_quantised(clean, noisy, 8)
    assert max(fine.low, found.low) <= min(fine.high, found.high)


def test_brackets_are_sharp_where_w2_is_known() -> None:
    p = line([0.5, 0.5], [-1, 1], [1, 1])
    assert bounds.w2_bracket(p, p.noised(1.0)) == w2_line(p, p.noised(1.0))
    assert bounds.w2_bracket(normal(1, 2), normal(2, 1)).kind == Kind.EXACT
    apart = bounds.w2_bracket(ring(30.0, 1.0), ring(30.0, 2.0), bounds.bases_2d(1))
    assert apart.kind == Kind.BRACKET


def test_bracket_needs_an_orthonormal_basis() -> None:
    with pytest.raises(ValueError, match="orthonormal"):
        bounds.marginals(ring(1, 1), ring(1, 1), tensor([[1.0, 1.0], [0.0, 1.0]]))


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_cells_are_those_of_a_normal_law(count: int) -> None:
    mass, mean, within = cells(count)
    assert mass.sum().item() == pytest.approx(1) and abs((mass * mean).sum().item()) < ROUNDING
    assert 0 < within <= 1
    law = ring(1.0, 0.5)
    weights, points, delta = quantise(law, count)
    spread = (weights @ points.square()).sum().item() + delta**2
    assert spread == pytest.approx(law.cov.trace().item() + law.mean.square().sum().item())


# Sliced W2


def test_sliced_w2_disagrees_with_w2() -> None:
    clean = normal(*[2.0] * 10, *[0.4] * 10)
    teacher, student = clean.noised(1.0), normal(*[3.0] * 10, *[0.0] * 10)
    assert gaussian.w2(teacher, clean).value == pytest.approx(4.044, abs=6e-4)
    assert gaussian.w2(student, clean).value == pytest.approx(5.010, abs=6e-4)
    rng = torch.Generator().manual_seed(0)
    for law, value in ((teacher, 3.08023), (student, 0.41715)):
        found = sliced_w2(law, clean, rng)
        assert 20 * found.value == pytest.approx(value, abs=6e-6) and found.kind == Kind.EXACT
        drawn = sliced_random(law, clean, rng, 4000)
        assert abs(drawn.value - found.value) < 2 * (drawn.high - drawn.low) and drawn.kind == Kind.INTERVAL


@pytest.mark.parametrize(
    ("a", "b", "exact"),
    [
        ((1.0,), (4.0,), 1.0),
        ((1.0, 1.0, 1.0), (4.0, 4.0, 4.0), 1.0),
        ((1.0, 0.0), (0.0, 1.0), 1 - 2 / math.pi),  # of (|cos| - |sin|)^2
        ((1.0, 0.0, 0.0), (1.0, 1.0, 1.0), 1 / 3),  # of (1 - |c|)^2, c uniform
        ((0.0, 0.0), (1.0, 1.0), 1.0),
        ((1.0, 1.0), (1.0, 1 + 1e-9), 3 / 32 * 1e-18),
        ((1e-16, 1e-16), (1.0, 1.0), (1 - 1e-8) ** 2),
    ],
)
def test_sliced_w2_of_gaussians_by_hand(a: tuple[float, ...], b: tuple[float, ...], exact: float) -> None:
    found = sliced_gaussian(normal(*a), normal(*b))
    assert found.value == pytest.approx(exact, rel=2e-7 if exact < 1e-9 else 1e-11)
    assert found.high - found.low < 1e-10 * found.value


@few
@given(seeds)
def test_sliced_w2_of_gaussians_is_a_mean_over_angles(seed: int) -> None:
    p, q = (Gaussian(m.means[0], m.covs[0]) for m in (mixture(seed, 2, 1), mixture(seed + 1, 2, 1)))
    angle = math.pi * torch.arange(4096, dtype=torch.float64) / 4096
    mean = along(p, q, torch.stack([angle.cos(), angle.sin()], 1)).mean().item()
    assert sliced_gaussian(p, q).value == pytest.approx(mean, rel=1e-9)
    assert sliced_gaussian(p, q).value != pytest.approx(gaussian.w2(p, q).value, rel=1e-2)
    with pytest.raises(TypeError, match="Gaussians"):
        sliced_gaussian(ring(1.0, 1.0), q)  # type: ignore[arg-type]


def test_sliced_w2_in_the_plane() -> None:
    rng = torch.Generator().manual_seed(0)
    p, q = normal(2.0, 0.3), normal(1.0, 1.0)
    found = sliced_w2(p, q, rng)
    assert found.value == pytest.approx(sliced_w2(p.affine(rotation(0.4)), q, rng).value, rel=1e-10)
    assert found.high - found.low < 1e-9 and found.value <= gaussian.w2(p, q).value / 2
    axes = torch.eye(2, dtype=torch.float64)
    mixed = [GaussianMixture(torch.ones(1), law.mean[None], law.cov[None]) for law in (p, q)]
    torch.testing.assert_close(along(p, q, axes), along(*mixed, axes))
