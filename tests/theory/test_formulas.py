"""The closed forms, against numbers that were found in other ways, and against the laws that they are of."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import theory
from dcdbench.analytic import Gaussian, frechet, kl_gaussian
from theory import divergences, formulas
from theory.levels import student
from theory.quadrature import Mixture, pair, w2_squared

CLEAN = [2.0] * 10 + [0.4] * 10
variances = st.floats(1e-3, 1e3)
sigmas = st.floats(0.1, 10.0)
some = settings(max_examples=25, deadline=None)


def diagonal(*values: float) -> Gaussian:
    return Gaussian(torch.zeros(len(values)), tensor(values).diag())


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_all_can_be_imported_from_the_package() -> None:
    assert all(getattr(theory, name) is getattr(formulas, name) for name in formulas.__all__)
    assert all(hasattr(divergences, name) for name in divergences.__all__)
    with pytest.raises(AttributeError, match="no attribute"):
        theory.a_formula_that_is_none  # noqa: B018


# Spectra


def test_teachers_and_students_of_a_tail() -> None:
    assert formulas.w2_teacher(CLEAN, 1.0) == pytest.approx(4.044, abs=5e-4)
    assert formulas.w2_unaware(CLEAN, 1.0, 10) == pytest.approx(5.010, abs=5e-4)
    assert formulas.w2_aware(CLEAN, 10) == pytest.approx(4.0)


@some
@given(st.lists(variances, min_size=3, max_size=3), sigmas, st.integers(0, 3))
def test_spectra_are_those_of_laws(spectrum: list[float], sigma: float, rank: int) -> None:
    ordered = sorted(spectrum, reverse=True)
    clean, teacher = diagonal(*ordered), diagonal(*(v + sigma**2 for v in ordered))
    unaware = diagonal(*(v + sigma**2 if i < rank else 0.0 for i, v in enumerate(ordered)))
    truncated = diagonal(*(v**2 / (v + sigma**2) for v in ordered))
    aware = diagonal(*(v if i < rank else 0.0 for i, v in enumerate(ordered)))
    slack = 1e-12 * sum(ordered)
    assert formulas.w2_teacher(spectrum, sigma) == pytest.approx(frechet(teacher, clean), abs=slack)
    assert formulas.w2_unaware(spectrum, sigma, rank) == pytest.approx(frechet(unaware, clean), abs=slack)
    assert formulas.w2_truncated(spectrum, sigma) == pytest.approx(frechet(truncated, clean), abs=slack)
    assert formulas.w2_aware(spectrum, rank) == pytest.approx(frechet(aware, clean), abs=slack)
    gain = formulas.w2_teacher(spectrum, sigma) - formulas.w2_unaware(spectrum, sigma, rank)
    assert formulas.rank_gain(spectrum, sigma, rank) == pytest.approx(gain, abs=slack)
    assert formulas.gain_lower_bound(spectrum, sigma, rank) <= gain + slack
    if formulas.is_gain_certain(spectrum, sigma, rank):
        assert gain > -slack
    gains = [formulas.rank_gain(spectrum, sigma, k) for k in range(4)]
    assert gains[formulas.best_rank(spectrum, sigma)] == pytest.approx(max(gains), abs=slack)


def test_gain_vanishes_at_a_third_of_the_noise() -> None:
    for sigma in (0.3, 1.0, 4.0):
        edge = formulas.threshold(sigma)
        assert formulas.gain(edge, sigma) == pytest.approx(0, abs=1e-15 * sigma**2)
        assert formulas.gain(0.99 * edge, sigma) > 0 > formulas.gain(1.01 * edge, sigma)
        assert formulas.gain(0.0, sigma) == pytest.approx(sigma**2)
    assert formulas.gain(1e12, 1.0) == pytest.approx(-1e12, rel=1e-12)


def test_data_on_a_subspace() -> None:
    r, d, sigma = 2, 5, 0.7
    gap = r * (math.sqrt(1 + sigma**2) - 1) ** 2
    assert formulas.w2_subspace(r, d, sigma, d) == pytest.approx(gap + (d - r) * sigma**2)
    assert formulas.w2_subspace(r, d, sigma, r) == pytest.approx(gap)
    assert formulas.w2_subspace(r, d, sigma, r + 1) == pytest.approx(gap + sigma**2)
    assert formulas.w2_subspace(r, d, sigma, r - 1) == pytest.approx(gap / 2 + 1)
    clean, other = diagonal(1, 1, 0), diagonal(1 + sigma**2, 1 + sigma**2, 0)
    pair_of_kl = kl_gaussian(other, clean), kl_gaussian(clean, other)
    assert formulas.kl_on_subspace(r, sigma) == pytest.approx(pair_of_kl)
    plane, noisy = diagonal(1.5, 0.3), diagonal(1.5, 0.3 + sigma**2)  # tau = .3
    assert formulas.subspace_kl(d, d - 1, sigma, 0.3) == pytest.approx(kl_gaussian(plane, noisy))
    fisher = divergences.fisher(plane, noisy).value
    assert formulas.subspace_fisher(d, d - 1, sigma, 0.3) == pytest.approx(fisher)
    assert formulas.subspace_kl(3, 2, 1.0, 1.0) != pytest.approx(formulas.subspace_kl(3, 2, 1.0, 2.0))


def test_misspecified_noise() -> None:
    assert formulas.w2_misspecified(CLEAN, 1.0, 1.0) == pytest.approx(0, abs=1e-25)
    assert formulas.w2_misspecified([1.0], 1.0, 0.0) == pytest.approx(formulas.w2_teacher([1.0], 1.0))
    teacher = formulas.w2_teacher([2.0], 1.0)
    assert (
        formulas.w2_misspecified([2.0], 1.0, 1.5**0.5)
        < teacher
        < formulas.w2_misspecified([2.0], 1.0, 2**0.5)
    )


@pytest.mark.parametrize("clean_first", [True, False])
@pytest.mark.parametrize("smoothing", [1e-3, 0.1, 10.0])
def test_thresholds_of_smoothed_kl(smoothing: float, clean_first: bool) -> None:
    edge = formulas.kl_threshold(1.0, smoothing, clean_first=clean_first)

    def gain(value: float) -> float:
        x, teacher, student = (diagonal(v + smoothing) for v in (value, value + 1.0, 0.0))
        kls = [kl_gaussian(x, q) if clean_first else kl_gaussian(q, x) for q in (teacher, student)]
        return kls[0] - kls[1]

    assert gain(edge) == pytest.approx(0, abs=1e-12) and gain(0.9 * edge) > 0 > gain(1.1 * edge)
    assert formulas.kl_threshold(1.0, 1e5, clean_first=clean_first) == pytest.approx(1.0, rel=1e-4)


# Levels


@pytest.mark.parametrize("objective", ["reverse KL", "reverse Fisher", "forward KL", "forward Fisher"])
def test_isotropic_students_are_stationary(objective: str) -> None:
    c, tau, h = [3.0, 1.0, 0.4], 0.5, 1e-5
    v = formulas.isotropic_student(c, tau, objective)

    def loss(v: float) -> float:
        return divergences.at_level(objective, diagonal(v, v, v), diagonal(*c), tau).value

    assert loss(v + h) - loss(v - h) == pytest.approx(0, abs=1e-3 * h) and loss(v) < loss(1.1 * v)
    assert formulas.isotropic_student(c, 1e7, objective) == pytest.approx(sum(c) / 3, rel=1e-6)


def test_umegaki_is_kl_over_all_noise() -> None:
    s, c = tensor([[2, 0.3], [0.3, 1]]), tensor([[1.0, -0.2], [-0.2, 0.5]])
    laws = [Gaussian(torch.zeros(2), a) for a in (s, c)]
    assert formulas.umegaki(s, c) == pytest.approx(
        divergences.integrated("reverse KL", *laws).value, rel=1e-9
    )
    v, w = 2.0, 3.0
    assert formulas.umegaki(tensor([v]), tensor([w])) == pytest.approx(0.5 * (v * math.log(v / w) - v + w))
    assert formulas.umegaki(tensor([1.0, 0.0]), tensor([1.0, 3.0])) == pytest.approx(1.5)  # the loss of PCA
    assert formulas.umegaki(tensor([1.0, 1.0]), tensor([1.0, 0.0])) == math.inf


def test_kl_at_large_noise() -> None:
    p, q, tau = diagonal(2.0, 1.0), Gaussian(tensor([0.3, 0.0]), tensor([[1.0, 0.4], [0.4, 1.0]])), 1e4
    first = formulas.kl_large_noise(p.cov, q.cov, p.mean - q.mean, tau)
    assert kl_gaussian(p.noised(tau**0.5), q.noised(tau**0.5)) == pytest.approx(first, rel=1e-3)


def test_flow_is_the_student_of_equal_weights() -> None:
    variance = lambda tau: np.where(tau < 0.2, 0.3, 1.0)  # noqa: E731
    assert formulas.probability_flow(variance, (0.2,)) == pytest.approx(0.72, rel=1e-10)
    assert student(variance, np.ones_like, (0.2,)) == pytest.approx(0.72, rel=1e-10)


def test_updates_on_the_way() -> None:
    assert formulas.sid_repelling_point(1.0, 0.1) == pytest.approx(6.0 + 0.5)
    assert formulas.sid_repelling_point(1.0, 0.1, 0.5) == math.inf
    c, h, s = 1.7, 1e-6, 0.4
    start = formulas.practical_start(c)
    assert start == pytest.approx(6.25 * c**2 / (c + 6.25) ** 2) and start < c
    v, slope = (
        formulas.early_stopping(s, c, start),
        (formulas.early_stopping(s + h, c, start) - formulas.early_stopping(s - h, c, start)) / (2 * h),
    )
    assert slope == pytest.approx(2 * v * math.log(c / v), rel=1e-8)
    assert formulas.early_stopping(0.0, c, start) == pytest.approx(start)
    assert formulas.early_stopping(40.0, c, start) == pytest.approx(c)


# Operators


def test_blur() -> None:
    peak = (2 ** (2 / 3) - 1) ** 3
    assert pytest.approx(peak) == formulas.LARGEST_BLUR_RATIO
    assert peak == pytest.approx(0.202677, abs=5e-7)
    assert formulas.blur_ratio(formulas.BEST_BLUR) == pytest.approx(peak, rel=1e-14)
    assert (
        formulas.blur_ratio(0.99 * formulas.BEST_BLUR) < peak > formulas.blur_ratio(1.01 * formulas.BEST_BLUR)
    )
    a = 0.6  # at the ratio teacher and student are equally far
    b = math.sqrt(a**2 + formulas.blur_ratio(a))
    assert 1 - b == pytest.approx(b / a - 1)


def test_injective_operators_amplify_noise() -> None:
    assert formulas.w2_injective([1.0, 1.0], 0.5) == pytest.approx(formulas.w2_subspace(2, 2, 0.5, 2))
    assert formulas.w2_injective([0.5], 1.0) == pytest.approx((5**0.5 - 1) ** 2)


def test_samplers_with_a_fixed_mask() -> None:
    cov = tensor([[1.0, 0.8], [0.8, 1.0]])
    assert formulas.fixed_mask_frechet(cov, 0.5) == pytest.approx(0.088935, abs=5e-7)
    assert formulas.fixed_mask_frechet(cov, 1.0) == pytest.approx(0, abs=1e-15)
    assert formulas.fixed_mask_w2_coordinate(0.5) == pytest.approx(0.189947, abs=5e-7)
    assert formulas.fixed_mask_w2_coordinate(0.0) == pytest.approx(1.0)
    half = formulas.fixed_mask_covariance(torch.eye(3), 0.5)
    torch.testing.assert_close(half, torch.eye(3, dtype=torch.float64) / 2)


def test_ranks_of_moments() -> None:
    from dcdbench.operators.coordinates import Coordinates

    one, two = (formulas.moment_ranks(Coordinates(count), (4,)) for count in (1, 2))
    assert (one.mean, one.second, two.second) == ((4, 4), (4, 10), (10, 10))


# Modes


def test_widths_of_modes() -> None:
    teacher = formulas.w2_modes(2**0.5, 1.0)
    assert teacher == pytest.approx(0.17157, abs=5e-6)
    assert formulas.w2_modes(0.5858, 1.0) == pytest.approx(teacher, rel=1e-3)
    assert formulas.w2_modes(1.0, 2.0, d=3) == pytest.approx(3.0)
    clean = 0.3
    atoms = Mixture((0.5, 0.5), (-1.1, 1.1), (0.0, 0.0))
    assert formulas.w2_atoms(1.0, clean, 1.1) == pytest.approx(
        w2_squared(atoms, pair(1.0, clean**2)), rel=1e-8
    )
    assert formulas.w2_atoms(10.0, clean, 10.0) == pytest.approx(clean**2)


def test_finite_samples_of_a_mode() -> None:
    assert formulas.aware_mode_error(1.0, 1.0, 100, 2) == pytest.approx(4 / 400)
    assert formulas.aware_mode_error(0.0, 1.0, 100) == pytest.approx(1 / math.sqrt(100 * math.pi))


def test_weights_of_modes_minimise_reverse_kl() -> None:
    pi, kls = [0.2, 0.5, 0.3], [formulas.mode_kl(1.0, c, 3) for c in (0.5, 1.0, 2.0)]
    w = formulas.mode_weights(pi, kls)
    assert kls[1] == 0 and sum(w) == pytest.approx(1)

    def loss(w: list[float]) -> float:
        return sum(a * (math.log(a / b) + k) for a, b, k in zip(w, pi, kls, strict=True))

    closed = -math.log(sum(b * math.exp(-k) for b, k in zip(pi, kls, strict=True)))
    assert loss(w) == pytest.approx(closed) and loss(pi) > loss(w)
    assert formulas.mode_weights([0.5, 0.5], [0.0, 1e4]) == [1.0, 0.0]
    assert formulas.dropped_modes_loss([0.25, 0.25]) == pytest.approx(math.log(2))
    exact = kl_gaussian(diagonal(1.0, 1.0, 1.0), diagonal(2.0, 2.0, 2.0))
    assert kls[2] == pytest.approx(exact)


def test_one_component_for_two_modes() -> None:
    assert formulas.critical_separation() == pytest.approx(2.800082, abs=5e-7)


# Contamination


@pytest.mark.parametrize(
    ("tau", "exact", "digits"),
    [(0.0, 0.058, 5e-4), (1, 0.149, 5e-4), (10, 1.23, 5e-3), (30, 3.00, 5e-3), (100, 4.64, 5e-3)],
)
def test_contamination_by_level(tau: float, exact: float, digits: float) -> None:
    assert formulas.contamination_level(0.05, 10.0, tau) - 1 == pytest.approx(exact, abs=digits)


@pytest.mark.parametrize(
    ("objective", "exact"),
    [
        ("reverse KL, dt", 1.150650115),
        ("reverse KL, dtau", 1.55832496),
        ("SiD, EDM levels", 1.54490263),
        ("reverse KL, tau = 1000", 5.94964410),
    ],
)
def test_contamination_by_objective(objective: str, exact: float) -> None:
    assert formulas.contamination_student(0.05, 10.0, objective) == pytest.approx(exact, rel=5e-9)


def test_contamination_far_up_and_far_out() -> None:
    assert formulas.contamination_level(0.05, 10.0, 1e4) - 1 == pytest.approx(4.95, rel=1e-3)
    assert formulas.contamination_forward(0.05, 10.0) == pytest.approx(4.95)
    assert formulas.contamination_student(0.05, 10.0, "forward KL") == pytest.approx(5.95, rel=1e-14)
    assert formulas.contamination_asymptotic(0.05, 300.0) == pytest.approx(0.003217, abs=5e-7)
    assert formulas.contamination_level(0.05, 300.0) - 1 == pytest.approx(0.003472, abs=5e-7)


def test_of_many_minima_the_least_is_found() -> None:
    assert 20 < formulas.contamination_level(0.5, 10.0) < 100  # descent from the clean law stays near it
    law = Mixture((0.5, 0.5), (0.0, 0.0), (1.0, 10.0))
    scan = np.exp(np.linspace(math.log(0.6), math.log(150), 300))
    from theory.line import OBJECTIVES

    values = [OBJECTIVES["reverse KL, tau = 0"](0.0, v, law) for v in scan]
    best = formulas.contamination_level(0.5, 10.0)
    assert OBJECTIVES["reverse KL, tau = 0"](0.0, best, law) <= min(values) + 1e-12


def test_spurious_mass() -> None:
    assert [formulas.spurious_mass(eps) for eps in (0.0, 0.5, 0.7, 1.0)] == [0.0, 1.0, 1.0, 1.0]
    assert formulas.spurious_mass(1e-9) == pytest.approx(math.e * 1e-9, rel=1e-7)
    for eps in (1e-4, 0.05, 0.3, 0.4999):
        b = formulas.spurious_mass(eps)
        kl = b * math.log(b / eps) + (1 - b) * math.log((1 - b) / (1 - eps))
        assert kl == pytest.approx(-math.log1p(-eps), rel=1e-10) and b > eps
    with pytest.raises(ValueError, match="eps"):
        formulas.spurious_mass(-0.1)


# Spikes


@some
@given(st.floats(0.05, 3.0), sigmas)
def test_spikes_at_any_noise(gamma: float, sigma: float) -> None:
    edge = formulas.spike_threshold(gamma, sigma)
    x = edge / sigma**2
    assert (x + 1) * (x + gamma) ** 2 == pytest.approx(4 * x * (x**2 - gamma), rel=1e-9)
    at = formulas.spike(edge, gamma, sigma)
    assert at.w2_unaware == pytest.approx(edge, rel=1e-6)  # as far as the student that drops it
    unit = formulas.spike(2 * x, gamma)
    scaled = formulas.spike(2 * edge, gamma, sigma)
    assert scaled.w2_aware == pytest.approx(sigma**2 * unit.w2_aware, rel=1e-9)
    assert scaled.w2_optimal <= min(scaled.w2_aware, scaled.w2_unaware) + 1e-12 * edge
    assert scaled.w2(scaled.clean * scaled.cos2) == pytest.approx(scaled.w2_optimal)


def test_spikes_without_and_below_the_transition() -> None:
    assert formulas.spike_threshold(0.0) == pytest.approx(1 / 3)
    whole = formulas.spike(2.0, 0.0, 0.5)
    assert (whole.seen, whole.cos2) == (2.25, 1.0) and whole.w2_aware == pytest.approx(0)
    assert whole.w2_unaware == pytest.approx(formulas.w2_teacher([2.0], 0.5))
    hidden = formulas.spike(0.5, 1.0)
    assert hidden.cos2 == 0 and hidden.seen == pytest.approx(4.0) and hidden.w2_optimal == 0.5
