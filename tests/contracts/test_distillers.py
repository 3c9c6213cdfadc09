"""The contract of the family: every registered distiller meets it, without a new test file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from component import corruptions, global_generator_at_rest, is_component, is_reason, signals
from torch import Tensor

from dcdbench.distillers import registry
from dcdbench.networks.discriminator import Discriminator
from dcdbench.networks.edm import Preconditioned
from dcdbench.networks.mlp import MLP
from dcdbench.objectives import registry as objectives
from dcdbench.phases.start import denoiser_for
from dcdbench.problem import Corruption, Fake, Problem
from dcdbench.protocols import Distiller, Judges
from dcdbench.streams import Stream

N, SHAPE = 6, (1, 4, 3)
Case = tuple[str, str, Corruption, bool]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def kinds() -> Iterator[Corruption]:
    """One operator of each kind, with and without noise: the cases of a distiller are theirs."""
    seen = set()
    for corruption in corruptions(SHAPE):
        law = corruption.operator
        traits = (law.linear, law.masks, law.measured_shape(SHAPE) == SHAPE, corruption.sigma_y)
        if (law.linear or law.differentiable) and traits not in seen:
            seen.add(traits)
            yield corruption


KINDS = list(kinds())


def cases() -> Iterator[Case]:
    for name in registry:
        for objective in objectives:
            for corruption in KINDS:
                made = objectives[objective]()
                if made.supports(corruption) or registry[name]().supports(made, corruption):
                    continue
                for noise in {False, corruption.sigma_y > 0}:
                    yield name, objective, corruption, noise


CASES = list(cases())
IDS = [
    f"{n}-{o}-{type(c.operator).__name__}-{c.sigma_y:g}-{'noise' if e else 'bare'}" for n, o, c, e in CASES
]


class World:
    """A fake of signals that are known, and its judges."""

    def __init__(self, name: str, objective: str, corruption: Corruption, noise: bool) -> None:
        self.distiller: Distiller = registry[name]()
        self.objective = objectives[objective]()
        self.corruption, self.noise = corruption, noise
        self.teacher, self.critic, net = (self._denoiser(seed) for seed in (5, 6, 7))
        self.discriminator = Discriminator(net) if self.distiller.discriminates else None
        self.x = signals(N, SHAPE, dtype=torch.float64).requires_grad_()

    def _denoiser(self, seed: int) -> Preconditioned:
        m = self.corruption(signals(N, SHAPE), rng(1))
        net = denoiser_for(Problem(m, m, self.corruption, SHAPE), self.objective, MLP(16, 1), Stream(0))
        for p in net.parameters():
            torch.nn.init.normal_(p, std=0.3, generator=rng(seed))
        return net.double().requires_grad_(False)

    def fake(self, x: Tensor) -> Fake:
        return self.corruption.fake(x, rng(1), noise=self.noise)

    def judges(self) -> Judges:
        sigma_y = self.corruption.sigma_y
        return Judges(self.teacher, self.critic, self.objective, sigma_y, self.discriminator)

    def loss(self, x: Tensor | None = None, seed: int = 2) -> Tensor:
        return self.distiller(self.judges(), self.fake(self.x if x is None else x), rng(seed))

    def slope(self, x: Tensor | None = None) -> Tensor:
        at = self.x if x is None else x
        return torch.autograd.grad(self.loss(at).sum(), at)[0]


@pytest.fixture(params=CASES, ids=IDS)
def world(request: pytest.FixtureRequest) -> World:
    return World(*request.param)


@pytest.mark.parametrize("name", registry)
def test_is_a_component(name: str) -> None:
    is_component(registry[name](), Distiller)
    assert any(case[0] == name for case in CASES), "it supports nothing that there is"
    for corruption in KINDS:
        assert all(is_reason(registry[name]().supports(objectives[o](), corruption)) for o in objectives)


def test_gives_one_finite_loss_per_sample(world: World) -> None:
    loss = world.loss()
    assert loss.shape == (N,) and loss.dtype == torch.float64 and bool(torch.isfinite(loss).all())


def test_the_gradient_reaches_every_fake_and_nothing_else(world: World) -> None:
    slope = world.slope()
    assert bool(torch.isfinite(slope).all()) and slope.shape == world.x.shape
    seen = slope.flatten(1).abs().sum(1) > 0
    assert int(seen.sum()) >= N - 2  # a mask may hide a small fake altogether
    for net in filter(None, (world.teacher, world.critic, world.discriminator)):
        assert all(p.grad is None for p in net.parameters())


def test_is_a_function_of_its_arguments(world: World) -> None:
    with global_generator_at_rest():
        loss, other = world.loss(), world.loss(seed=3)
    assert torch.equal(world.loss(), loss) and not torch.equal(loss, other)
    torch.manual_seed(12)
    assert torch.equal(world.loss(), loss)


def test_samples_do_not_see_each_other(world: World) -> None:
    """But for one factor, which a loss that weights samples gives to all."""
    moved = world.x.detach().clone()
    moved[2] += 1.0
    still = torch.arange(N) != 2
    factor = _factor(world.loss(moved)[still], world.loss()[still])
    torch.testing.assert_close(world.slope(moved.requires_grad_())[still], factor * world.slope()[still])
    assert not torch.allclose(world.loss(moved)[2], world.loss()[2])  # control


def _factor(a: Tensor, b: Tensor) -> float:
    """The number by which `b` is `a`."""
    factor = float((a * b).sum().detach() / b.square().sum().detach())
    torch.testing.assert_close(a, factor * b)
    return factor


def test_judges_that_agree_are_no_force(world: World) -> None:
    """A critic that agrees with the teacher, and a discriminator that sees no difference.

    What asks neither cannot know that it has arrived.
    """
    before, loss = float(world.slope().abs().max()), world.loss()
    world.critic = world.teacher
    listens = not torch.equal(world.loss(), loss) or world.distiller.discriminates
    if world.discriminator is not None:
        for p in world.discriminator.parameters():
            p.zero_()
    assert before > 1e-12 and (float(world.slope().abs().max()) < 1e-12) is listens
