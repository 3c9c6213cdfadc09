"""EM by a conditional model: each lap is one step of exact expectation maximization."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, w2_gaussian
from dcdbench.methods.diff_em import DiffEM
from dcdbench.networks.mlp import MLP
from dcdbench.operators.clip import Clip
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.random_projections import RandomProjections
from dcdbench.phases.conditional import Conditioned
from dcdbench.phases.relearn import Relearn
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Phase, Setting
from dcdbench.restorers.conditional import Back, Beside, Conditional
from dcdbench.restorers.moments import GaussianPosterior
from dcdbench.streams import Stream
from dcdbench.training import train

SIGMA_Y = 0.7
LAW = Gaussian(torch.zeros(2), torch.diag(torch.tensor([1.0, 0.2])))
NOISY = Corruption(Identity(), SIGMA_Y)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(corruption: Corruption, n: int = 2000) -> Problem:
    x = LAW.sample(n, rng()).float()
    return Problem(corruption(x, rng(1)), corruption(x[:50], rng(2)), corruption, (2,))


def trained(phase: Phase, world: Problem, parent: Any) -> tuple[Any, Tensor]:
    stream = Stream(0) / phase.kind
    state = phase.init(world, parent, stream / "init")
    for _ in islice(train(phase, world, state, stream / "step"), round(1000 * phase.kimg / phase.batch)):
        pass
    return phase.result(state).requires_grad_(False), state.frozen["pool"].x


def distance(x: Tensor) -> float:
    """W2 of the Gaussian with the moments of `x` to the law."""
    return float(w2_gaussian(Gaussian(x.mean(0), torch.cov(x.double().T)), LAW))


def step(variance: Tensor) -> Tensor:
    """The variances of posterior samples under a prior with such variances: one lap of exact EM."""
    share = variance / (variance + SIGMA_Y**2)
    return share * SIGMA_Y**2 + share**2 * (LAW.cov.diagonal() + SIGMA_Y**2)


def test_laps_are_steps_of_em() -> None:
    """From noisy measurements on, laps never lead away from the law, and go as far as exact EM does."""
    world, parent = problem(NOISY), None
    variance, distances = LAW.cov.diagonal() + SIGMA_Y**2, []
    for lap in range(4):
        restorer = Conditional(steps=24, pool=2000) if lap else Back()
        phase = Conditioned(
            restorer, MLP(48, 1), kimg=100.0 if lap == 0 else 50.0, batch=256, warm=lap > 0, lap=lap
        )
        parent, pool = trained(phase, world, parent)
        torch.testing.assert_close(pool.double().var(0), variance, rtol=0.2, atol=0.03)
        variance = step(variance)
        distances.append(distance(pool))
    noise = 0.03  # of the moments of 2000 samples, and of trainings
    assert all(b < a + noise for a, b in pairwise(distances)), distances
    assert distances[-1] < 0.6 * distances[0]  # the first are the measurements


def test_a_model_that_is_not_shown_the_measurement_learns_nothing_of_it() -> None:
    """Control: its samples have the prior's variance, and no correlation with what was measured."""
    world = problem(NOISY)
    phase = Conditioned(Back(), MLP(48, 1), kimg=60.0, batch=256, warm=False)
    net, _ = trained(phase, world, None)
    x = Conditional(steps=12).restore(net, world, Stream(3))
    blind = Problem(world.train[torch.randperm(2000, generator=rng(5))], world.val, NOISY, (2,))
    other = Conditional(steps=12).restore(net, blind, Stream(3))
    seen, unseen = (
        float(torch.corrcoef(torch.stack([t[:, 0], world.train.y[:, 0]]))[0, 1]) for t in (x, other)
    )
    assert seen > 0.6 and abs(unseen) < 0.1


@pytest.mark.parametrize("operator", [Identity(), Inpainting(0.5), RandomProjections(1), Clip()])
def test_what_is_shown(operator: Any) -> None:
    world = problem(Corruption(operator, 0.1), 6)
    m = world.train
    given = Beside.of(m, 0.5, 2.0)
    torch.testing.assert_close(given.condition()[:, :2], (m.A.back(m.y) - 0.5) / 2.0)
    known = m.A.condition()
    assert given.condition().shape[1] == 2 + (0 if known is None else known.shape[1])
    x = torch.randn(6, 2, generator=rng())
    assert torch.equal(given(x), x) and torch.equal(given.back(x), x)
    assert torch.equal(given[2:4].condition(), given.condition()[2:4])


def test_phases_share_the_budget() -> None:
    setting = Setting(NOISY, MLP(8, 1), teacher_kimg=5.0, student_kimg=3.5)
    *laps, last = DiffEM(laps=3, first=2.0).phases(setting)
    kimg = [phase.kimg for phase in (*laps, last)]
    assert sum(kimg) == pytest.approx(8.5)
    assert kimg[0] == kimg[-1] == pytest.approx(2 * kimg[1])
    assert all(isinstance(lap, Conditioned) for lap in laps) and isinstance(last, Relearn)
    assert [lap.warm for lap in laps] == [False, True, True] and not last.warm
    assert isinstance(laps[0].restorer, GaussianPosterior)
    clipped = Setting(Corruption(Clip(), 0.1), MLP(8, 1), teacher_kimg=5.0, student_kimg=3.5)
    assert isinstance(DiffEM().phases(clipped)[0].restorer, Back)


def test_says_what_is_wrong() -> None:
    assert DiffEM().supports(Corruption(Clip()), (2,)) is None
    assert "4096" in str(DiffEM().supports(NOISY, (3, 64, 64)))
    with pytest.raises(ValueError, match="laps must be >= 1, got 0"):
        DiffEM(laps=0)
    with pytest.raises(ValueError, match="first must be > 0"):
        DiffEM(first=-1.0)
