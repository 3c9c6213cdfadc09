"""Divergences against other implementations, other ways to compute them, and what must be true of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.analytic import Gaussian, Law, NoDensity, contaminated
from tests.theory.laws import line, mixture, normal, ring, tensor
from theory.divergences import Estimate, Kind, gaussian
from theory.divergences.estimate import t_interval
from theory.divergences.fisher import fisher_quadrature
from theory.divergences.integrated import OBJECTIVES, WEIGHTS, at_level, integrated
from theory.divergences.kl import kl_difference, kl_monte_carlo, kl_neighbours, kl_quadrature, kl_upper
from theory.divergences.line import w2_line

ROUNDING = 1e-12
seeds = st.integers(0, 10**6)
few = settings(max_examples=8, deadline=None)


# Estimates


def test_bounds_add_and_the_weaker_kind_stays() -> None:
    total = Estimate.exact(1.0, 0.1) + Estimate.bracket(2.0, 4.0)
    assert (total.value, total.kind) == (4.0, Kind.BRACKET)
    assert (total.low, total.high) == pytest.approx((2.9, 5.1))
    gap = Estimate.bracket(2.0, 4.0) - t_interval([1.0, 1.0])
    assert (gap.low, gap.high, gap.kind) == (1.0, 3.0, Kind.INTERVAL)


def test_what_is_not_known_is_not_decided() -> None:
    assert not Estimate.undecided(1.0).decided
    assert not (Estimate.exact(1.0) + Estimate.undecided(1.0)).decided
    assert not (Estimate.exact(math.inf) - Estimate.exact(math.inf)).decided
    assert Estimate.exact(math.inf).decided and Estimate.bracket(0.0, 1.0).decided
    with pytest.raises(ValueError, match="at least 2"):
        t_interval([1.0])


# Closed forms


@few
@given(seeds)
def test_gaussian_w2_is_that_of_pot(seed: int) -> None:
    ot = pytest.importorskip("ot")
    p, q = (Gaussian(m.means[0], m.covs[0]) for m in (mixture(seed, 3, 1), mixture(seed + 1, 3, 1)))
    there = ot.gaussian.bures_wasserstein_distance(
        p.mean.numpy(), q.mean.numpy(), p.cov.numpy(), q.cov.numpy()
    )
    assert math.sqrt(gaussian.w2(p, q).value) == pytest.approx(there, rel=1e-9)


@few
@given(seeds)
def test_gaussian_kl_is_that_of_torch(seed: int) -> None:
    p, q = (Gaussian(m.means[0], m.covs[0]) for m in (mixture(seed, 3, 1), mixture(seed + 1, 3, 1)))
    normals = [torch.distributions.MultivariateNormal(law.mean, law.cov) for law in (p, q)]
    there = torch.distributions.kl_divergence(*normals).item()
    assert gaussian.kl(p, q).value == pytest.approx(there, rel=1e-9)


def test_gaussian_kl_keeps_its_accuracy_between_close_laws() -> None:
    small = 1e-9
    assert gaussian.kl(normal(1 + small), normal(1.0)).value == pytest.approx(small**2 / 4, rel=1e-6)


def test_degenerate_laws() -> None:
    flat, full = normal(1.0, 0.0), normal(1.0, 1.0)
    assert gaussian.kl(flat, full).value == gaussian.kl(full, flat).value == math.inf
    assert gaussian.fisher_gaussian(flat, full).value == math.inf
    assert kl_quadrature(flat, full).value == fisher_quadrature(flat, full).value == math.inf
    assert gaussian.w2(flat, full).value == pytest.approx(1.0)
    for divergence in (gaussian.fisher_gaussian, kl_quadrature, fisher_quadrature):
        with pytest.raises(NoDensity):
            divergence(full, flat)
    with pytest.raises(TypeError):
        gaussian.w2(ring(1.0, 1.0), full)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("eps", "value"), [(0.1, 0.039991), (0.5, 0.039785), (1, 0.039160), (5, 0.027763), (100, 0.001934)]
)
def test_gaussian_sinkhorn_divergence(eps: float, value: float) -> None:
    assert gaussian.sinkhorn_gaussian(normal(1.0), normal(1.44), eps).value == pytest.approx(value, abs=6e-7)


def test_gaussian_sinkhorn_divergence_is_that_of_pot_on_a_grid() -> None:
    ot = pytest.importorskip("ot")
    x = np.linspace(-7, 7, 141)
    a, b = (np.exp(-(x**2) / 2 / v) for v in (1.0, 1.44))
    a, b, cost, eps = a / a.sum(), b / b.sum(), (x[:, None] - x) ** 2, 5.0

    def entropic(a: np.ndarray, b: np.ndarray) -> float:
        plan = ot.sinkhorn(a, b, cost, eps, stopThr=1e-12)
        return float((plan * cost).sum() + eps * (plan * np.log(plan / np.outer(a, b))).sum())

    grid = entropic(a, b) - (entropic(a, a) + entropic(b, b)) / 2
    assert gaussian.sinkhorn_gaussian(normal(1.0), normal(1.44), eps).value == pytest.approx(grid, abs=1e-5)


# KL


@pytest.mark.parametrize(
    ("clean", "other", "truth", "upper"),
    [
        (ring(4, 0.09), ring(4, 0.34), 0.593765, 0.59384),
        (ring(2, 0.25), ring(2, 0.5), 0.107540, 0.1932),
        (ring(4, 0.25), ring(4, 0.25, math.pi / 8), 2.331184, 4.872),
    ],
)
def test_kl_of_rings(clean: Law, other: Law, truth: float, upper: float) -> None:
    assert kl_quadrature(clean, other).value == pytest.approx(truth, abs=1e-6)
    bound = kl_upper(clean, other)
    assert bound.value == bound.high == pytest.approx(upper, abs=6e-4) and bound.low == 0
    assert kl_upper(clean, other).covers(truth)


def test_the_upper_bound_of_kl_has_all_its_digits() -> None:
    p, q = line([1.0], [0.0], [1.0]), line([1.0], [1.0], [3.0])
    exact = 0.5 * (1 / 3 - 1 + math.log(3) + 1 / 3)
    assert kl_upper(p, q).value == pytest.approx(exact, rel=1e-14)
    twice = line([0.5, 0.5], [1.0, 1.0], [3.0, 3.0])
    assert kl_upper(p, twice).value == pytest.approx(exact, rel=1e-12)


@few
@given(seeds)
@example(69591)  # a logarithm that bends sharply
def test_kl_on_the_line(seed: int) -> None:
    from scipy.integrate import quad

    p, q = mixture(seed, 1, 2), mixture(seed + 1, 1, 2)

    def f(x: float) -> float:
        at = tensor([[x]])
        return (p.log_prob(at).exp() * (p.log_prob(at) - q.log_prob(at))).item()

    there = quad(f, -30, 30, points=p.means.flatten().tolist(), limit=200, epsabs=1e-10)[0]
    value = kl_quadrature(p, q)
    assert value.value == pytest.approx(there, abs=1e-8) and value.high - value.low < 1e-6
    assert value.value <= kl_upper(p, q).high + ROUNDING
    processed = [law.affine(tensor([[0.5]]), sigma=0.7) for law in (p, q)]
    assert kl_quadrature(*processed).value <= value.value + ROUNDING  # data processing
    gap = kl_monte_carlo(p, q, 2000, torch.Generator().manual_seed(seed))
    assert abs(gap.value - value.value) < 3 * (gap.high - gap.low)


def test_quadrature_is_the_closed_form_for_gaussians() -> None:
    p, q = Gaussian(tensor([0.3, -0.5]), tensor([[1.0, 0.4], [0.4, 0.5]])), normal(0.8, 1.2)
    assert kl_quadrature(p, q).value == pytest.approx(gaussian.kl(p, q).value, rel=1e-10)
    assert fisher_quadrature(p, q).value == pytest.approx(gaussian.fisher_gaussian(p, q).value, rel=1e-10)
    with pytest.raises(ValueError, match="products"):
        kl_quadrature(normal(1, 1, 1), normal(1, 1, 2))


def test_long_thin_laws_are_integrated_along_their_axes() -> None:
    cov = tensor([[1.0, 0.9999], [0.9999, 1.0]])
    p, q = Gaussian(torch.zeros(2), cov), Gaussian(tensor([0.01, 0.0]), 1.1 * cov)
    assert kl_quadrature(p, q).value == pytest.approx(gaussian.kl(p, q).value, rel=1e-9)
    assert fisher_quadrature(p, q).value == pytest.approx(gaussian.fisher_gaussian(p, q).value, rel=1e-9)
    with pytest.raises(ValueError, match="too many scales"):
        kl_quadrature(p, normal(1e8, 1e8))


def test_paired_difference_of_kl() -> None:
    clean, teacher, student = normal(1, 1, 1), normal(1.5, 1.5, 1.5), normal(1.4, 1.4, 1.4)
    truth = gaussian.kl(clean, student).value - gaussian.kl(clean, teacher).value
    rng = torch.Generator().manual_seed(0)
    paired = kl_difference(student, teacher, clean, 2000, rng)
    apart = kl_monte_carlo(clean, student, 2000, rng) - kl_monte_carlo(clean, teacher, 2000, rng)
    assert paired.covers(truth) and apart.covers(truth)
    assert paired.high - paired.low < (apart.high - apart.low) / 4


def test_neighbours() -> None:
    from sklearn.neighbors import NearestNeighbors

    rng = torch.Generator().manual_seed(0)
    x, y = normal(1, 1).sample(500, rng), normal(1.5, 1.5).sample(400, rng)
    own = NearestNeighbors(n_neighbors=6).fit(x.numpy()).kneighbors(x.numpy())[0][:, -1]
    other = NearestNeighbors(n_neighbors=5).fit(y.numpy()).kneighbors(x.numpy())[0][:, -1]
    there = 2 * np.log(other / own).mean() + math.log(400 / 499)
    found = kl_neighbours(x, y)
    assert found.value == pytest.approx(there) and not found.decided
    with pytest.raises(ValueError, match="biased"):
        kl_neighbours(torch.zeros(9, 3), torch.zeros(9, 3))


# Fisher, and noise


def test_fisher_does_not_see_weights() -> None:
    p, q = line([0.9, 0.1], [-6, 6], [1, 1]), line([0.5, 0.5], [-6, 6], [1, 1])
    assert fisher_quadrature(p, q).value == pytest.approx(4.54e-8, rel=2e-2)
    assert kl_quadrature(p, q).value == pytest.approx(0.368, abs=6e-4)
    assert w2_line(p, q).value == pytest.approx(46.9, abs=0.06)


@pytest.mark.parametrize(("p", "q"), [(mixture(0, 1), mixture(1, 1)), (normal(2, 0.5), normal(1, 1))])
def test_fisher_is_the_slope_of_kl_along_noise(p: Law, q: Law) -> None:
    tau, h = 0.7, 1e-3
    slope = at_level("reverse KL", p, q, tau + h).value - at_level("reverse KL", p, q, tau - h).value
    fisher = at_level("reverse Fisher", p, q, tau).value
    assert slope / (2 * h) == pytest.approx(-fisher / 2, rel=1e-4)
    assert at_level("forward Fisher", p, q, tau) == at_level("reverse Fisher", q, p, tau)


def test_kl_over_all_noise_is_umegakis_relative_entropy() -> None:
    def log(a: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(a)
        return (vectors * values.log()) @ vectors.mT

    p, q = Gaussian(torch.zeros(2), tensor([[2, 0.3], [0.3, 1]])), normal(1.0, 0.5)
    closed = 0.5 * (p.cov @ (log(p.cov) - log(q.cov)) - p.cov + q.cov).trace().item()
    found = integrated("reverse KL", p, q, "dtau")
    assert found.value == pytest.approx(closed, rel=1e-10) and found.covers(closed)


def test_kl_and_fisher_are_one_objective_up_to_weights() -> None:
    p, q = line([0.5, 0.5], [-1, 1], [1, 1]), line([0.5, 0.5], [-1, 1], [2, 2])
    kl = integrated("reverse KL", p, q, "dtau").value
    assert integrated("reverse Fisher", p, q, lambda tau: tau).value / 2 == pytest.approx(kl, rel=1e-9)
    at_zero = kl_quadrature(p, q).value
    assert integrated("reverse Fisher", p, q, "dtau").value / 2 == pytest.approx(at_zero, rel=1e-9)


@pytest.mark.parametrize(
    ("p", "q", "exact"),
    [
        (normal(2.0), line([0.5, 0.5], [-1, 1], [1, 1]), 0.0057312445330341),  # by 30 digits
        (normal(5.95), contaminated(normal(1.0), 0.05, normal(100.0)), None),
    ],
)
def test_objectives_of_laws_with_equal_moments_are_finite(p: Law, q: Law, exact: float | None) -> None:
    """Their KL falls like tau^-4, and is soon below rounding."""
    by_kl = integrated("reverse KL", p, q, "dtau")
    by_fisher = integrated("reverse Fisher", p, q, lambda tau: tau / 2)
    assert by_kl.value == pytest.approx(exact or by_fisher.value, rel=1e-10)
    assert by_fisher.value == pytest.approx(by_kl.value, rel=1e-10)
    assert by_kl.high - by_kl.low < 1e-8 * by_kl.value
    moved = integrated("reverse KL", p.affine(torch.eye(1), torch.ones(1)), q, "dtau")
    assert moved.value == math.inf  # the control: means that differ


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_over_noise_vanish_only_at_the_teacher(name: str, weight: str) -> None:
    p, q = normal(2.0, 0.3), normal(1.0, 1.0)
    assert integrated(name, q, q, weight).value < 1e-12 < integrated(name, p, q, weight).value


def test_objectives_are_infinite_where_they_do_not_decay() -> None:
    flat, full = normal(1.0, 0.0), normal(1.0, 1.0)
    for name in ("reverse Fisher", "forward KL", "forward Fisher"):
        assert integrated(name, flat, full, "dtau").value == math.inf
        assert integrated(name, flat, full, "dtau", low=0.1).value < math.inf
    assert integrated("reverse KL", flat, full, "dtau").value == pytest.approx(0.5, abs=1e-6)  # sum of c / 2
    shifted = normal(1.0, mean=1.0)
    assert integrated("reverse KL", shifted, normal(1.0), "dtau").value == math.inf
    assert integrated("reverse KL", shifted, normal(1.0), "dt").value < math.inf
    parts = [
        integrated("reverse KL", normal(2.0), normal(1.0), "dt", low=a, high=b).value
        for a, b in ((0.0, 1.0), (1.0, math.inf), (0.0, math.inf))
    ]
    assert parts[0] + parts[1] == pytest.approx(parts[2], rel=1e-9)
