"""Restore, then train: what the restoring losses learn, and what is lost by taking estimates for signals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import tiny
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dcdbench.analytic import Gaussian, GaussianMixture
from dcdbench.methods.ideal import PosteriorMean
from dcdbench.methods.restore_then_train import Restore, RestoreThenTrain
from dcdbench.networks.edm import Preconditioned
from dcdbench.networks.mlp import MLP
from dcdbench.objectives.restoring import SURE, Neighbours, Split, picked
from dcdbench.operators.clip import Clip
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.mri import MRI
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Objective, Operator, Setting
from dcdbench.restorers import wiener
from dcdbench.restorers.linear import matrices
from dcdbench.restorers.pinv import PseudoInverse
from dcdbench.restorers.solvable import Solvable
from dcdbench.restorers.wiener import Wiener, moments, posterior
from dcdbench.streams import Stream
from dcdbench.training import train

SIGMA_Y, SHARE = 0.5, 0.5
FIRST = SIGMA_Y * (1 + SHARE**2) ** 0.5  # the level of the first copy
LAW = GaussianMixture(
    torch.tensor([0.4, 0.6]),
    torch.tensor([[-1.0, 0.0], [0.8, 0.5]]),
    torch.stack([0.1 * torch.eye(2), torch.tensor([[0.3, 0.1], [0.1, 0.2]])]),
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(corruption: Corruption, x: Tensor) -> Problem:
    return Problem(corruption(x, rng(2)), corruption(x[:64], rng(3)), corruption, tuple(x.shape[1:]))


class Nearby(nn.Module):
    """The posterior mean at a level plus some fields, by weights that are 0."""

    sigma_data = 1.0

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level, self.weights = level, nn.Parameter(torch.zeros(3, 2, dtype=torch.float64))

    def forward(self, y: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        fields = torch.stack([torch.ones_like(sigma), y[:, 0], y[:, 1].tanh()], 1)
        # the exact denoiser, differentiable by its input
        weights, means, covs = LAW.components
        wide = covs + self.level**2 * torch.eye(2)
        r = y[:, None] - means
        inverse = torch.linalg.inv(wide)
        logs = weights.log() - wide.logdet() / 2 - torch.einsum("bki,kij,bkj->bk", r, inverse, r) / 2
        each = means + torch.einsum("kij,kjl,bkl->bki", covs, inverse, r)
        exact = (logs.softmax(1)[..., None] * each).sum(1)
        return exact + fields @ self.weights


def slopes(objective: Objective, level: float, n: int = 20_000) -> Tensor:
    """How many standard errors the gradient at the posterior mean of `level` is from 0."""
    m = problem(Corruption(Identity(), SIGMA_Y), LAW.sample(n, rng(1))).train
    chunks = []
    for k in range(0, n, 500):
        near = Nearby(level)
        objective(near, m[k : k + 500], rng(k)).mean().backward()
        assert near.weights.grad is not None
        chunks.append(near.weights.grad)
    found = torch.stack(chunks)
    return (found.mean(0) / (found.std(0) / len(found) ** 0.5)).abs()


@pytest.mark.parametrize(
    ("objective", "level", "other"),
    [(Split(share=SHARE), FIRST, 0.1), (SURE(), SIGMA_Y, 0.1)],
    ids=["split", "sure"],
)
def test_the_minimiser_is_the_posterior_mean(objective: Objective, level: float, other: float) -> None:
    assert float(slopes(objective, level).max()) < 4.5
    assert float(slopes(objective, other).max()) > 6  # control


# Neighbours


class Blends(nn.Module):
    """`w` parts of the local average and `1 - w` of the image itself, for images of any size."""

    sigma_data = 1.0

    def __init__(self, w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, y: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        return y + self.w * (nn.functional.avg_pool2d(y, 3, 1, 1, count_include_pad=False) - y)


def test_neighbours_are_adjacent_and_never_the_same() -> None:
    place = torch.stack(torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij"))
    x = place.expand(500, -1, -1, -1)
    pick = torch.randint(8, (500, 3, 4), generator=rng())
    one, two = picked(x, pick)
    assert one.shape == (500, 2, 3, 4)
    assert torch.equal((one - two).abs().sum(1), torch.ones(500, 3, 4))
    assert torch.equal((one / 2).floor(), (two / 2).floor())  # of the same cell
    assert one[:, :, 0, 0].unique(dim=0).shape[0] == 4  # any of its pixels


@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_neighbours_drive_a_network_to_average_what_is_flat(gamma: float) -> None:
    """On flat images in noise the best `w` is near 1."""
    x = torch.randn(500, 1, 1, 1, generator=rng()).expand(-1, 1, 8, 8)
    m = problem(Corruption(Identity(), SIGMA_Y), x).train

    def slope(w: float) -> float:
        net = Blends(w)
        Neighbours(gamma=gamma)(net, m, rng(4)).mean().backward()
        assert net.w.grad is not None
        return float(net.w.grad)

    assert slope(0.0) < slope(0.5) < 0 < slope(1.5)


def test_neighbours_need_a_network_for_half_the_size() -> None:
    m = problem(Corruption(Identity(), SIGMA_Y), torch.zeros(70, 1, 8, 8)).train
    fixed = Preconditioned(MLP(8, 1).build((1, 8, 8), 0, rng()), 0.0, 1.0)
    with pytest.raises(ValueError, match="half the size"):
        Neighbours()(fixed, m, rng())


# Wiener


COV = torch.tensor([[1.0, 0.8, 0.0], [0.8, 1.2, 0.3], [0.0, 0.3, 0.5]], dtype=torch.float64)


@pytest.mark.parametrize("corruption", [Corruption(Identity(), 0.5), Corruption(Inpainting(0.7), 0.3)])
def test_moments_are_those_of_signals(corruption: Corruption) -> None:
    law = Gaussian(torch.tensor([1.0, 0.0, -1.0]), COV)
    m = problem(corruption, law.sample(4000, rng(1))).train
    mean, cov = moments(m.to(dtype=torch.float64), not corruption.operator.random, 40, rng(2))
    assert float((mean - law.mean).abs().max()) < 0.12
    assert float((cov - COV).abs().max()) < 0.15
    assert float((m.y.T.cov() - COV).abs().max()) > 0.2  # control: the measurements' own


def test_laps_that_lead_take_fewer_measurements_to_the_same_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last laps take all: the result is that of all laps on all, not that of the few."""
    law = Gaussian(torch.tensor([1.0, 0.0, -1.0]), COV)
    m = problem(Corruption(Inpainting(0.7), 0.3), law.sample(4000, rng(1))).train.to(dtype=torch.float64)
    asked: list[int] = []
    original = wiener.remembered

    def counted(used: Measurement, same: bool, kept: list[Solvable]) -> Iterator[Solvable]:
        asked.append(len(used))
        return original(used, same, kept)

    monkeypatch.setattr(wiener, "remembered", counted)
    mean, cov = moments(m, False, 40, rng(2))
    assert asked == [1000] * 32 + [4000] * 8
    few = moments(m[:1000], False, 40, rng(2))[1]
    monkeypatch.setattr(wiener, "LEADING", 4000)
    whole = moments(m, False, 40, rng(2))
    assert float((cov - whole[1]).norm()) < 0.2 * float((few - whole[1]).norm())
    assert float((mean - whole[0]).abs().max()) < 0.01


def test_the_estimate_is_the_best_one_of_a_gaussian() -> None:
    law = Gaussian(torch.zeros(3), COV)
    x = law.sample(2000, rng(1)).float()
    made = problem(Corruption(Inpainting(0.6), 0.3), x)
    m = made.train.to(dtype=torch.float64)
    got = Wiener(laps=40).restore(None, made, Stream(0))
    best = torch.stack([law.posterior(m.y[i], matrices(m[i : i + 1])[0], 0.3).mean for i in range(100)])
    assert float((got[:100] - best).abs().mean()) < 0.05
    naive = PseudoInverse().restore(None, made, Stream(0))
    assert float((got - x).square().mean()) < 0.8 * float((naive - x).square().mean())  # control


@pytest.mark.bits
def test_many_operators_at_once_on_two_threads_give_what_each_gives_alone() -> None:
    """As large as coils make them: batches of LU decompositions fail here on two threads in some builds."""
    law, threads = MRI(coils=4), torch.get_num_threads()
    x = torch.randn(48, 2, 6, 4, generator=rng(1))
    m = problem(Corruption(law, 0.2), x).train.to(dtype=torch.float64)
    A, cov = matrices(m), 0.3 * torch.eye(48, dtype=torch.float64)
    assert A.shape == (48, 192, 48)
    try:
        torch.set_num_threads(2)
        together, _ = posterior(m, A, torch.zeros(48, dtype=torch.float64), cov)
    finally:
        torch.set_num_threads(threads)
    best = [Gaussian(torch.zeros(48), cov).posterior(m.y[i].flatten(), A[i], 0.2).mean for i in range(48)]
    torch.testing.assert_close(together, torch.stack(best), rtol=1e-8, atol=1e-8)


def test_what_a_blur_all_but_hides_is_not_filled_with_noise() -> None:
    x = torch.from_numpy(load_digits().images[:800] / 8 - 1).float()[:, None]
    made = problem(Corruption(GaussianBlur(3, 0.8), 0.2), x)

    def error(restored: Tensor) -> float:
        return float((restored - x).square().mean())

    best = error(Wiener().restore(None, made, Stream(0)))
    assert best < 0.8 * error(made.train.y)
    assert best < 0.001 * error(PseudoInverse().restore(None, made, Stream(0)))  # the control


def test_matrices_are_those_of_the_operator() -> None:
    m = problem(Corruption(GaussianBlur(3, 0.8)), torch.randn(66, 1, 4, 4, generator=rng())).train
    x = torch.randn(66, 1, 4, 4, generator=rng(5), dtype=torch.float64)
    A = matrices(m.to(dtype=torch.float64)[:1])
    torch.testing.assert_close((A @ x.flatten(1)[..., None])[..., 0], m.A.to(dtype=x.dtype)(x).flatten(1))


# The whole


def run(method: RestoreThenTrain, made: Problem, steps: int = 300) -> Tensor:
    given = Setting(made.corruption, tiny.SMALL, 40.0, 40.0, batch=128)
    result: Any = None
    for k, phase in enumerate(method.phases(given)):
        phase = replace(phase)
        state = phase.init(made, result, Stream(k) / "init")
        for _ in islice(train(phase, made, state, Stream(k) / "step"), steps):
            pass
        result = phase.result(state)
    return method.sampler(given).sample(result, made, 4000, rng(5)).x


@pytest.mark.parametrize("restorer", ["split", "sure"])
def test_variance_is_lost_as_theory_says(restorer: Restore) -> None:
    lam = 0.64
    law = Gaussian(torch.zeros(2), lam * torch.eye(2))
    made = problem(Corruption(Identity(), SIGMA_Y), law.sample(4000, rng(1)).float())
    method = RestoreThenTrain(restorer, lr=3e-3, restorer_lr=3e-3)
    level = FIRST if restorer == "split" else SIGMA_Y
    assert method.expected(law, made.corruption) == PosteriorMean(law, level)
    variance = float(run(method, made).var())
    wanted = lam**2 / (lam + level**2)
    assert variance == pytest.approx(wanted, rel=0.12)
    assert abs(variance / lam - 1) > 0.15  # control: it is not that of signals


def test_without_a_network_the_budget_is_one_training() -> None:
    given = Setting(Corruption(Inpainting()), tiny.SMALL, 3.0, 2.0)
    (phase,) = RestoreThenTrain().phases(given)
    assert phase.kimg == 5.0 and not phase.needs_clean
    noisy = replace(given, corruption=Corruption(Identity(), 0.1))
    assert [phase.kimg for phase in RestoreThenTrain().phases(noisy)] == [2.0, 3.0]


def test_what_is_supported() -> None:
    noisy, blurred = Corruption(Identity(), 0.1), Corruption(GaussianBlur(3, 0.8), 0.1)
    assert RestoreThenTrain("neighbour").supports(noisy, (1, 8, 8)) is None
    assert RestoreThenTrain("neighbour").supports(noisy, (1, 7, 8))
    assert RestoreThenTrain("split").supports(blurred, (1, 8, 8))
    assert RestoreThenTrain("wiener").supports(blurred, (1, 8, 8)) is None
    assert RestoreThenTrain().supports(blurred, (1, 64, 64)) is None
    assert RestoreThenTrain().supports(Corruption(Clip()), (3,))
