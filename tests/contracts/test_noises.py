"""The contract of the family: every registered noise meets it, without a new test file."""

from __future__ import annotations

import pytest
import torch
from component import SHAPES, global_generator_at_rest, is_component, signals
from torch import Tensor

from dcdbench.noises import registry
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.problem import Corruption
from dcdbench.protocols import Noise

N = 6
CASES = [(name, shape) for name in registry for shape in [(1,), *SHAPES]]
IDS = [f"{name}-{'x'.join(map(str, shape))}" for name, shape in CASES]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class World:
    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.noise: Noise = registry[name]()
        self.shape = shape
        self.u = signals(N, shape, dtype=torch.float64).clamp(-0.9, 0.9)

    def __call__(self, u: Tensor | None = None, seed: int = 1) -> Tensor:
        return self.noise(self.u if u is None else u, rng(seed))


@pytest.fixture(params=CASES, ids=IDS)
def world(request: pytest.FixtureRequest) -> World:
    return World(*request.param)


@pytest.mark.parametrize("name", registry)
def test_is_a_component(name: str) -> None:
    is_component(registry[name](), Noise)


def test_follows_shape_and_type(world: World) -> None:
    for dtype in (torch.float64, torch.float32):
        y = world(world.u.to(dtype))
        assert y.shape == world.u.shape and y.dtype == dtype and bool(torch.isfinite(y).all())


def test_is_a_function_of_its_arguments(world: World) -> None:
    kept = world.u.clone()
    with global_generator_at_rest():
        y, other = world(), world(seed=2)
    torch.manual_seed(7)
    assert torch.equal(world(), y) and not torch.equal(other, y) and torch.equal(world.u, kept)
    assert not torch.equal(y, world.u)


def test_samples_have_noise_of_their_own(world: World) -> None:
    """What comes later changes nothing before, and equal signals get different noise."""
    u = world.u.clone()
    u[-1] = -u[-1]
    torch.testing.assert_close(world(u)[:-1], world()[:-1])
    same = world(world.u[:1].expand(50, *world.shape).contiguous())
    assert not torch.equal(same[0], same[1])


def test_is_unbiased(world: World) -> None:
    n = 20_000
    y = world(world.u[:1].expand(n, *world.shape).contiguous())
    z = (y.mean(0) - world.u[0]) / (y.std(0) / n**0.5)
    assert float(z.abs().max()) < 5
    assert float(((y.mean(0) - world.u[0] - 0.1) / (y.std(0) / n**0.5)).abs().min()) > 5  # control


def test_gradients_reach_the_signal(world: World) -> None:
    u = world.u.requires_grad_()
    (slope,) = torch.autograd.grad(world(u).sum(), u)
    assert bool(torch.isfinite(slope).all()) and bool((slope != 0).any())
    assert float(slope.mean()) == pytest.approx(1, abs=0.5)  # it carries the signal


def test_keeps_what_is_not_measured_at_zero(world: World) -> None:
    """As a part of a corruption, with white noise on top or without."""
    for sigma_y in (0.0, 0.3):
        m = Corruption(Inpainting(0.5), sigma_y, world.noise)(world.u, rng(3))
        hidden = m.A.restrict(torch.ones_like(m.y)) == 0
        assert bool((m.y[hidden] == 0).all()) and bool(torch.isfinite(m.y).all())


def test_white_noise_comes_after_it(world: World) -> None:
    """A fake without white noise still carries this one, which its signal then is."""
    corruption = Corruption(Identity(), 0.3, world.noise)
    bare, noisy = (corruption.fake(world.u, rng(4), noise=white) for white in (False, True))
    assert torch.equal(bare.y, bare.u) and torch.equal(bare.u, noisy.u) and not torch.equal(noisy.y, noisy.u)
    assert not torch.equal(bare.u, world.u) and bare.sigma_y == 0
