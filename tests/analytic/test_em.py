"""Expectation maximization: moments from what masks leave, and priors that get better from lap to lap."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian
from dcdbench.datasets.manifold import Manifold
from dcdbench.harness.plan import CHECKPOINTS, make_plan
from dcdbench.harness.suite import select
from dcdbench.harness.suitefile import load_suite
from dcdbench.methods.diff_em import DiffEM
from dcdbench.methods.em import EM
from dcdbench.metrics.sinkhorn import sinkhorn_divergence
from dcdbench.networks.mlp import MLP
from dcdbench.noises.poisson import Poisson
from dcdbench.operators.blur import Blur
from dcdbench.operators.clip import Clip
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.random_projections import RandomProjections
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Method, OperatorLaw, Setting
from dcdbench.restorers import moments
from dcdbench.restorers.moments import GaussianPosterior
from dcdbench.streams import Stream
from dcdbench.training import train

D = 4
ROOT = torch.randn(D, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LAW = Gaussian(torch.tensor([1.0, -1.0, 0.5, 0.0]), ROOT @ ROOT.T / D)
N = 4000


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(operator: OperatorLaw, sigma_y: float, x: Tensor) -> Problem:
    c = Corruption(operator, sigma_y)
    x = x.float()
    return Problem(c(x, rng(1)), c(x[:50], rng(2)), c, tuple(x.shape[1:]))


def off(x: Tensor) -> float:
    """The relative error of the covariance."""
    return float((torch.cov(x.double().T) - LAW.cov).norm() / LAW.cov.norm())


def test_recovers_a_covariance_from_masked_coordinates() -> None:
    """With 4000 samples that are seen by half, and noise, its relative error is below one tenth."""
    world = problem(Inpainting(0.5), 0.1, LAW.sample(N, rng()))
    x = GaussianPosterior(laps=60).restore(None, world, Stream(0))
    assert x.shape == (N, D) and x.dtype == torch.float32
    assert off(x) < 0.1
    assert float((x.mean(0) - LAW.mean).abs().max()) < 0.1
    assert off(world.train.y) > 0.3  # the controls: zeros for what is not seen, and a single lap
    assert off(GaussianPosterior(laps=1).restore(None, world, Stream(0))) > 0.2


@pytest.mark.parametrize(
    ("operator", "sigma_y"),
    [(Identity(), 0.5), (Blur(((0.15, 0.7, 0.15),)), 0.1), (RandomProjections(2), 0.05)],
    ids=["identity", "blur", "projections"],
)
def test_restores_the_law_through_other_operators(operator: OperatorLaw, sigma_y: float) -> None:
    world = problem(operator, sigma_y, LAW.sample(N, rng()))
    assert off(GaussianPosterior(laps=60).restore(None, world, Stream(0))) < 0.15


@pytest.mark.parametrize("operator", [Inpainting(0.5), Identity()])
def test_iterations_agree_with_matrices(operator: OperatorLaw, monkeypatch: pytest.MonkeyPatch) -> None:
    world = problem(operator, 0.3, LAW.sample(200, rng()))
    exact = GaussianPosterior(laps=5).restore(None, world, Stream(0))
    monkeypatch.setattr(moments, "DENSE", 0)
    torch.testing.assert_close(
        GaussianPosterior(laps=5).restore(None, world, Stream(0)), exact, rtol=0, atol=2e-3
    )
    one = GaussianPosterior(laps=5, solves=1).restore(None, world, Stream(0))
    assert not torch.allclose(one, exact, rtol=0, atol=2e-3)  # the control


def test_both_sides_of_an_operator_give_the_same_corrections() -> None:
    """Of more numbers than a signal has; the control: other noise."""
    world = problem(Identity(), 0.3, LAW.sample(20, rng()))
    H = torch.randn(20, 9, D, generator=rng(4), dtype=torch.float64)
    r = torch.randn(20, 9, generator=rng(5), dtype=torch.float64)
    wide = moments._direct(H, 0.3)(world.train, LAW.cov, r)
    torch.testing.assert_close(wide, moments._exact(H, 0.3, world.train, LAW.cov, r), rtol=1e-6, atol=1e-6)
    assert not torch.allclose(wide, moments._exact(H, 0.4, world.train, LAW.cov, r), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("solves", [50, pytest.param(1, id="control")])
def test_laps_may_take_some_of_the_measurements(solves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = problem(Inpainting(0.5), 0.1, LAW.sample(N, rng()))
    monkeypatch.setattr(moments, "DENSE", 0)
    monkeypatch.setattr(moments, "PORTION", N // 8)
    x = GaussianPosterior(laps=60, solves=solves).restore(None, world, Stream(0))
    assert len(x) == N
    assert (off(x) < 0.1) == (solves == 50)


def test_takes_no_more_than_the_pool() -> None:
    world = problem(Identity(), 0.3, LAW.sample(100, rng()))
    assert GaussianPosterior(laps=2, pool=60).restore(None, world, Stream(0)).shape == (60, D)


def run(method: Method, world: Problem, setting: Setting) -> tuple[Tensor, list[Tensor]]:
    """Samples of the method, and what each lap restored."""
    result: Any = None
    pools = []
    for phase in method.phases(setting):
        stream = Stream(0) / phase.kind
        state = phase.init(world, result, stream / "init")
        for _ in islice(train(phase, world, state, stream / "step"), round(1000 * phase.kimg / phase.batch)):
            pass
        result = phase.result(state).requires_grad_(False)
        pools.append(state.frozen["pool"].x)
    return method.sampler(setting).sample(result, world, 1000, rng(9)).x, pools


def test_learns_a_curve_from_random_projections() -> None:
    """Rozet's toy: points of a curve in five dimensions, each seen through two directions of its own."""
    data = Manifold(dim=5).load(1000, 1000, Stream(0))
    world = problem(RandomProjections(2), 0.01, data.train)
    setting = Setting(world.corruption, MLP(64, 2), teacher_kimg=120.0, student_kimg=80.0, batch=256)
    method = EM(laps=4)
    x, pools = run(method, world, setting)
    reference = data.reference[:1000].double()

    def sinkhorn(x: Tensor) -> float:
        return sinkhorn_divergence(x[:1000].double(), reference, 0.1)

    first, last = sinkhorn(pools[0]), sinkhorn(pools[-1])
    backward = sinkhorn(world.train.A.back(world.train.y))
    assert first < backward  # a Gaussian prior is better than none
    assert last < 0.8 * first  # and laps are better than it
    assert sinkhorn(x) < 0.5 * backward


def test_many_measurements_are_restored_by_the_moments_of_some() -> None:
    world = problem(Inpainting(0.5), 0.1, LAW.sample(N, rng()))
    x = GaussianPosterior(laps=40, used=1500).restore(None, world, Stream(0))
    assert x.shape == (N, D) and off(x) < 0.2  # of fewer numbers
    assert off(GaussianPosterior(laps=1, used=1500).restore(None, world, Stream(0))) > 0.2  # the control
    whole, same = (GaussianPosterior(laps=2, used=n).restore(None, world, Stream(0)) for n in (N, 2 * N))
    assert torch.equal(whole, same)


def test_each_lap_but_the_last_is_passed_on_as_it_ends() -> None:
    """One candidate each, by which the plan goes; the control: the last lap, and other trainings."""
    setting = Setting(Corruption(Identity(), 0.5), MLP(8, 1), teacher_kimg=4.0, student_kimg=2.0)
    assert [phase.checkpoints for phase in EM(laps=3).phases(setting)] == [1, 1, None]
    assert [phase.checkpoints for phase in DiffEM(laps=3).phases(setting)] == [1, 1, 1, None]
    with pytest.raises(ValueError, match="checkpoints must be >= 1, got 0"):
        replace(EM().phases(setting)[0], checkpoints=0)
    suite = load_suite(Path(__file__).parents[2] / "suites" / "all.yaml")
    plan = make_plan(select(suite, methods=["em", "ambient-diffusion"], tasks=["mixture-masks"], seeds=[0]))
    counts = [stage.spec["checkpoints"] for stage in plan.stages if "checkpoints" in stage.spec]
    assert sorted(counts) == [1] * (EM().laps - 1) + [CHECKPOINTS] * 2 and CHECKPOINTS > 1


def test_all_measurements_are_restored_by_default() -> None:
    """As many as the publication has, in each lap; the control: a smaller pool."""
    world = problem(Identity(), 0.3, LAW.sample(5000, rng()))
    assert EM().laps >= 12 and EM().posterior.pool == EM().prior.pool == 65_536
    assert GaussianPosterior(laps=1).restore(None, world, Stream(0)).shape == (5000, D)
    assert GaussianPosterior(laps=1, pool=99).restore(None, world, Stream(0)).shape == (99, D)


def test_splits_the_budget() -> None:
    setting = Setting(Corruption(Identity(), 0.5), MLP(8, 1), teacher_kimg=4.0, student_kimg=2.0)
    phases = EM(laps=5, first=2.0).phases(setting)
    assert [phase.kimg for phase in phases] == pytest.approx([2.0, 1.0, 1.0, 1.0, 1.0])
    assert [phase.warm for phase in phases] == [False] + [True] * 4


def test_says_what_it_cannot_do() -> None:
    shape = (4,)
    assert EM().supports(Corruption(Inpainting(0.5), 0.0), shape) is None
    assert "linear" in str(EM().supports(Corruption(Clip()), shape))
    assert "white" in str(EM().supports(Corruption(Identity(), 0.0, Poisson()), shape))
    assert "4096" in str(EM().supports(Corruption(Identity(), 0.5), (3, 64, 64)))
    with pytest.raises(ValueError, match="laps must be >= 1, got 0"):
        EM(laps=0)
    with pytest.raises(ValueError, match="first must be > 0"):
        EM(first=0.0)
