"""The contract of the family: every registered objective meets it, without a new test file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
import torch
from component import SHAPES, corruptions, global_generator_at_rest, is_component, is_reason, signals
from torch import Tensor

from dcdbench.networks.edm import Preconditioned
from dcdbench.networks.mlp import MLP
from dcdbench.noises import registry as noises
from dcdbench.objectives import registry
from dcdbench.objectives.gsure import GSURE
from dcdbench.operators.identity import Identity
from dcdbench.phases.start import denoiser_for
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Left, Objective
from dcdbench.streams import Stream

N = 6


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cases() -> Iterator[tuple[str, tuple[int, ...], Corruption]]:
    """Each corruption on vectors and on the first images that it takes."""
    for name in registry:
        found = set()
        for shape in SHAPES:
            for corruption in [*corruptions(shape), *NOISY]:
                new = (len(shape), repr(corruption)) not in found
                if new and registry[name]().supports(corruption) is None:
                    found.add((len(shape), repr(corruption)))
                    yield name, shape, corruption


NOISY = [Corruption(Identity(), 0.2, noises[name]()) for name in noises]
CASES = list(cases())
IDS = [
    f"{name}-{'x'.join(map(str, shape))}-{type(c.noise or c.operator).__name__}-{c.sigma_y:g}"
    for name, shape, c in CASES
]


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
    assert any(case[0] == name for case in CASES), "it supports nothing that there is"


@pytest.mark.parametrize("name", registry)
def test_says_of_every_corruption_whether_it_is_supported(name: str) -> None:
    for shape in SHAPES:
        for corruption in corruptions(shape):
            assert is_reason(registry[name]().supports(corruption))


def test_gives_one_finite_loss_per_sample(world: World) -> None:
    loss = world.loss()
    assert loss.shape == (N,) and loss.dtype == world.m.y.dtype
    assert bool(torch.isfinite(loss).all())
    assert isinstance(world.objective, GSURE) or bool((loss >= 0).all())  # a slope may be negative


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
    step = world.m.A.restrict(torch.ones_like(y))
    i = int(step.flatten(1).sum(1).argmax())
    y[i] += step[i]
    moved = world.loss(Measurement(y, world.m.A, world.m.sigma_y, world.shape))
    still = torch.arange(N) != i
    torch.testing.assert_close(moved[still], world.loss()[still])
    assert not torch.allclose(moved[i], world.loss()[i])  # control


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_follows_the_type_of_the_measurements(case: tuple[str, tuple[int, ...], Corruption]) -> None:
    assert World(*case, torch.float32).loss().dtype == torch.float32


def test_views_and_signals_have_the_shape_of_what_is_denoised(world: World) -> None:
    fake = world.corruption.fake(signals(N, world.shape, dtype=torch.float64).requires_grad_(), rng(4))
    lowest = world.objective.lowest(fake.sigma_y)
    assert lowest >= 0
    sigma = torch.full((N,), max(lowest, 0.1), dtype=fake.y.dtype)
    v = world.objective.view(fake, sigma, rng(5))
    assert torch.equal(v.sigma, sigma)
    u = world.objective.signal(fake)
    operator = world.corruption.operator
    assert u.requires_grad or not (operator.linear or operator.differentiable)
    assert u.shape == v.x_t.shape == v.of(u).shape == v.estimate(world.denoiser).shape
    assert v.shown().shape == fake.x.shape == v.signal(world.denoiser).shape


def test_views_contain_what_is_shown_and_nothing_else(world: World) -> None:
    """A further corruption hides entries: what stood there makes no difference to the view."""
    v = world.objective.view(world.m, torch.full((N,), 0.5).double(), rng(5))
    hidden = torch.ones_like(world.m.y) - v.of(torch.ones_like(world.m.y))
    moved = Measurement(world.m.y + hidden, world.m.A, world.m.sigma_y, world.shape)
    again = world.objective.view(moved, torch.full((N,), 0.5).double(), rng(5))
    assert torch.equal(again.x_t, v.x_t) and torch.equal(v.of(v.x_t), v.x_t)


def test_the_condition_for_sampling_is_as_in_training(world: World) -> None:
    A = world.objective.draw(world.corruption, world.shape, N, rng())
    v = world.objective.view(world.m, torch.ones(N, dtype=torch.float64), rng(5))
    assert (A is None) is (v.A is None)
    if A is not None and v.A is not None:
        x = signals(N, world.shape, dtype=torch.float64)
        A = A.to(dtype=torch.float64)
        assert world.denoiser(A.back(A(x)), torch.ones(N, dtype=torch.float64), A).shape == x.shape
        conditions = [draw.condition() for draw in (A, v.A)]
        shapes = [None if c is None else c.shape for c in conditions]
        assert shapes[0] == shapes[1]


def test_says_what_is_left_of_the_corruption(world: World) -> None:
    """All of it where samples are signals; these must be where the denoiser is shown A."""
    left = world.objective.left(world.corruption, world.shape)
    assert left in get_args(Left)
    if world.objective.draw(world.corruption, world.shape, N, rng()) is not None:
        assert left == "all"


def test_noise_that_is_seen_twice_lessens_nothing(world: World) -> None:
    """More noise in `x_t` at a higher level: the view's spread around its signal grows."""
    fake = world.corruption.fake(signals(4000, world.shape, dtype=torch.float64), rng(4), noise=False)
    spreads = []
    for level in (0.2, 1.0, 5.0):
        v = world.objective.view(fake, torch.full((4000,), level, dtype=torch.float64), rng(5))
        spreads.append(float((v.x_t - v.of(world.objective.signal(fake))).std()))
    assert spreads[0] < spreads[1] < spreads[2]
    assert spreads[2] / spreads[0] == pytest.approx(25, rel=0.1)
