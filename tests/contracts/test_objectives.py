"""The contract of the family: every registered objective meets it, without a new test file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from component import SHAPES, corruptions, global_generator_at_rest, is_component, is_reason, signals
from torch import Tensor

from dcdbench.networks.edm import Preconditioned
from dcdbench.networks.mlp import MLP
from dcdbench.objectives import registry
from dcdbench.phases import denoiser_for
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Objective
from dcdbench.streams import Stream

N = 6


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cases() -> Iterator[tuple[str, tuple[int, ...], Corruption]]:
    for name in registry:
        for shape in SHAPES[:2]:
            for corruption in corruptions(shape):
                if registry[name]().supports(corruption) is None:
                    yield name, shape, corruption


CASES = list(cases())
IDS = [f"{name}-{len(shape)}d-{type(c.operator).__name__}-{c.sigma_y:g}" for name, shape, c in CASES]


class World:
    """Measurements that an objective supports, and a denoiser that is not trivial."""

    def __init__(self, name: str, shape: tuple[int, ...], corruption: Corruption, dtype: torch.dtype) -> None:
        self.objective: Objective = registry[name]()
        self.corruption, self.shape = corruption, shape
        self.m = corruption(signals(N, shape, dtype=dtype), rng(1))
        self.denoiser = self.make()

    def make(self) -> Preconditioned:
        single = self.m.to(dtype=torch.float32)
        problem = Problem(single, single, self.corruption, self.shape)
        net = denoiser_for(problem, self.objective, MLP(16, 1), Stream(0))
        for p in net.parameters():
            torch.nn.init.normal_(p, std=0.3, generator=rng(5))
        return net.to(self.m.y.dtype)

    def loss(self, m: Measurement | None = None, seed: int = 2) -> Tensor:
        return self.objective(self.denoiser, m or self.m, rng(seed))


@pytest.fixture(params=CASES, ids=IDS)
def world(request: pytest.FixtureRequest) -> World:
    return World(*request.param, torch.float64)


@pytest.mark.parametrize("name", registry)
def test_is_a_component(name: str) -> None:
    is_component(registry[name](), Objective)
    assert isinstance(registry[name].conditional, bool)
    assert any(case[0] == name for case in CASES), "it supports nothing that there is"


@pytest.mark.parametrize("name", registry)
def test_says_of_every_corruption_whether_it_is_supported(name: str) -> None:
    for shape in SHAPES:
        for corruption in corruptions(shape):
            assert is_reason(registry[name]().supports(corruption))


def test_gives_one_finite_loss_per_sample(world: World) -> None:
    loss = world.loss()
    assert loss.shape == (N,) and loss.dtype == world.m.y.dtype
    assert bool(torch.isfinite(loss).all()) and bool((loss >= 0).all())


def test_gradients_are_finite_and_reach_the_weights(world: World) -> None:
    world.loss().mean().backward()
    slopes = [p.grad for p in world.denoiser.parameters()]
    assert all(g is not None and bool(torch.isfinite(g).all()) for g in slopes)
    assert sum(float(g.abs().sum()) for g in slopes if g is not None) > 0


def test_is_a_function_of_its_arguments(world: World) -> None:
    """The same again after other calls; another generator gives other levels and noise."""
    kept = world.m.y.clone()
    with global_generator_at_rest():
        loss = world.loss()
        other = world.loss(seed=3)
    assert torch.equal(world.loss(), loss) and not torch.equal(other, loss)
    torch.manual_seed(11)
    assert torch.equal(world.loss(), loss) and torch.equal(world.m.y, kept)


def test_samples_do_not_see_each_other(world: World) -> None:
    y = world.m.y.clone()
    y[2] = world.m.A[2:3].restrict(y[2:3] + 1.0)[0]
    moved = world.loss(Measurement(y, world.m.A, world.m.sigma_y))
    still = torch.arange(N) != 2
    torch.testing.assert_close(moved[still], world.loss()[still])
    assert not torch.allclose(moved[2], world.loss()[2])  # control


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_follows_the_type_of_the_measurements(case: tuple[str, tuple[int, ...], Corruption]) -> None:
    assert World(*case, torch.float32).loss().dtype == torch.float32


def test_views_and_signals_have_the_shape_of_what_is_denoised(world: World) -> None:
    fake = world.corruption.fake(world.m.A.pinv(world.m.y).requires_grad_(), rng(4))
    lowest = world.objective.lowest(fake.sigma_y)
    assert lowest >= 0
    sigma = torch.full((N,), max(lowest, 0.1), dtype=fake.y.dtype)
    v = world.objective.view(fake, sigma, rng(5))
    assert torch.equal(v.sigma, sigma) and (v.A is not None) is world.objective.conditional
    u = world.objective.signal(fake)
    assert u.requires_grad and u.shape == world.denoiser(v.x_t, v.sigma, v.A).shape == v.x_t.shape
    assert v.restrict(u).shape == u.shape


def test_the_condition_for_sampling_is_as_in_training(world: World) -> None:
    A = world.objective.draw(world.corruption, world.shape, N, rng())
    assert (A is None) is not world.objective.conditional
    if A is not None:
        x = signals(N, world.shape, dtype=torch.float64)
        out = world.denoiser(A.restrict(x), torch.ones(N, dtype=torch.float64), A)
        assert out.shape == x.shape


def test_noise_that_is_seen_twice_lessens_nothing(world: World) -> None:
    """More noise in `x_t` at a higher level: the view's spread around its signal grows."""
    fake = world.corruption.fake(signals(4000, world.shape, dtype=torch.float64), rng(4), noise=False)
    spreads = []
    for level in (0.2, 1.0, 5.0):
        v = world.objective.view(fake, torch.full((4000,), level, dtype=torch.float64), rng(5))
        spreads.append(float(v.restrict(v.x_t - world.objective.signal(fake)).std()))
    assert spreads[0] < spreads[1] < spreads[2]
    assert spreads[2] / spreads[0] == pytest.approx(25, rel=0.1)
