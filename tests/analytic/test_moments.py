"""Laws fitted without a network: exact moments, exact expectation maximisation, and what they miss."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture as Sklearn
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture, frechet
from dcdbench.methods.moments import GaussianMixtureEM, PCAGaussian
from dcdbench.networks.mixture import MixtureModel, Moments
from dcdbench.networks.mlp import MLP
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.mri import MRI
from dcdbench.operators.random_projections import RandomProjections
from dcdbench.phases.explicit import Dense, Diagonal, explicit, matrices
from dcdbench.phases.fit_mixture import FitMixture, fit_step, limited
from dcdbench.phases.fit_moments import FitMoments
from dcdbench.phases.posteriors import FLOOR, posteriors, spread
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import OperatorLaw
from dcdbench.streams import Stream
from dcdbench.training import State, train

FULL = 99  # a rank that limits nothing


def normal(d: int, seed: int = 0) -> Gaussian:
    mix = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Gaussian(torch.linspace(-1, 1, d), mix @ mix.mT / d)


def two() -> GaussianMixture:
    """Two components in three dimensions, whose covariances differ."""
    covs = torch.stack(
        [torch.diag(torch.tensor([0.3, 0.05, 0.1])), 0.02 * torch.ones(3, 3) + 0.05 * torch.eye(3)]
    )
    return GaussianMixture(torch.tensor([0.7, 0.3]), torch.tensor([[1.0, 0, 0], [-1.0, 0.5, 0]]), covs)


def problem(law: Gaussian | GaussianMixture, corruption: Corruption, n: int) -> Problem:
    x = law.sample(n, Stream(0).rng()).float()
    m = corruption(x, Stream(1).rng())
    return Problem(m, m, corruption, (x.shape[1],))


def run(phase: FitMixture | FitMoments, made: Problem, steps: int) -> tuple[State, list[float]]:
    state = phase.init(made, None, Stream(0))
    found = [next(iter(s.values())) for s in islice(train(phase, made, state, Stream(0)), steps)]
    return state, found


# Moments


def moments(made: Problem, rank: int = 0, batch: int = 100) -> Moments:
    state, _ = run(FitMoments(MLP(), 1.0, batch, rank), made, 5 + math.ceil(len(made.train) / batch))
    return state.trained["law"]


def test_moments_of_what_is_seen_in_full_are_those_of_numpy_less_the_noise() -> None:
    made = problem(normal(4), Corruption(Identity(), 0.5), 1030)
    mean, cov = moments(made).moments()
    y = made.train.y.double().numpy()
    np.testing.assert_allclose(mean, y.mean(0), atol=1e-12)
    np.testing.assert_allclose(cov, np.cov(y.T, bias=True) - 0.25 * np.eye(4), atol=1e-12)


def test_moments_of_masked_entries_are_those_of_the_pairs_that_were_seen() -> None:
    made = problem(normal(3), Corruption(Inpainting(0.5), 0.1), 500)
    mean, cov = moments(made).moments()
    y, seen = made.train.y.double(), made.train.A.condition() > 0  # type: ignore[operator]
    for i in range(3):
        assert mean[i] == pytest.approx(float(y[seen[:, i], i].mean()), abs=1e-12)
        for j in range(3):
            both = seen[:, i] & seen[:, j]
            product = float(((y[both, i] - mean[i]) * (y[both, j] - mean[j])).mean())
            assert cov[i, j] == pytest.approx(product - 0.01 * (i == j), abs=1e-12)


@pytest.mark.parametrize(
    "corruption", [Corruption(Identity(), 0.5), Corruption(Inpainting(0.5), 0.2)], ids=repr
)
def test_the_gaussian_converges_to_the_law(corruption: Corruption) -> None:
    law = normal(5)
    errors = [frechet(moments(problem(law, corruption, n), batch=1000).law(), law) for n in (300, 30_000)]
    assert errors[1] < 0.02 < 10 * errors[1] + 0.02 and errors[1] < errors[0] / 5


def test_zeros_taken_for_data_do_not_converge() -> None:
    """Control: what was not seen reads 0."""
    law, corruption = normal(5), Corruption(Inpainting(0.5), 0.2)
    made = problem(law, corruption, 30_000)
    naive = Corruption(Identity(), 0.2)(made.train.y, Stream(2).rng())
    filled = Problem(replace(naive, y=made.train.y), made.val, Corruption(Identity(), 0.2), made.shape)
    assert frechet(moments(filled, batch=1000).law(), law) > 0.5


def test_the_rule_finds_the_rank_of_signals_in_noise() -> None:
    """Two directions of variance 1 and 4 in ten dimensions; noise alone has rank 0."""
    law = Gaussian(torch.zeros(10), torch.diag(torch.tensor([4.0, 1.0] + [0.0] * 8)))
    ranks = {
        rank: int(
            (
                torch.linalg.eigvalsh(
                    moments(problem(law, Corruption(Identity(), 0.5), 4000), rank).law().cov
                )
                > 1e-9
            ).sum()
        )
        for rank in (0, 1, 5)
    }
    assert ranks[1] == 1 and 2 <= ranks[0] <= 4 and ranks[0] <= ranks[5] <= 5
    assert ranks[0] < 10


# Expectation maximisation


def exact(model: MixtureModel, m_y: Tensor, A: Tensor, sigma_y: float) -> tuple[Tensor, Tensor]:
    """The log-density of one measurement, and the posterior mean of one-component models, by `analytic`."""
    law = model.law()
    evidence = law.affine(A, sigma=sigma_y)
    parts = torch.stack([g.posterior(m_y, A, sigma_y).mean for g in law._parts()])
    return evidence.log_prob(m_y[None])[0], parts


@settings(max_examples=15)
@given(
    seed=st.integers(0, 99),
    sigma_y=st.sampled_from([0.1, 0.7]),
    operator=st.sampled_from([Identity(), Inpainting(0.6), RandomProjections(rows=2)]),
)
def test_posteriors_are_those_of_the_exact_law(seed: int, sigma_y: float, operator: OperatorLaw) -> None:
    law, corruption = two(), Corruption(operator, sigma_y)
    m = corruption(law.sample(6, Stream(seed).rng()).float(), Stream(seed + 1).rng())
    model = MixtureModel(law.weights, law.means, law.covs)
    A = matrices(m.A, 6, (3,), "cpu")
    found = next(iter(posteriors(model, m, corruption)))
    x, logs = found.x, found.logs
    for i in range(6):
        rows = A[i].abs().amax(1) > 0
        if not rows.any():
            continue
        density, means = exact(model, m.y[i].double()[rows], A[i][rows], sigma_y)
        torch.testing.assert_close(torch.logsumexp(logs[i], 0), density, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(x[i], means, rtol=1e-5, atol=1e-5)


def plain_step(model: MixtureModel, made: Problem, rank: int, left: float = 1.0) -> float:
    """An iteration one sample and one component at a time; `left` of what the measurements leave open."""
    m, floor = made.train, made.train.sigma_y**2 + (FLOOR * spread(made.train)) ** 2
    A = matrices(m.A, len(m), m.shape, "cpu")
    x, logs, open_ = [], [], []
    for y, B in zip(m.y.flatten(1).double(), A, strict=True):
        rows = B.abs().amax(1) > 0
        for weight, mean, cov in zip(model.weights, model.means, model.covs, strict=True):
            own = B[rows] @ cov @ B[rows].T + floor * torch.eye(int(rows.sum()), dtype=cov.dtype)
            gain, off = torch.linalg.solve(own, B[rows] @ cov).T, y[rows] - B[rows] @ mean
            density = -0.5 * (off @ torch.linalg.solve(own, off) + torch.logdet(2 * math.pi * own))
            x.append(mean + gain @ off)
            logs.append(weight.log() + density)
            open_.append(left * (cov - gain @ B[rows] @ cov))
    k = len(model.means)
    x, logs, open_ = (torch.stack(t).reshape(len(m), k, *t[0].shape) for t in (x, logs, open_))
    share = torch.softmax(logs, 1)
    n = share.sum(0)
    model.weights.copy_(n / n.sum())
    model.means.copy_(torch.einsum("bk,bkd->kd", share, x) / n[:, None])
    off = x - model.means
    scatter = torch.einsum("bk,bkd,bke->kde", share, off, off) + torch.einsum("bk,bkde->kde", share, open_)
    model.covs.copy_(limited(scatter / n[:, None, None], rank, (FLOOR * spread(m)) ** 2))
    return float(torch.logsumexp(logs, 1).mean())


@pytest.mark.parametrize("rank", [0, 2, FULL])
@pytest.mark.parametrize(
    ("corruption", "shape"),
    [
        (Corruption(Identity(), 0.3), (6,)),
        (Corruption(Inpainting(0.6), 0.1), (6,)),
        (Corruption(Inpainting(0.5)), (6,)),  # without noise
        (Corruption(RandomProjections(rows=2), 0.1), (6,)),
        (Corruption(GaussianBlur(3, 0.8), 0.1), (1, 3, 3)),
        (Corruption(MRI(acceleration=2, acs=1, coils=3), 0.1), (2, 3, 4)),  # more rows than columns
    ],
    ids=repr,
)
def test_iterations_are_those_of_one_sample_after_another(
    corruption: Corruption, shape: tuple[int, ...], rank: int
) -> None:
    rng, d = Stream(5).rng(), math.prod(shape)
    x = torch.randn(30, d, generator=rng) @ torch.randn(d, d, generator=rng) / d**0.5
    made = Problem(m := corruption(x.reshape(-1, *shape), rng), m, corruption, shape)
    model = FitMixture(MLP(), 1.0, components=2, rank=rank).init(made, None, Stream(0)).trained["law"]
    plain, wrong = deepcopy(model), deepcopy(model)
    for _ in range(3):
        value = fit_step(model, made.train, corruption, rank)
        assert value == pytest.approx(plain_step(plain, made, rank), rel=1e-8)
        plain_step(wrong, made, rank, left=0.99)
    for name, found in model.named_parameters():
        torch.testing.assert_close(found, plain.get_parameter(name), rtol=1e-8, atol=1e-8)
    assert not torch.allclose(model.covs, wrong.covs, rtol=1e-6, atol=1e-6)  # control


def test_the_same_numbers_through_other_operators_have_other_posteriors() -> None:
    """What is kept of operators from one iteration to the next is asked for by these, too."""
    corruption, law = Corruption(RandomProjections(2), 0.1), normal(3)
    m = problem(law, corruption, 20).train
    other = replace(m, A=corruption.operator.draw((3,), 20, Stream(7).rng()))
    model = MixtureModel(torch.ones(1), law.mean[None], law.cov[None])
    found = [next(iter(posteriors(model, one, corruption))).x for one in (m, other, m)]
    fresh = next(iter(posteriors(model, replace(other, y=other.y.clone()), corruption))).x
    assert torch.equal(found[0], found[2]) and torch.equal(found[1], fresh)
    assert not torch.allclose(found[0], found[1])


def test_a_mask_as_a_matrix_gives_the_same_numbers() -> None:
    corruption = Corruption(Inpainting(0.5), 0.2)
    m = problem(two(), corruption, 50).train
    diagonal = explicit(m, corruption)
    assert isinstance(diagonal, Diagonal)
    dense = Dense(matrices(m.A, 50, (3,), "cpu"))
    cov, x = two().covs, two().means
    share = torch.rand(50, 2, generator=Stream(3).rng(), dtype=torch.float64)
    torch.testing.assert_close(diagonal.through(cov), dense.through(cov))
    torch.testing.assert_close(diagonal.measure(x), dense.measure(x))
    torch.testing.assert_close(diagonal.back(dense.measure(x)), dense.back(diagonal.measure(x)))
    torch.testing.assert_close(diagonal.empty(), dense.empty())
    inner = diagonal.through(cov)
    torch.testing.assert_close(diagonal.summed(share, inner), dense.summed(share, inner))


@pytest.mark.parametrize("rank", [0, 1, FULL])
@pytest.mark.parametrize(
    "corruption",
    [
        Corruption(Identity(), 0.3),
        Corruption(Inpainting(0.6), 0.1),
        Corruption(RandomProjections(rows=2), 0.1),
    ],
    ids=repr,
)
def test_the_likelihood_never_falls(corruption: Corruption, rank: int) -> None:
    made = problem(two(), corruption, 400)
    _, values = run(FitMixture(MLP(), 1.0, components=3, rank=rank), made, 15)
    gains = np.diff(values)
    assert (gains > -1e-9).all() and values[-1] > values[0]


def test_a_step_that_takes_noise_for_signal_does_lower_it() -> None:
    """Control: covariances that lack what the measurements leave open."""
    made = problem(two(), Corruption(Identity(), 0.3), 400)
    state, _ = run(FitMixture(MLP(), 1.0, components=2, rank=FULL), made, 30)
    model = state.trained["law"]
    before = fit_step(model, made.train, made.corruption, FULL)
    model.covs.copy_(0.5 * model.covs)
    assert fit_step(model, made.train, made.corruption, FULL) < before


def test_complete_data_give_the_mixture_of_scikit_learn() -> None:
    made = problem(two(), Corruption(Identity()), 1500)
    state = FitMixture(MLP(), 1.0, components=2, rank=FULL).init(made, None, Stream(0))
    model, y = state.trained["law"], made.train.y.double()
    start = {"means_init": model.means.numpy(), "weights_init": model.weights.numpy()}
    peer = Sklearn(
        2, tol=0, max_iter=40, reg_covar=0, precisions_init=torch.linalg.inv(model.covs).numpy(), **start
    )
    with pytest.warns(UserWarning):  # of forty iterations, the last improves still
        peer.fit(y.numpy())
    for _ in range(40):
        fit_step(model, made.train, made.corruption, FULL)
    np.testing.assert_allclose(model.weights, peer.weights_, atol=1e-6)
    np.testing.assert_allclose(model.means, peer.means_, atol=1e-5)
    np.testing.assert_allclose(model.covs, peer.covariances_, atol=1e-5)


@pytest.mark.parametrize(
    "corruption",
    [Corruption(Identity(), 0.5), Corruption(Inpainting(0.6)), Corruption(RandomProjections(rows=2), 0.05)],
    ids=repr,
)
def test_it_recovers_a_mixture_that_it_never_saw(corruption: Corruption) -> None:
    law = two()
    made = problem(law, corruption, 6000)
    state, _ = run(FitMixture(MLP(), 1.0, components=2, rank=FULL), made, 60)
    found = state.trained["law"].law()
    order = found.means[:, 0].argsort(descending=True)
    torch.testing.assert_close(found.means[order], law.means, atol=0.08, rtol=0)
    torch.testing.assert_close(found.covs[order], law.covs, atol=0.06, rtol=0)
    torch.testing.assert_close(found.weights[order], law.weights, atol=0.04, rtol=0)


def test_without_knowing_of_the_noise_it_does_not() -> None:
    """Control: the measurements taken for signals."""
    made = problem(two(), Corruption(Identity(), 0.5), 6000)
    naive = replace(made, train=replace(made.train, sigma_y=0.0), corruption=Corruption(Identity()))
    state, _ = run(FitMixture(MLP(), 1.0, components=2, rank=FULL), naive, 60)
    found = state.trained["law"].law()
    assert float(found.covs.diagonal(dim1=1, dim2=2).min()) > 0.2


@given(st.integers(0, 5), st.integers(0, 99))
def test_the_limited_covariance_keeps_its_trace_and_its_greatest_directions(rank: int, seed: int) -> None:
    cov = normal(5, seed).cov[None]
    values, before = (torch.linalg.eigvalsh(c[0]) for c in (limited(cov, rank, 0.0), cov))
    assert values.sum() == pytest.approx(float(before.sum()))
    torch.testing.assert_close(values[5 - rank :], before[5 - rank :])
    torch.testing.assert_close(values[: 5 - rank], before[: 5 - rank].mean().expand(5 - rank))


def test_an_empty_component_stays_and_counts_for_nothing() -> None:
    made = problem(two(), Corruption(Identity(), 0.1), 300)
    law = two()
    means = torch.cat([law.means, torch.full((1, 3), 1e3)])
    model = MixtureModel(torch.ones(3) / 3, means, torch.cat([law.covs, law.covs[:1]]))
    for _ in range(3):
        fit_step(model, made.train, made.corruption, FULL)
    assert model.weights[2] < 1e-9 and bool(torch.isfinite(model.law().sample(100, Stream(0).rng())).all())
    assert torch.equal(model.means[2], torch.full((3,), 1e3))


# Methods


def test_what_they_do_not_support() -> None:
    blur = Corruption(GaussianBlur(), 0.1)
    assert PCAGaussian().supports(Corruption(Inpainting(), 0.1), (1, 8, 8)) is None
    assert "mask" in str(PCAGaussian().supports(blur, (1, 8, 8)))
    assert GaussianMixtureEM().supports(blur, (1, 8, 8)) is None
    assert "covariances" in str(GaussianMixtureEM().supports(blur, (3, 32, 32)))


@pytest.mark.parametrize("make", [lambda: PCAGaussian(-1), lambda: GaussianMixtureEM(components=0)])
def test_wrong_numbers_are_named(make: object) -> None:
    with pytest.raises(ValueError, match=r"must be >= \d, got"):
        make()  # type: ignore[operator]


def test_stored_parameters_come_back() -> None:
    made = problem(two(), Corruption(Inpainting(0.6), 0.1), 200)
    for phase in (FitMixture(MLP(), 1.0, components=3), FitMoments(MLP(), 1.0, rank=2)):
        state, _ = run(phase, made, 3)
        net = phase.result(state)
        again = phase.empty((3,), net.form())
        again.load_state_dict(net.state_dict())
        a, b = (phase.preview(0.1).sample(n, made, 5, Stream(0).rng()).x for n in (net, again))
        assert torch.equal(a, b)
