"""The contract of the family: every registered network meets it, without a new test file."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import pytest
import torch
from component import global_generator_at_rest, is_component
from torch import Tensor, nn

from dcdbench.networks import registry
from dcdbench.networks.edm import Preconditioned
from dcdbench.operators.inpainting import Mask
from dcdbench.protocols import Network

SHAPES = ((1,), (5,), (1, 8, 8), (3, 7, 5), (1, 6, 1), (2, 1, 1))
N = 4


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fits(name: str, shape: tuple[int, ...]) -> bool:
    """Whether the network takes such signals: a ValueError that names the shape says that it does not."""
    try:
        registry[name]().build(shape, 0, rng())
    except ValueError as error:
        assert str(shape) in str(error)
        return False
    return True


CASES = [
    (name, shape, condition)
    for name in registry
    for shape in SHAPES
    if fits(name, shape)
    for condition in (0, 1 if len(shape) == 3 else 2)
]
IDS = [f"{name}-{'x'.join(map(str, shape))}{'-condition' * bool(c)}" for name, shape, c in CASES]


@dataclass(frozen=True)
class Shown(Mask):
    """A mask of which something else is shown."""

    shown: Tensor

    def condition(self) -> Tensor:
        return self.shown


class World:
    def __init__(self, name: str, shape: tuple[int, ...], condition: int) -> None:
        self.name, self.shape, self.condition = name, shape, condition
        self.x = torch.randn(N, *shape, generator=rng(1))
        self.c = torch.linspace(-1.5, 1.1, N)
        shown = (torch.rand(N, condition, *shape[1:], generator=rng(2)) < 0.5).float()
        self.shown = shown if condition else None

    def build(self, seed: int = 0) -> nn.Module:
        net: nn.Module = registry[self.name]().build(self.shape, self.condition, rng(seed))
        return net

    def lively(self, seed: int = 0) -> nn.Module:
        """With weights that leave nothing at zero."""
        net = self.build(seed)
        for p in net.parameters():
            nn.init.normal_(p, std=0.2, generator=rng(3))
        return net

    def doubled(self) -> nn.Module:
        """In float64, the input too."""
        self.x, self.c = self.x.double(), self.c.double()
        self.shown = None if self.shown is None else self.shown.double()
        return self.lively().double()

    def __call__(self, net: nn.Module, index: slice = slice(None)) -> Tensor:
        out: Tensor = net(self.x[index], self.c[index], None if self.shown is None else self.shown[index])
        return out


@pytest.fixture(params=CASES, ids=IDS)
def world(request: pytest.FixtureRequest) -> World:
    return World(*request.param)


@pytest.mark.parametrize("name", registry)
def test_is_a_component(name: str) -> None:
    is_component(registry[name](), Network)
    assert any(case[0] == name for case in CASES), "it takes none of the shapes"


def test_gives_the_shape_that_it_is_given(world: World) -> None:
    out = world(world.lively())
    assert out.shape == world.x.shape and out.dtype == world.x.dtype and bool(torch.isfinite(out).all())


def test_weights_depend_on_the_generator_alone(world: World) -> None:
    with global_generator_at_rest():
        one, other = world.build(), world.build(1)
    torch.manual_seed(5)
    again = world.build()
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), again.parameters(), strict=True))
    assert any(not torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


def test_samples_do_not_see_each_other(world: World) -> None:
    """One at a time gives the same as all at once: no statistics over the batch, in training mode too."""
    net = world.doubled()
    whole = world(net)
    each = torch.cat([world(net, slice(i, i + 1)) for i in range(N)])
    torch.testing.assert_close(each, whole)


def test_is_a_function_of_its_input(world: World) -> None:
    net = world.lively()
    with global_generator_at_rest():
        assert torch.equal(world(net), world(net))
    assert torch.equal(world(net.eval()), world(net.train()))  # no dropout, whose draws have no address


def test_listens_to_signal_level_and_condition(world: World) -> None:
    net = world.lively()
    out = world(net)
    if world.x[0].numel() > 1:  # a normalised single number is a sign
        world.x = world.x + 0.5 * torch.randn(world.x.shape, generator=rng(7))
        assert not torch.allclose(world(net), out)
    out = world(net)
    world.c = world.c + 0.3
    assert not torch.allclose(world(net), out)
    if world.shown is not None:
        out = world(net)
        world.shown = 1 - world.shown
        assert not torch.allclose(world(net), out)


def test_every_weight_gets_a_finite_gradient(world: World) -> None:
    net = world.lively()
    world(net).square().mean().backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())


def test_weights_can_be_stored_and_copied(world: World) -> None:
    net, fresh = world.lively(), world.build(9)
    assert not torch.allclose(world(fresh), world(net))
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(world(fresh), world(net)) and torch.equal(world(deepcopy(net)), world(net))


def test_starts_as_a_denoiser_of_unit_loss(world: World) -> None:
    """A fresh network says little, so that the preconditioned loss starts at its scale, about 1."""
    net = world.build().requires_grad_(False)
    assert float(world(net).square().mean()) < 4
    denoiser = Preconditioned(net, 0.0, 0.5, world.condition)
    A = None if world.shown is None else Shown(torch.ones_like(world.x), world.shown)
    assert denoiser(world.x, world.c.exp(), A).shape == world.x.shape


def test_double_precision_is_followed(world: World) -> None:
    assert world(world.doubled()).dtype == torch.float64
