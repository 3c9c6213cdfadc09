"""The analytic laws, against scipy, scikit-learn, quadrature, and the identities of diffusion."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.analytic import (
    Gaussian,
    GaussianMixture,
    Law,
    NoDensity,
    contaminated,
    frechet,
    kl_gaussian,
    w2_gaussian,
)

seeds = st.integers(0, 2**31)
tried = settings(max_examples=30, deadline=None)
sigmas = st.floats(0.05, 20.0)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def gaussian(seed: int, d: int = 3, rank: int | None = None) -> Gaussian:
    return Gaussian.from_factor(normal(seed, d), normal(seed + 1, d, rank or d))


def mixture(seed: int, d: int = 3, k: int = 4, rank: int | None = None) -> GaussianMixture:
    factors = 0.5 * normal(seed, k, d, rank or d)
    weights = torch.softmax(normal(seed + 1, k), 0)
    return GaussianMixture(weights, 3 * normal(seed + 2, k, d), factors @ factors.mT)


laws = st.builds(lambda make, seed: make(seed), st.sampled_from([gaussian, mixture]), seeds)


def test_gaussian_density_is_that_of_scipy() -> None:
    from scipy.stats import multivariate_normal

    law, x = gaussian(0), normal(5, 50, 3)
    other = multivariate_normal(law.mean.numpy(), law.cov.numpy()).logpdf(x.numpy())
    np.testing.assert_allclose(law.log_prob(x).numpy(), other, rtol=1e-10)


def test_mixture_density_is_that_of_scikit_learn() -> None:
    from sklearn.mixture import GaussianMixture as Other

    law, x = mixture(0), 5 * normal(5, 50, 3)
    other = Other(n_components=4)
    other.weights_, other.means_ = law.weights.numpy(), law.means.numpy()
    other.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(law.covs.numpy()))
    np.testing.assert_allclose(law.log_prob(x).numpy(), other.score_samples(x.numpy()), rtol=1e-10)


@tried
@given(laws, sigmas, seeds)
def test_tweedie(law: Law, sigma: float, seed: int) -> None:
    x = 3 * normal(seed, 8, 3)
    torch.testing.assert_close(
        law.denoise(x, sigma), x + sigma**2 * law.score(x, sigma), rtol=1e-9, atol=1e-9
    )


@tried
@given(laws, sigmas, seeds)
def test_score_is_the_gradient_of_the_density(law: Law, sigma: float, seed: int) -> None:
    x, h = 3 * normal(seed, 4, 3), 1e-5 * sigma
    step = h * torch.eye(3, dtype=torch.float64)
    noised = law.noised(sigma)
    slopes = torch.stack([(noised.log_prob(x + e) - noised.log_prob(x - e)) / (2 * h) for e in step], 1)
    torch.testing.assert_close(law.score(x, sigma), slopes, rtol=1e-4, atol=1e-4 / sigma)


@tried
@given(laws, seeds)
def test_noise_levels_per_sample_are_levels_one_by_one(law: Law, seed: int) -> None:
    x, sigma = normal(seed, 5, 3), torch.linspace(0.1, 3, 5, dtype=torch.float64)
    for ask in (law.denoise, law.score, law.log_prob):
        one_by_one = [ask(a[None], s.item()) for a, s in zip(x, sigma, strict=True)]
        torch.testing.assert_close(ask(x, sigma), torch.cat(one_by_one))


@tried
@given(laws, st.floats(0.1, 3), st.floats(0.1, 3), seeds)
def test_noise_adds_in_variance(law: Law, a: float, b: float, seed: int) -> None:
    x = normal(seed, 5, 3)
    torch.testing.assert_close(law.noised(a).log_prob(x, b), law.log_prob(x, math.hypot(a, b)))


@pytest.mark.parametrize("make", [gaussian, mixture])
def test_forty_standard_deviations_out_nothing_is_lost(make: Callable[[int], Law]) -> None:
    law = make(0)
    x = law.mean + 40 * law.cov.trace().sqrt() * torch.nn.functional.normalize(normal(3, 100, 3), dim=1)
    for values in (law.log_prob(x), law.score(x, 0.0), law.denoise(x, 0.1)):
        assert torch.isfinite(values).all()
    densities = torch.exp(law.log_prob(x))
    assert (densities == 0).any()  # control: the densities themselves underflow


@pytest.mark.parametrize("sigma", [0.0, 0.7])
@pytest.mark.parametrize("far", [0.0, 8.0, 40.0, -40.0])
def test_tails_are_those_of_fifty_digits(far: float, sigma: float) -> None:
    mp = pytest.importorskip("mpmath")
    w, m, v = (0.3, 0.7), (-2.0, 1.0), (0.25, 1.0)
    law = GaussianMixture(torch.tensor(w), torch.tensor(m)[:, None], torch.tensor(v)[:, None, None])
    w, x = law.weights.tolist(), torch.tensor([[far]], dtype=torch.float64)
    with mp.workdps(50):
        total = [mp.mpf(c) + mp.mpf(sigma) ** 2 for c in v]
        parts = [b * mp.npdf(far, a, mp.sqrt(c)) for a, b, c in zip(m, w, total, strict=True)]
        p = sum(parts)
        score = sum(part * (a - far) / c for part, a, c in zip(parts, m, total, strict=True)) / p
        exact = [float(mp.log(p)), float(score), float(far + mp.mpf(sigma) ** 2 * score)]
    found = [ask(x, sigma).item() for ask in (law.log_prob, law.score, law.denoise)]
    assert found == pytest.approx(exact, rel=1e-12, abs=1e-12)


def test_conditional_mean_by_regression_on_samples() -> None:
    law, sigma, n = mixture(2, d=1), 0.7, 400_000
    x = law.sample(n, generator(0))
    x_t = x + sigma * torch.randn(x.shape, generator=generator(1), dtype=x.dtype)
    residual = (x - law.denoise(x_t, sigma))[:, 0]
    for weight in (torch.ones_like(residual), x_t[:, 0], torch.sin(x_t[:, 0])):
        products = residual * weight
        assert abs(products.mean() / products.std() * n**0.5) < 4
    off = (x - law.denoise(x_t, 0.6))[:, 0] * x_t[:, 0]
    assert abs(off.mean() / off.std() * n**0.5) > 4  # control: another noise level


@pytest.mark.parametrize("law", [gaussian(0), mixture(0), gaussian(1, rank=1), mixture(1, rank=1)])
def test_samples_have_the_law_s_moments(law: Law) -> None:
    n = 100_000
    x = law.sample(n, generator(0)) - law.mean
    assert ((x.mean(0) / x.std(0)).abs() * n**0.5 < 4.5).all()
    products = x[:, :, None] * x[:, None, :]
    assert ((products.mean(0) - law.cov).abs() <= 4.5 * products.std(0) / n**0.5 + 1e-12).all()
    assert torch.equal(law.sample(10, generator(3)), law.sample(10, generator(3)))


def test_answers_follow_the_question_s_dtype() -> None:
    law, x = mixture(0), normal(1, 5, 3).float()
    assert law.denoise(x, 1.0).dtype == law.score(x, 1.0).dtype == law.log_prob(x).dtype == torch.float32
    assert law.sample(2, generator(0)).dtype == torch.float64
    copy = pickle.loads(pickle.dumps(law))
    assert torch.equal(copy.log_prob(x), law.log_prob(x))


@pytest.mark.parametrize("law", [gaussian(0, rank=2), mixture(0, rank=2)])
def test_degenerate_law_has_no_density_until_noise_is_added(law: Law) -> None:
    x = normal(1, 5, 3)
    assert not law.has_density
    for ask in (law.log_prob, lambda x: law.score(x, 0.0)):
        with pytest.raises(NoDensity, match="degenerate"):
            ask(x)
    assert law.noised(0.1).has_density
    torch.testing.assert_close(law.denoise(x, 0.1), x + 0.01 * law.score(x, 0.1))


def test_degenerate_gaussian_denoises_to_its_support() -> None:
    law = gaussian(0, rank=1)
    x = law.denoise(normal(1, 5, 3), 0.0) - law.mean
    assert int(torch.linalg.matrix_rank(x, rtol=1e-9)) == 1


@tried
@given(seeds, st.floats(0.05, 3))
def test_gaussian_posterior_is_that_of_bayes(seed: int, sigma: float) -> None:
    law, A, y = gaussian(seed), normal(seed + 7, 2, 3), normal(seed + 8, 2)
    precision = torch.linalg.inv(law.cov) + A.mT @ A / sigma**2
    mean = torch.linalg.solve(precision, torch.linalg.solve(law.cov, law.mean) + A.mT @ y / sigma**2)
    found = law.posterior(y, A, sigma)
    tol = 1e-9 * torch.linalg.cond(law.cov).item()
    torch.testing.assert_close(found.mean, mean, rtol=tol, atol=tol)
    torch.testing.assert_close(found.cov, torch.linalg.inv(precision), rtol=tol, atol=tol)


def test_mixture_posterior_is_that_of_bayes_pointwise() -> None:
    law, A, sigma = mixture(0), normal(7, 2, 3), 0.4
    x = law.sample(30, generator(1))
    y = A @ x[0]
    found = law.posterior(y, A, sigma)
    joint = law.log_prob(x) - 0.5 * ((y - x @ A.mT) / sigma).square().sum(1)
    gap = found.log_prob(x) - joint
    torch.testing.assert_close(gap, gap[:1].expand_as(gap), rtol=0, atol=1e-6)
    wrong = law.posterior(y, A, 1.5 * sigma).log_prob(x) - joint
    assert wrong.std() > 0.1  # control: another noise


@tried
@given(laws, seeds, st.floats(0.1, 3))
def test_posterior_mean_of_the_identity_is_the_denoiser(law: Law, seed: int, sigma: float) -> None:
    y = 2 * normal(seed, 3)
    mean = law.posterior(y, torch.eye(3), sigma).mean
    torch.testing.assert_close(mean, law.denoise(y[None], sigma)[0], rtol=1e-8, atol=1e-8)


def test_noiseless_measurement_leaves_only_what_it_does_not_show() -> None:
    law, A = gaussian(0), torch.eye(3, dtype=torch.float64)[:2]
    found = law.posterior(torch.tensor([1.0, 2.0]), A, 0.0)
    torch.testing.assert_close(found.mean[:2], torch.tensor([1.0, 2.0], dtype=torch.float64))
    given_y = law.cov[2, 2] - law.cov[2, :2] @ torch.linalg.solve(law.cov[:2, :2], law.cov[:2, 2])
    torch.testing.assert_close(found.cov[2, 2], given_y)
    assert found.cov[:2].abs().max() < 1e-12


@pytest.mark.parametrize(
    "A",
    [[[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.5], [1.0, 0.5]], [[0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]],
    ids=["singular", "repeated", "zero", "identity"],
)
@pytest.mark.parametrize("rank", [1, 2])
def test_noiseless_posterior_of_a_mixture_is_the_limit_of_little_noise(
    A: list[list[float]], rank: int
) -> None:
    law, matrix = mixture(3, 2, 3, rank), torch.tensor(A, dtype=torch.float64)
    y = matrix @ law.sample(1, generator(0))[0]
    found, limit = law.posterior(y, matrix, 0.0), law.posterior(y, matrix, 1e-5)
    torch.testing.assert_close(found.weights, limit.weights, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(found.mean, limit.mean, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(found.cov, limit.cov, atol=1e-7, rtol=1e-7)
    other = law.posterior(y + 0.3, matrix, 1e-5)
    assert torch.equal(matrix, 0 * matrix) or (found.mean - other.mean).abs().max() > 1e-3  # control


def test_noiseless_measurement_tells_components_by_where_they_live() -> None:
    """An atom on a line in the plane: each, where it can, before those of more dimensions."""
    covs = torch.diag_embed(torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]))
    law = GaussianMixture(torch.tensor([0.2, 0.3, 0.5]), torch.tensor([[0, 0], [0, 0], [5.0, 5.0]]), covs)
    for k, y in enumerate(([0.0, 0.0], [0.4, 0.0], [0.4, 0.2])):
        found = law.posterior(torch.tensor(y), torch.eye(2), 0.0)
        assert found.weights.argmax() == k and found.weights[k] == 1
        assert found.mean.tolist() == pytest.approx(y)
        assert law.denoise(torch.tensor([y]), 0.0)[0].tolist() == pytest.approx(y)


@pytest.mark.parametrize("seed", range(5))
def test_kl_is_that_of_quadrature(seed: int) -> None:
    p, q = gaussian(seed, d=1), gaussian(seed + 50, d=1)
    s = p.cov.sqrt().item()
    x = torch.linspace(p.mean.item() - 12 * s, p.mean.item() + 12 * s, 20_001, dtype=torch.float64)[:, None]
    log_p = p.log_prob(x)
    integral = torch.trapezoid(log_p.exp() * (log_p - q.log_prob(x)), x[:, 0]).item()
    assert kl_gaussian(p, q) == pytest.approx(integral, rel=1e-8)


@tried
@given(seeds)
def test_kl_is_a_divergence_that_ignores_coordinates(seed: int) -> None:
    p, q = gaussian(seed), gaussian(seed + 9)
    value = kl_gaussian(p, q)
    assert value > 0 and kl_gaussian(p, p) == pytest.approx(0, abs=1e-8)
    matrix = torch.linalg.qr(normal(seed + 20, 3, 3)).Q * torch.tensor([0.5, 1.0, 3.0])
    assert kl_gaussian(p.affine(matrix), q.affine(matrix)) == pytest.approx(value, rel=1e-5)


def test_kl_of_degenerate_laws() -> None:
    """On a common subspace it is finite, as the low-rank theorem needs; else infinite."""
    noise, r = 0.5, 2
    basis = torch.linalg.qr(normal(0, 5, r)).Q
    clean = Gaussian.from_factor(torch.zeros(5), basis)
    student = Gaussian.from_factor(torch.zeros(5), (1 + noise) ** 0.5 * basis)
    assert kl_gaussian(student, clean) == pytest.approx(r / 2 * (noise - math.log1p(noise)))
    assert kl_gaussian(clean, student) == pytest.approx(r / 2 * (1 / (1 + noise) - 1 + math.log1p(noise)))
    assert kl_gaussian(clean.noised(0.1), clean) == math.inf
    assert kl_gaussian(clean, clean.noised(0.1)) == math.inf


@pytest.mark.parametrize(
    ("a", "b", "exact"),
    [
        ((1, 5e-12), (1, 1e-12), 1.1952810437829),
        ((1, 2e-16), (1, 1e-16), 0.15342640972003),
        ((1, 1e-12), (1e-5, 1), 50007.059047825474),
        ((1, 1e-30), (1, 0), math.inf),
        ((1, 0), (1, 1e-30), math.inf),
        ((0, 0), (0, 0), 0.0),
    ],
)
def test_kl_across_many_scales(a: tuple[float, ...], b: tuple[float, ...], exact: float) -> None:
    p, q = (Gaussian(torch.zeros(2), torch.tensor(v, dtype=torch.float64).diag()) for v in (a, b))
    assert kl_gaussian(p, q) == pytest.approx(exact, rel=1e-12)


def test_kl_of_ill_conditioned_laws_that_are_rotated() -> None:
    turn = torch.linalg.qr(normal(0, 3, 3)).Q
    centre = torch.zeros(3)

    def law(*variances: float) -> Gaussian:
        return Gaussian(centre, turn @ torch.tensor(variances, dtype=torch.float64).diag() @ turn.mT)

    exact = 0.5 * (4 - math.log(5))
    assert kl_gaussian(law(1, 5e-10, 1), law(1, 1e-10, 1)) == pytest.approx(exact, rel=1e-4)
    assert kl_gaussian(law(1, 5e-10, 0), law(1, 1e-10, 0)) == pytest.approx(exact, rel=1e-4)
    assert kl_gaussian(law(1, 1e-10, 0), law(1, 0, 1e-10)) == math.inf
    away = Gaussian(1e-6 * turn[:, 2], law(1, 1, 0).cov)
    assert kl_gaussian(away, law(1, 1, 0)) == math.inf
    along = Gaussian(turn[:, 0], law(1, 1, 0).cov)
    assert kl_gaussian(along, law(1, 1, 0)) == pytest.approx(0.5)


def test_kl_keeps_its_accuracy_between_close_laws() -> None:
    step = 1e-9
    p, q = (Gaussian(torch.zeros(1), torch.tensor([[v]], dtype=torch.float64)) for v in (1 + step, 1.0))
    assert kl_gaussian(p, q) == pytest.approx(step**2 / 4, rel=1e-6, abs=0)
    with pytest.raises(TypeError, match="Gaussians"):
        kl_gaussian(mixture(0), gaussian(0))  # type: ignore[arg-type]


@tried
@given(seeds)
def test_w2_of_gaussians_is_a_metric_and_moves_with_translation(seed: int) -> None:
    p, q, r = (gaussian(seed + 10 * i, rank=2) for i in range(3))
    assert w2_gaussian(p, r) <= w2_gaussian(p, q) + w2_gaussian(q, r) + 1e-9
    shift = normal(seed + 40, 3)
    moved = p.affine(torch.eye(3), shift)
    assert w2_gaussian(p, moved) == pytest.approx(shift.norm().item(), rel=1e-9)


def test_w2_refuses_mixtures() -> None:
    with pytest.raises(TypeError, match="Gaussians only"):
        w2_gaussian(mixture(0), gaussian(0))


@pytest.mark.parametrize("seed", range(5))
def test_gelbrich_bound(seed: int) -> None:
    """The Frechet distance never exceeds the squared W2, here of mixtures in 1-D by their quantiles."""
    from dcdbench.metrics.sliced_w2 import w2_squared_1d

    p, q = mixture(seed, d=1), mixture(seed + 30, d=1)
    levels = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    x, y = (_quantiles(law, levels) for law in (p, q))
    assert frechet(p, q) <= w2_squared_1d(x[None], y[None]).item() * (1 + 1e-3)


def _quantiles(law: Law, levels: Tensor) -> Tensor:
    grid = torch.linspace(-40, 40, 400_001, dtype=torch.float64)
    cdf = torch.cumsum(law.log_prob(grid[:, None]).exp(), 0) * (grid[1] - grid[0])
    return grid[torch.searchsorted(cdf, levels).clamp_max(len(grid) - 1)]


@tried
@given(seeds)
def test_affine_images_of_mixtures_have_affine_moments(seed: int) -> None:
    law, matrix, offset = mixture(seed), normal(seed + 5, 2, 3), normal(seed + 6, 2)
    image = law.affine(matrix, offset, sigma=0.5)
    torch.testing.assert_close(image.mean, matrix @ law.mean + offset)
    torch.testing.assert_close(
        image.cov, matrix @ law.cov @ matrix.mT + 0.25 * torch.eye(2, dtype=torch.float64)
    )


def test_contaminated_law_is_the_mixture() -> None:
    clean, other, eps = mixture(0), gaussian(5), 0.2
    law, x = contaminated(clean, eps, other), normal(1, 9, 3)
    density = (1 - eps) * clean.log_prob(x).exp() + eps * other.log_prob(x).exp()
    torch.testing.assert_close(law.log_prob(x).exp(), density)
    torch.testing.assert_close(law.mean, (1 - eps) * clean.mean + eps * other.mean)
    torch.testing.assert_close(contaminated(clean, 0.0, other).score(x, 0.1), clean.score(x, 0.1))
    with pytest.raises(ValueError, match="eps"):
        contaminated(clean, 1.2, other)
    with pytest.raises(ValueError, match="same dimension"):
        contaminated(clean, 0.1, gaussian(5, d=2))


def test_bad_arguments_are_explained() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        GaussianMixture(torch.ones(2), torch.zeros(2, 1), torch.ones(2, 1, 1))
    with pytest.raises(ValueError, match=r"\(d,\) and \(d, d\)"):
        Gaussian(torch.zeros(2), torch.eye(3))
    with pytest.raises(ValueError, match=r"\(K, d, d\)"):
        GaussianMixture(torch.ones(1), torch.zeros(1, 2), torch.eye(2))
    with pytest.raises(ValueError, match="flat vectors"):
        gaussian(0).log_prob(torch.zeros(3))
