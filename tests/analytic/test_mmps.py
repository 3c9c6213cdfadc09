"""Moment matching posterior sampling: exact where posteriors are Gaussian, and the algebra behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture
from dcdbench.batch import expand
from dcdbench.networks.exact import ExactDenoiser
from dcdbench.operators.blur import Blur
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Mask
from dcdbench.operators.random_projections import Projections
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Operator
from dcdbench.restorers.gain import gain
from dcdbench.restorers.posterior import MMPS, conditioned
from dcdbench.streams import Stream

D, SIGMA_Y = 4, 0.3
ROOT = torch.randn(D, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LAW = Gaussian(torch.tensor([1.0, -2.0, 0.5, 0.0]), ROOT @ ROOT.T / D + 0.05 * torch.eye(D))
DENOISER = ExactDenoiser(LAW)
ROWS = torch.nn.functional.normalize(
    torch.randn(2, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64), dim=1
)
KERNEL = ((0.25, 0.5, 0.25),)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws(name: str, n: int) -> Operator:
    """The same draw for all samples, so that they share a posterior."""
    if name == "mask":
        return Mask(torch.tensor([1.0, 0.0, 1.0, 0.0]).double().expand(n, -1))
    if name == "projections":
        return Projections(ROWS.expand(n, -1, -1), torch.ones(n, 2).double())
    return (Blur(KERNEL) if name == "blur" else Identity()).draw((D,), n, rng())


OPERATORS = ["identity", "mask", "blur", "projections"]


def matrix(A: Operator) -> Tensor:
    return torch.stack([A(e[None])[0] for e in torch.eye(D, dtype=torch.float64)], 1)


def measured(name: str, n: int, sigma_y: float = SIGMA_Y) -> Measurement:
    """One measurement, `n` times."""
    one = draws(name, 1)
    y = one(LAW.sample(1, rng(1)))
    y = y + sigma_y * one.restrict(torch.randn(y.shape, generator=rng(2), dtype=torch.float64))
    return Measurement(y.expand(n, -1), draws(name, n), sigma_y, (D,))


def posterior_mean(law: Gaussian, x_t: Tensor, sigma: float, m: Measurement) -> Tensor:
    """`E[x | x_t, y]` by the precisions of all that is known."""
    H, prior = matrix(m[:1].A), torch.linalg.inv(law.cov)
    precision = prior + torch.eye(D) / sigma**2 + H.T @ H / m.sigma_y**2
    right = (prior @ law.mean) + x_t / sigma**2 + m.y @ H / m.sigma_y**2
    return torch.linalg.solve(precision, right.T).T


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("sigma", [0.05, 1.0, 20.0])
def test_is_the_posterior_mean_under_a_gaussian_prior(name: str, sigma: float) -> None:
    m = measured(name, 50)
    x_t = LAW.mean + sigma * torch.randn(50, D, generator=rng(3), dtype=torch.float64)
    expected = posterior_mean(LAW, x_t, sigma, m)
    got = conditioned(DENOISER, x_t, sigma, m, SIGMA_Y, solves=4 * D)
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-3)  # gain stops at 1e-4 of the residual
    without = DENOISER(x_t, torch.full((50,), sigma))
    assert sigma < 0.1 or not torch.allclose(without, expected, rtol=0, atol=2e-3)  # the control


def test_needs_the_jacobian() -> None:
    """Control: the noise level alone for the covariance of `p(x | x_t)` gives another mean."""
    m = measured("projections", 20)
    x_t = LAW.mean + torch.randn(20, D, generator=rng(3), dtype=torch.float64)

    @dataclass
    class Level:
        sigma_data: float = 1.0

        def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
            return x_t + (LAW.denoise(x_t, sigma) - x_t).detach()

    wrong = conditioned(Level(), x_t, 1.0, m, SIGMA_Y, solves=4 * D)
    assert float((wrong - posterior_mean(LAW, x_t, 1.0, m)).abs().max()) > 0.1


@pytest.mark.parametrize("degrees", [2, 40])
def test_what_is_credible_is_solved_for(degrees: int) -> None:
    """Of residuals with the covariance that is said, next to none is left early: it is the exact solution."""
    root = torch.randn(degrees, degrees, generator=rng(1), dtype=torch.float64)
    S = root @ root.T / degrees
    whole = S + 0.1 * torch.eye(degrees)
    r = torch.randn(500, degrees, generator=rng(2), dtype=torch.float64) @ torch.linalg.cholesky(whole).T
    exact = r @ torch.linalg.solve(whole, S)

    def off(r: Tensor) -> float:
        got = gain(lambda v: v @ S, lambda v: v, lambda v: v, r, 0.1, steps=200, tol=1e-9, beyond=4.0)
        error = (got - r @ torch.linalg.solve(whole, S)).norm(dim=1)
        return float((error > 1e-3 * exact.norm(dim=1)).double().mean())

    assert off(r) < 0.02
    assert off(10 * r) > 0.9  # the control: residuals that are not credible


def test_an_incredible_covariance_is_left_early() -> None:
    """Two readings that are nearly the same, of signals of size 1, cannot differ so much.

    The control has no bound.
    """
    A = torch.tensor([[1.0, 1.0], [1.0, 1.001]], dtype=torch.float64)
    r = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    bounded, free = (
        gain(lambda v: v, lambda v: v @ A.T, lambda v: v @ A, r, 1e-8, steps=4, beyond=beyond)
        for beyond in (4.0, math.inf)
    )
    assert 0.5 < float(bounded.norm()) < 2 and float(free.norm()) > 500


@pytest.mark.parametrize("name", OPERATORS)
def test_samples_have_the_moments_of_the_posterior(name: str) -> None:
    n = 1000
    m = measured(name, n)
    x = MMPS(steps=250, solves=4, trust=0.0, top=20.0).sample(DENOISER, m, rng(4))
    exact = LAW.posterior(m.y[0], matrix(m[:1].A), SIGMA_Y)
    scale = exact.cov.diagonal().sqrt()
    z = (x.mean(0) - exact.mean) / (scale / n**0.5)
    assert float(z.abs().max()) < 4.5  # 4 for the draws; the start is off by one part in 400
    error = (torch.cov(x.T) - exact.cov) / torch.outer(scale, scale)
    assert float(error.abs().max()) < 4 * (2 / n) ** 0.5 + 0.02  # the second for the steps
    blind = LAW.sample(n, rng(5))
    assert float(((torch.cov(blind.T) - exact.cov) / torch.outer(scale, scale)).abs().max()) > 0.2


@pytest.mark.parametrize("name", OPERATORS)
def test_with_few_levels_samples_are_a_little_too_narrow(name: str) -> None:
    """As shipped: the right means, and variances that lack at most 0.28 of themselves, and have nothing over.

    A step takes the mean of the signal given its state for the signal: what it leaves out is of the order of
    a step, so that twice as many levels, the control, leave out less.
    """
    n = 4000
    m = measured(name, n)
    exact = LAW.posterior(m.y[0], matrix(m[:1].A), SIGMA_Y)
    scale = exact.cov.diagonal().sqrt()
    shipped, finer = (k.sample(DENOISER, m, rng(4)) for k in (MMPS(), MMPS(steps=64)))
    assert float(((shipped.mean(0) - exact.mean) / scale).abs().max()) < 0.1
    ratios = [x.var(0) / exact.cov.diagonal() for x in (shipped, finer)]
    noise = 4 * (2 / n) ** 0.5
    assert float(ratios[0].min()) > 0.72 and float(ratios[0].max()) < 1 + noise
    assert float(ratios[1].min()) > 0.82 and bool((ratios[1] > ratios[0]).all())
    correlation = torch.corrcoef(shipped.T) - exact.cov / torch.outer(scale, scale)
    assert float(correlation.abs().max()) < 0.1


def test_without_noise_samples_meet_the_measurements() -> None:
    m = measured("mask", 100, sigma_y=0.0)
    x = MMPS(floor=0.01).sample(DENOISER, m, rng(4))
    missed = float((m.A(x) - m.y).square().mean().sqrt())
    assert missed < 0.02 * DENOISER.sigma_data
    assert float(x[:, 1].std()) > 0.05  # and what is not seen stays uncertain


def test_portions_pool_and_address() -> None:
    c = Corruption(Identity(), SIGMA_Y)
    train = c(LAW.sample(70, rng(1)).float(), rng(2))
    problem = Problem(train, train[:10], c, (D,))
    quick = MMPS(steps=3, solves=2)
    x = quick.restore(DENOISER, problem, Stream(0))
    assert x.shape == (70, D) and x.dtype == torch.float32
    assert torch.equal(x, quick.restore(DENOISER, problem, Stream(0)))
    assert not torch.equal(x, quick.restore(DENOISER, problem, Stream(1)))
    few = MMPS(steps=3, solves=2, pool=30).restore(DENOISER, problem, Stream(0))
    assert few.shape == (30, D)


def test_agrees_with_another_implementation() -> None:
    """azula's, on the same denoiser of a mixture, with as many conjugate gradients as numbers."""
    pytest.importorskip("azula")
    from azula.denoise import Denoiser, DiracPosterior
    from azula.guidance import MMPSDenoiser
    from azula.linalg.covariance import IsotropicCovariance
    from azula.noise import VESchedule

    means = torch.tensor([[-1.0, 0.5, 0.0, 1.0], [1.0, 0.2, -1.0, 0.0]])
    law = GaussianMixture(torch.tensor([0.3, 0.7]), means, torch.stack([LAW.cov, 0.5 * torch.eye(D)]))

    class Theirs(Denoiser):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.schedule = VESchedule(0.01, 1.0)

        def forward(self, x_t: Tensor, t: Tensor) -> DiracPosterior:
            return DiracPosterior(law.denoise(x_t, self.schedule.sigma(t)))

    m = measured("projections", 1)
    x_t = torch.randn(1, D, generator=rng(3), dtype=torch.float64)
    t = torch.tensor(0.8, dtype=torch.float64)
    theirs = MMPSDenoiser(
        Theirs(), m.y, m.A.__call__, IsotropicCovariance(SIGMA_Y**2), solver="cg", iterations=D
    )(x_t, t).mean
    sigma = float(VESchedule(0.01, 1.0).sigma(t))
    ours = conditioned(ExactDenoiser(law), x_t, sigma, m, SIGMA_Y, solves=D)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)
    assert not torch.allclose(ours, law.denoise(x_t, sigma), atol=1e-2)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31), st.floats(0.01, 10.0))
def test_gain_solves_its_equations(d: int, k: int, seed: int, variance: float) -> None:
    a = torch.randn(3, k, d, generator=rng(seed), dtype=torch.float64)
    root = torch.randn(d, d, generator=rng(seed + 1), dtype=torch.float64)
    S = root @ root.T
    r = torch.randn(3, k, generator=rng(seed + 2), dtype=torch.float64)
    got = gain(
        lambda x: x @ S,
        lambda x: (a @ x[:, :, None])[:, :, 0],
        lambda y: (a.mT @ y[:, :, None])[:, :, 0],
        r,
        variance,
        steps=20 * k,
        tol=1e-10,
    )
    solved = torch.linalg.solve(a @ S @ a.mT + variance * torch.eye(k), r[:, :, None])
    expected = (S @ a.mT @ solved)[:, :, 0]
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()) + 1e-12)


def test_gain_rests_where_there_is_no_covariance() -> None:
    """A sample whose `S` has a negative eigenvalue stays finite, and the others do not notice."""
    scale = torch.tensor([1.0, -2.0, 1.0], dtype=torch.float64)
    r = torch.ones(3, 2, dtype=torch.float64)

    def same(x: Tensor) -> Tensor:
        return x

    got = gain(lambda x: expand(scale, x) * x, same, same, r, 0.5, steps=10)
    torch.testing.assert_close(got, torch.tensor([[2 / 3] * 2, [0.0] * 2, [2 / 3] * 2]).double())
