"""What divergences and laws must satisfy whatever the laws are, each beside a control that does not.

Sizes are kept small: an example takes some milliseconds.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture, Law
from theory import quadrature
from theory.divergences import bounds, gaussian
from theory.divergences.fisher import fisher_quadrature
from theory.divergences.integrated import at_level
from theory.divergences.kl import kl_quadrature, kl_upper
from theory.divergences.line import w2_line

ROUNDING = 1e-9
EYE = torch.eye(2, dtype=torch.float64)

seeds = st.integers(0, 10**6)
some = settings(max_examples=5)
more = settings(max_examples=15)  # of closed forms


def mixture(seed: int, dim: int, modes: int = 2) -> GaussianMixture:
    rng = torch.Generator().manual_seed(seed)
    weights = torch.rand(modes, generator=rng, dtype=torch.float64) + 0.1
    factors = torch.randn(modes, dim, dim, generator=rng, dtype=torch.float64)
    covs = factors @ factors.mT / dim + 0.5 * torch.eye(dim, dtype=torch.float64)
    means = 1.5 * torch.randn(modes, dim, generator=rng, dtype=torch.float64)
    return GaussianMixture(weights / weights.sum(), means, covs)


def normal(seed: int, dim: int = 3) -> Gaussian:
    law = mixture(seed, dim, 1)
    return Gaussian(law.means[0], law.covs[0])


def rotation(angle: float, scale: float = 1.0) -> Tensor:
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


def parts(law: Law) -> quadrature.Mixture:
    weights, means, covs = (part.flatten() for part in law.components)
    return quadrature.Mixture(tuple(weights.tolist()), tuple(means.tolist()), tuple(covs.sqrt().tolist()))


# Metrics


@more
@given(seeds)
def test_closed_distances_are_metrics(seed: int) -> None:
    single, mixed = [normal(seed + i) for i in range(3)], [mixture(seed + i, 3) for i in range(3)]
    for laws, square in ((single, lambda p, q: gaussian.w2(p, q).value), (mixed, bounds.mw2)):
        a, b, c = laws
        ab, bc, ac = (math.sqrt(square(p, q)) for p, q in ((a, b), (b, c), (a, c)))
        assert ac <= ab + bc + ROUNDING
        assert square(b, a) == pytest.approx(ab**2, rel=1e-9) and ab > 0
        assert abs(square(a, a)) < ROUNDING


def test_squares_are_no_metric() -> None:
    at = [Gaussian(torch.tensor([float(i)]), torch.eye(1)) for i in range(3)]
    ends, halves = gaussian.w2(at[0], at[2]).value, [gaussian.w2(*at[i : i + 2]).value for i in range(2)]
    assert ends > sum(halves)


# Invariances


@more
@given(seeds, st.floats(-3, 3), st.floats(0.3, 3), st.floats(-5, 5))
def test_closed_forms_follow_the_unit(seed: int, angle: float, scale: float, shift: float) -> None:
    offset = torch.tensor([shift, -shift], dtype=torch.float64)
    p, q = normal(seed, 2), normal(seed + 1, 2)
    moved, other = (law.affine(rotation(angle, scale), offset) for law in (p, q))
    square = scale**2
    for power, divergence in ((1, gaussian.w2), (0, gaussian.kl), (-1, gaussian.fisher_gaussian)):
        there = square**power * divergence(p, q).value
        assert divergence(moved, other).value == pytest.approx(there, rel=1e-8)
    entropic = gaussian.sinkhorn_gaussian(p, q, 0.5).value
    assert gaussian.sinkhorn_gaussian(moved, other, 0.5 * square).value == pytest.approx(
        square * entropic, rel=1e-7, abs=ROUNDING
    )


@more
@given(seeds, st.floats(-3, 3), st.floats(0.3, 3), st.floats(-5, 5))
def test_bounds_follow_the_unit(seed: int, angle: float, scale: float, shift: float) -> None:
    offset = torch.tensor([shift, -shift], dtype=torch.float64)
    p, q = mixture(seed, 2), mixture(seed + 1, 2)
    moved = [law.affine(rotation(angle, scale), offset) for law in (p, q)]
    assert bounds.mw2(*moved) == pytest.approx(scale**2 * bounds.mw2(p, q), rel=1e-8)
    assert bounds.gelbrich(*moved) == pytest.approx(scale**2 * bounds.gelbrich(p, q), rel=1e-8)
    assert kl_upper(*moved).high == pytest.approx(kl_upper(p, q).high, rel=1e-6)


@settings(max_examples=3)
@given(seeds, st.floats(-3, 3), st.floats(0.5, 2))
def test_quadrature_follows_the_unit(seed: int, angle: float, scale: float) -> None:
    p, q = mixture(seed, 2), mixture(seed + 1, 2)
    moved = [law.affine(rotation(angle, scale), torch.ones(2)) for law in (p, q)]
    assert kl_quadrature(*moved).value == pytest.approx(kl_quadrature(p, q).value, rel=1e-6)
    fisher = fisher_quadrature(p, q).value
    assert scale**2 * fisher_quadrature(*moved).value == pytest.approx(fisher, rel=1e-6)


# Processing and noise


@some
@given(seeds, st.floats(0.1, 2))
def test_processing_loses_information(seed: int, sigma: float) -> None:
    p, q = mixture(seed, 2), mixture(seed + 1, 2)
    kl, seen = kl_quadrature(p, q).value, [law.affine(EYE[:1], sigma=sigma) for law in (p, q)]
    bare = [law.affine(EYE[:1]) for law in (p, q)]
    assert kl_quadrature(*seen).value <= kl_quadrature(*bare).value + ROUNDING <= kl + 2 * ROUNDING
    assert w2_line(*seen).value <= w2_line(*bare).value + ROUNDING <= bounds.mw2(p, q) + 2 * ROUNDING
    wide = [law.affine(2 * EYE[:1]) for law in (p, q)]  # no contraction, so W2 may grow
    assert w2_line(*wide).value > w2_line(*bare).value


@some
@given(seeds)
def test_noise_lowers_kl_at_the_rate_of_fisher(seed: int) -> None:
    p, q, h = mixture(seed, 1), mixture(seed + 1, 1), 1e-3
    values = [at_level("reverse KL", p, q, tau).value for tau in (0.0, 0.3, 0.6 - h, 0.6 + h, 2.0, 9.0)]
    assert values == sorted(values, reverse=True)
    slope, fisher = (values[3] - values[2]) / (2 * h), at_level("reverse Fisher", p, q, 0.6).value
    assert slope == pytest.approx(-fisher / 2, rel=1e-4)
    assert slope != pytest.approx(-fisher, rel=1e-2)


# Order, sums and agreement


@some
@given(seeds)
def test_w2_lies_between_its_bounds(seed: int) -> None:
    p, q = mixture(seed, 1, 3), mixture(seed + 1, 1, 3)
    truth = w2_line(p, q).value
    assert bounds.gelbrich(p, q) <= truth + ROUNDING and truth <= bounds.mw2(p, q) + ROUNDING


@settings(max_examples=3)
@given(seeds)
def test_divergences_add_over_products(seed: int) -> None:
    pairs = [(mixture(seed + 2 * i, 1), mixture(seed + 2 * i + 1, 1)) for i in range(2)]
    joint = [bounds.product_law(side) for side in zip(*pairs, strict=True)]
    for divergence in (kl_quadrature, fisher_quadrature):
        total = bounds.product(divergence(*pair) for pair in pairs).value
        assert divergence(*joint).value == pytest.approx(total, rel=1e-6)
    tilted = [law.affine(torch.tensor([[1.0, 0.5], [0.0, 1.0]])) for law in joint]  # blocks no more
    bare = sum(kl_quadrature(*(law.affine(EYE[i : i + 1]) for law in tilted)).value for i in range(2))
    assert bare != pytest.approx(kl_quadrature(*tilted).value, rel=1e-3)


@some
@given(seeds)
def test_independent_estimators_agree(seed: int) -> None:
    p, q = mixture(seed, 1), mixture(seed + 1, 1)
    a, b = parts(p), parts(q)
    assert w2_line(p, q).value == pytest.approx(quadrature.w2_squared(a, b), rel=1e-9, abs=1e-12)
    assert kl_quadrature(p, q).value == pytest.approx(quadrature.kl(a, b), rel=1e-7, abs=1e-10)
    assert fisher_quadrature(p, q).value == pytest.approx(quadrature.fisher(a, b), rel=1e-7, abs=1e-10)


# Laws


@more
@given(seeds, st.floats(0.05, 3))
def test_denoiser_score_and_posterior_are_one(seed: int, sigma: float) -> None:
    law = mixture(seed, 2, 3)
    x = 3 * torch.randn(4, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(law.log_prob(x, sigma).sum(), x)
    x = x.detach()
    torch.testing.assert_close(law.score(x, sigma), slope)
    torch.testing.assert_close(law.denoise(x, sigma), x + sigma**2 * slope)
    posterior = torch.stack([law.posterior(row, EYE, sigma).mean for row in x])
    torch.testing.assert_close(law.denoise(x, sigma), posterior)
    noised = law.noised(sigma)
    torch.testing.assert_close(noised.log_prob(x), law.log_prob(x, sigma))
    assert not torch.allclose(law.denoise(x, sigma), x + sigma * slope) or abs(sigma - 1) < 0.1


@some
@given(seeds)
def test_tweedie_by_quadrature(seed: int) -> None:
    law, sigma, x_t = mixture(seed, 1), 0.8, 1.3
    x = torch.linspace(-30, 30, 6001, dtype=torch.float64)[:, None]
    weight = law.log_prob(x).exp() * torch.exp(-((x_t - x[:, 0]) ** 2) / (2 * sigma**2))
    mean = (weight @ x[:, 0] / weight.sum()).item()
    assert law.denoise(torch.tensor([[x_t]], dtype=torch.float64), sigma).item() == pytest.approx(mean)


@more
@given(seeds, st.floats(20, 40), st.sampled_from([0.0, 0.5]))
def test_far_tails_stay_finite(seed: int, far: float, sigma: float) -> None:
    law = mixture(seed, 2, 3)
    ways = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    x = law.mean + far * law.cov.trace().sqrt() * ways
    for value in (law.log_prob(x, sigma), law.score(x, sigma), law.denoise(x, sigma)):
        assert value.isfinite().all()
    assert (law.log_prob(x, sigma) < -100).all() and ((law.score(x, sigma) * ways).sum(1) < 0).all()


def test_far_tails_belong_to_one_component() -> None:
    law = GaussianMixture(torch.tensor([0.5, 0.5]), torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1, 1))
    x = torch.tensor([[41.0]], dtype=torch.float64)
    assert law.score(x, 0.0).item() == pytest.approx(-40.0)
    assert torch.exp(law.log_prob(x)).log().isinf().all()  # a density alone would be 0
