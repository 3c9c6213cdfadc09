"""The minimiser of each objective on Gaussian data, against closed forms.

A denoiser that is linear in `x_t` makes the loss of one batch a quadratic form of its
coefficients, whose minimiser is found exactly. Several batches give its standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian
from dcdbench.noises.coloured import Coloured
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.problem import Corruption, Fake, Measurement
from dcdbench.protocols import Objective, Operator

SIGMA_Y = 0.6
MEAN = torch.tensor([0.5, -1.0], dtype=torch.float64)
COV = torch.tensor([[1.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
LAW = Gaussian(MEAN, COV)
BATCHES, SIZE = 16, 4_000
ANY = Corruption(Identity(), SIGMA_Y)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Affine:
    """A denoiser `W x_t + b`, with one pair of coefficients per pattern of seen entries."""

    sigma_data = 1.0

    def __init__(self, dim: int, patterns: int = 1) -> None:
        self.dim, self.patterns = dim, patterns
        self.coefficients = torch.zeros(patterns * dim * (dim + 1), dtype=torch.float64)

    def parts(self) -> tuple[Tensor, Tensor]:
        table = self.coefficients.reshape(self.patterns, self.dim, self.dim + 1)
        return table[..., :-1], table[..., -1]

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        W, b = self.parts()
        k = torch.zeros(len(x_t), dtype=torch.long) if A is None else pattern(A)
        return torch.einsum("bij,bj->bi", W[k], x_t) + b[k]


def pattern(A: Operator) -> Tensor:
    """Which entries are seen, as a number in binary."""
    assert isinstance(A, Mask)
    return (A.mask.long() * 2 ** torch.arange(A.mask.shape[1])).sum(1)


def minimiser(loss: Callable[[Affine], Tensor], dim: int, patterns: int = 1) -> Affine:
    """The coefficients of least norm that minimise a quadratic loss."""
    denoiser = Affine(dim, patterns)

    def value(coefficients: Tensor) -> Tensor:
        denoiser.coefficients = coefficients
        return loss(denoiser)

    zero = denoiser.coefficients
    hessian = torch.autograd.functional.hessian(value, zero, vectorize=True)
    start = zero.clone().requires_grad_()
    (slope,) = torch.autograd.grad(value(start), start)
    denoiser.coefficients = -torch.linalg.pinv(hessian, rtol=1e-9, hermitian=True) @ slope
    return denoiser


def spread(values: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The mean over batches and its standard error."""
    stacked = torch.stack(values)
    return stacked.mean(0), stacked.std(0) / math.sqrt(len(values)) + 1e-12


def agree(values: list[Tensor], expected: Tensor) -> bool:
    """Whether the mean is within Monte Carlo error of what is expected, entry by entry."""
    mean, error = spread(values)
    return bool(((mean - expected).abs() < 5 * error).all())


def at(make: type, sigma: float) -> Objective:
    """An objective that trains one level."""
    objective: Objective = make(p_mean=math.log(sigma), p_std=1e-6)
    return objective


def fitted(objective: Objective, sigma_y: float) -> tuple[list[Tensor], list[Tensor]]:
    W, b = [], []
    for seed in range(BATCHES):
        x = LAW.sample(SIZE, rng(seed))
        m = Corruption(Identity(), sigma_y)(x, rng(100 + seed))

        def loss(denoiser: Affine, m: Measurement = m, seed: int = seed) -> Tensor:
            return objective(denoiser, m, rng(200 + seed)).mean()

        table = minimiser(loss, 2).parts()
        W.append(table[0][0])
        b.append(table[1][0])
    return W, b


def estimate(law: Gaussian, sigma: float) -> tuple[Tensor, Tensor]:
    """`E[x | x + sigma n] = W x_t + b` for a Gaussian."""
    W = law.cov @ torch.linalg.inv(law.cov + sigma**2 * torch.eye(2, dtype=torch.float64))
    return W, law.mean - W @ law.mean


@pytest.mark.parametrize("sigma", [0.3, 1.5])
@pytest.mark.parametrize("sigma_y", [0.0, SIGMA_Y])
def test_standard_learns_the_mean_of_the_measurement(sigma: float, sigma_y: float) -> None:
    W, b = fitted(at(Standard, sigma), sigma_y)
    expected = estimate(LAW.noised(sigma_y), sigma)
    assert agree(W, expected[0]) and agree(b, expected[1])
    clean = estimate(LAW, sigma)  # control: with noise it is not the clean signal that is learned
    assert (agree(W, clean[0]) and agree(b, clean[1])) == (sigma_y == 0)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 3.0])
def test_ambient_tweedie_learns_the_mean_of_the_clean_signal(sigma: float) -> None:
    """`x_t` has the noise level sigma in all, of which the measurement brought sigma_y."""
    W, b = fitted(at(AmbientTweedie, sigma), SIGMA_Y)
    expected = estimate(LAW, sigma)
    assert agree(W, expected[0]) and agree(b, expected[1])
    added = math.sqrt(sigma**2 - SIGMA_Y**2)
    noisy = estimate(LAW.noised(SIGMA_Y), added)  # control: E[y | x_t], what denoising without r learns
    assert not (agree(W, noisy[0]) and agree(b, noisy[1]))


def test_ambient_tweedie_misses_by_a_wrong_sigma_y() -> None:
    """Control: a wrong statement of the noise moves the minimiser."""
    objective, sigma = at(AmbientTweedie, 1.0), 1.0
    W = []
    for seed in range(BATCHES):
        m = ANY(LAW.sample(SIZE, rng(seed)), rng(100 + seed))
        said = Measurement(m.y, m.A, 0.8 * SIGMA_Y, m.shape)

        def loss(denoiser: Affine, said: Measurement = said, seed: int = seed) -> Tensor:
            return objective(denoiser, said, rng(200 + seed)).mean()

        W.append(minimiser(loss, 2).parts()[0][0])
    assert not agree(W, estimate(LAW, sigma)[0])


def masked_fit(objective: Objective, law: Gaussian, keep: float, size: int) -> list[Tensor]:
    """Per batch: the table of coefficients by the pattern that the denoiser is shown."""
    tables = []
    for seed in range(BATCHES):
        m = Corruption(Inpainting(keep))(law.sample(size, rng(seed)), rng(100 + seed))

        def loss(denoiser: Affine, m: Measurement = m, seed: int = seed) -> Tensor:
            return objective(denoiser, m, rng(200 + seed)).mean()

        tables.append(minimiser(loss, law.dim, 2**law.dim).coefficients.reshape(-1, law.dim, law.dim + 1))
    return tables


def masked_estimate(law: Gaussian, sigma: float) -> Tensor:
    """`E[x | A' x_t, A']` for every mask A', as coefficients; 0 for entries that are not shown."""
    d = law.dim
    table = torch.zeros(2**d, d, d + 1, dtype=torch.float64)
    for k in range(2**d):
        seen = [i for i in range(d) if k >> i & 1]
        noisy = law.cov[seen][:, seen] + sigma**2 * torch.eye(len(seen), dtype=torch.float64)
        table[k][:, seen] = law.cov[:, seen] @ torch.linalg.inv(noisy)
        table[k][:, -1] = law.mean - table[k][:, :-1] @ law.mean
    return table


COV3 = torch.tensor([[1.0, 0.6, -0.3], [0.6, 0.5, 0.1], [-0.3, 0.1, 1.5]], dtype=torch.float64)
LAWS = {2: LAW, 3: Gaussian(torch.tensor([0.5, -1.0, 0.0], dtype=torch.float64), COV3)}


@pytest.mark.parametrize("dim", LAWS)
def test_ambient_diffusion_learns_the_mean_given_what_is_shown(dim: int) -> None:
    """Every entry of `E[x | A' x_t, A']`, hidden ones too: the further mask made targets of some."""
    sigma = 0.8
    objective = AmbientDiffusion(delta=0.4, p_mean=math.log(sigma), p_std=1e-6)
    tables = masked_fit(objective, LAWS[dim], 0.6, SIZE)
    assert agree(tables, masked_estimate(LAWS[dim], sigma))


def test_zeros_as_data_are_another_minimiser() -> None:
    """Control: the standard objective takes the zeros of unseen entries for data."""
    sigma = 0.8
    m = Corruption(Inpainting(0.6))(LAW.sample(SIZE, rng()), rng(1))
    objective = at(Standard, sigma)
    found = minimiser(lambda denoiser: objective(denoiser, m, rng(2)).mean(), 2).parts()[0][0]
    everything_seen = masked_estimate(LAW, sigma)[-1][:, :-1]
    assert float((found - everything_seen).abs().max()) > 0.1


def test_without_a_further_mask_hidden_entries_would_learn_nothing() -> None:
    """Control: judged only on what it is shown, a denoiser may say anything of the rest."""
    sigma = 0.8
    objective = AmbientDiffusion(delta=0.4, p_mean=math.log(sigma), p_std=1e-6)
    x = LAW.sample(SIZE, rng())
    m = Corruption(Inpainting(0.6))(x, rng(1))
    shown = objective.view(m, torch.full((SIZE,), sigma, dtype=torch.float64), rng(2))
    assert isinstance(shown.A, Mask)

    def loss(denoiser: Affine) -> Tensor:
        return shown.of(shown.signal(denoiser) - x).square().mean()

    table = minimiser(loss, 2, 4).coefficients.reshape(4, 2, 3)
    assert float(table[1][1].abs().max()) < 1e-6  # shown the first entry, it says nothing of the second
    assert float(masked_estimate(LAW, sigma)[1][1].abs().max()) > 0.1


@pytest.mark.parametrize(("objective", "sigma_y"), [(Standard(), 0.0), (AmbientTweedie(), SIGMA_Y)])
def test_the_exact_denoiser_is_stationary_over_all_levels(objective: Objective, sigma_y: float) -> None:
    """The slopes along a scale, an offset and a trend in the level vanish there, and nowhere near."""

    def slopes(theta: Tensor) -> list[Tensor]:
        found = []
        for seed in range(BATCHES):
            m = Corruption(Identity(), sigma_y)(LAW.sample(SIZE, rng(seed)), rng(100 + seed))
            at_theta = theta.clone().requires_grad_()

            def denoiser(
                x_t: Tensor, sigma: Tensor, A: Operator | None = None, t: Tensor = at_theta
            ) -> Tensor:
                trend = 1 + t[0] + t[2] * sigma.log()[:, None]
                return trend * LAW.denoise(x_t, sigma) + t[1]

            denoiser.sigma_data = 1.0  # type: ignore[attr-defined]
            loss = objective(denoiser, m, rng(200 + seed)).mean()  # type: ignore[arg-type]
            found.append(torch.autograd.grad(loss, at_theta)[0])
        return found

    zero = torch.zeros(3, dtype=torch.float64)
    assert agree(slopes(zero), zero)
    for i in range(3):
        moved = zero.clone()
        moved[i] = 0.1
        assert not agree(slopes(moved), zero)


# What the distillers ask for


def variance(objective: Objective, m: Measurement, sigma: float) -> Tensor:
    view = objective.view(m, torch.full((len(m),), sigma, dtype=m.y.dtype), rng(5))
    return view.x_t.var(0, correction=0)


@pytest.mark.parametrize("sigma", [0.6, 0.61, 2.0])
def test_views_have_the_variance_of_their_level(sigma: float) -> None:
    """The noise is sigma in all on the signal for Tweedie, on the measurement for the standard objective."""
    n = 200_000
    m = ANY(LAW.sample(n, rng()), rng(1))
    error = 5 * math.sqrt(2 / n)
    tweedie = variance(AmbientTweedie(), m, sigma) / (COV.diagonal() + sigma**2) - 1
    standard = variance(Standard(), m, sigma) / (COV.diagonal() + SIGMA_Y**2 + sigma**2) - 1
    assert float(tweedie.abs().max()) < error and float(standard.abs().max()) < error
    swapped = variance(Standard(), m, sigma) / (COV.diagonal() + sigma**2) - 1
    assert float(swapped.abs().max()) > error  # control


def test_a_masked_view_shows_noise_on_seen_entries_only() -> None:
    x = LAW.sample(50_000, rng())
    m = Corruption(Inpainting(0.7))(x, rng(1))
    v = AmbientDiffusion(delta=0.3).view(m, torch.full((len(m),), 0.5, dtype=torch.float64), rng(2))
    assert isinstance(v.A, Mask) and isinstance(m.A, Mask)
    shown, seen = v.A.mask.bool(), m.A.mask.bool()
    assert bool((v.x_t[~shown] == 0).all()) and not bool((shown & ~seen).any())
    assert float(shown[seen].double().mean()) == pytest.approx(0.7, abs=0.01)
    noise = (v.x_t - x)[shown]
    assert float(noise.std()) == pytest.approx(0.5, rel=0.02) and abs(float(noise.mean())) < 0.02


def test_a_view_at_the_noise_of_the_measurement_adds_nothing() -> None:
    """Also where sigma_y is not a number of float32, as which levels are stored."""
    for sigma_y in (0.1, 0.3, 0.5, 0.7, 0.9):
        m = Corruption(Identity(), sigma_y)(LAW.sample(3, rng()).float(), rng(1))
        v = AmbientTweedie().view(m, torch.full((3,), sigma_y, dtype=torch.float64).float(), rng())
        torch.testing.assert_close(v.x_t, m.y, atol=1e-3, rtol=0)


def test_a_level_below_the_noise_cannot_be_reached() -> None:
    m = ANY(LAW.sample(3, rng()), rng(1))
    with pytest.raises(ValueError, match=r"sigma must be >= sigma_y = 0\.6, got 0\.59"):
        AmbientTweedie().view(m, torch.tensor([0.7, 0.59, 1.0], dtype=torch.float64), rng())
    fake = ANY.fake(LAW.sample(3, rng()), rng(), noise=False)  # control: without noise it can
    AmbientTweedie().view(fake, torch.tensor([0.7, 0.59, 1.0], dtype=torch.float64), rng())


def test_the_signal_is_what_the_denoiser_estimates() -> None:
    x = LAW.sample(5, rng()).requires_grad_()
    fake = Corruption(Inpainting(0.5), SIGMA_Y).fake(x, rng(1))
    assert Standard().signal(fake) is fake.y
    for aware in (AmbientTweedie(), AmbientDiffusion()):
        assert torch.equal(aware.signal(fake), fake.A(x)) and not torch.equal(fake.A(x), fake.y)
    for objective in (Standard(), AmbientTweedie(), AmbientDiffusion()):
        assert objective.signal(fake).requires_grad


def test_lowest_levels() -> None:
    assert [o.lowest(0.3) for o in (Standard(), AmbientTweedie(), AmbientDiffusion())] == [0.0, 0.3, 0.3]


@pytest.mark.parametrize(
    ("objective", "corruption", "reason"),
    [
        (Standard(), Corruption(Identity(), 0.2), None),
        (Standard(), Corruption(Inpainting(), 0.0), "learns the zeros of unseen entries as data"),
        (AmbientTweedie(), Corruption(Identity(), 0.2), None),
        (AmbientTweedie(), Corruption(Identity()), "needs measurement noise"),
        (AmbientTweedie(), Corruption(Inpainting(), 0.2), "learns the zeros of unseen entries as data"),
        (AmbientDiffusion(), Corruption(Inpainting()), None),
        (AmbientDiffusion(), Corruption(Identity()), "needs masks"),
        (AmbientDiffusion(), Corruption(Inpainting(), 0.1), None),
        (AmbientDiffusion(), Corruption(Inpainting(), 0.0, Coloured()), "needs white noise or none"),
    ],
)
def test_reasons(objective: Objective, corruption: Corruption, reason: str | None) -> None:
    said = objective.supports(corruption)
    assert said is None if reason is None else said is not None and said.startswith(reason)


def test_errors_say_what_is_wrong() -> None:
    m = Corruption(Identity())(LAW.sample(3, rng()), rng(1))
    with pytest.raises(ValueError, match="IdentityDraw has no further corruption"):
        AmbientDiffusion().view(m, torch.ones(3, dtype=torch.float64), rng())
    for delta in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match=r"^delta must be in \(0, 1\)"):
            AmbientDiffusion(delta=delta)
        with pytest.raises(ValueError, match=r"^sampling_delta must be in \(0, 1\)"):
            AmbientDiffusion(sampling_delta=delta)


def test_the_draw_of_a_conditional_objective_is_further_corrupted() -> None:
    """By its share for sampling, whatever the training drops."""
    for delta in (0.2, 0.9):
        objective = AmbientDiffusion(delta=delta, sampling_delta=0.5)
        A = objective.draw(Corruption(Inpainting(0.8)), (1000,), 100, rng())
        assert isinstance(A, Mask)
        assert float(A.mask.mean()) == pytest.approx(0.4, abs=0.01)
    assert Standard().draw(ANY, (2,), 3, rng()) is None
    assert AmbientTweedie().draw(ANY, (2,), 3, rng()) is None


def test_ambient_diffusion_ignores_what_was_not_measured() -> None:
    """Whatever stands in unseen entries of the output changes neither loss nor gradient."""
    m = Corruption(Inpainting(0.5))(LAW.sample(64, rng()), rng(1))
    out = torch.randn(64, 2, generator=rng(2), dtype=torch.float64)
    assert isinstance(m.A, Mask)
    hidden = 1 - m.A.mask

    def loss(value: Tensor) -> Tensor:
        def denoiser(x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
            return value

        denoiser.sigma_data = 1.0  # type: ignore[attr-defined]
        return AmbientDiffusion()(denoiser, m, rng(3))  # type: ignore[arg-type]

    torch.testing.assert_close(loss(out), loss(out + 7 * hidden))
    assert not torch.allclose(loss(out), loss(out + 7 * m.A.mask))  # control
    value = out.requires_grad_()
    (slope,) = torch.autograd.grad(loss(value).sum(), value)
    assert bool((slope[hidden.bool()] == 0).all()) and bool((slope != 0).any())


def test_fakes_without_noise_are_seen_below_the_noise_level() -> None:
    """`x_t` of a noiseless fake carries exactly sigma, however small."""
    u = LAW.sample(100_000, rng())
    fake = ANY.fake(u, rng(1), noise=False)
    assert isinstance(fake, Fake) and fake.sigma_y == 0
    v = AmbientTweedie().view(fake, torch.full((len(fake),), 0.1, dtype=torch.float64), rng(2))
    assert float((v.x_t - u).std()) == pytest.approx(0.1, rel=0.01)
