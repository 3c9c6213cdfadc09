"""A generator against a critic of measurements: the modes of a law that was seen through noise."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import Tensor, nn

from dcdbench.datasets.gaussian_mixture import Mixture
from dcdbench.methods.ambient_gan import LEAST_BATCH, AmbientGAN
from dcdbench.metrics.sliced_w2 import directions, sliced_w2
from dcdbench.networks.critic import Critic
from dcdbench.networks.fourier_mlp import FourierMLP
from dcdbench.networks.mlp import MLP
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.quantise import Quantise
from dcdbench.phases.ambient_gan import Fool, between, slope
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Setting
from dcdbench.streams import Stream
from dcdbench.training import State, train

SIGMA_Y, MODES = 0.3, 4
NETWORK = FourierMLP(32, 1, 16)


def ring() -> Mixture:
    return Mixture(layout="ring", modes=MODES, std=0.05)


def problem(corruption: Corruption, n: int = 4000) -> Problem:
    x = ring().law().sample(n, Stream(0).rng()).float()
    m = corruption(x, Stream(1).rng())
    return Problem(m, m, corruption, (2,))


def run(made: Problem, phase: Fool, steps: int) -> State:
    state = phase.init(made, None, Stream(0) / "init")
    for _ in islice(train(phase, made, state, Stream(0) / "step"), steps):
        pass
    return state


def far(x: Tensor) -> float:
    clean = ring().law().sample(len(x), Stream(9).rng())
    return sliced_w2(x.double(), clean, directions(100, 2, Stream(8).rng()).double())


def shares(x: Tensor) -> Tensor:
    """How many samples lie nearest to each mode."""
    means = ring().law().components[1].float()
    return torch.bincount(torch.cdist(x, means).argmin(1), minlength=MODES) / len(x)


@pytest.fixture(scope="module")
def noisy() -> Problem:
    return problem(Corruption(Identity(), SIGMA_Y))


def fool(kimg: float, **more: float) -> Fool:
    return Fool(NETWORK, kimg, 256, halflife_kimg=10.0, **more)  # type: ignore[arg-type]


def test_it_finds_all_modes_behind_the_noise(noisy: Problem) -> None:
    """Control: the measurements, and the generator before its training."""
    phase = fool(256 * 0.4)
    state = run(noisy, phase, 400)
    x = phase.preview(SIGMA_Y).sample(phase.result(state), noisy, 4000, Stream(3).rng()).x
    fresh = phase.init(noisy, None, Stream(0) / "init").averages["generator"]
    before = phase.preview(SIGMA_Y).sample(fresh, noisy, 4000, Stream(3).rng()).x
    found = shares(x)  # a quarter for each
    assert float(found.min()) > 0.18 and float(found.max()) < 0.32
    assert float(shares(x[x[:, 0] > 0]).min()) < 0.18  # the control: half of it
    assert far(x) < 0.7 * far(noisy.train.y) and far(x) < far(before)


# The critic


class Plane(nn.Module):
    """`F(x) = w x`, whose mean over entries has the gradient `w / d` everywhere."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = w

    def forward(self, x: Tensor, c: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.w * x + (0 if condition is None else 3 * condition)


def test_the_slope_is_the_norm_of_the_gradient_also_by_conditions() -> None:
    w, d = torch.tensor([1.0, -2.0, 2.0]), 3
    critic, x = Critic(Plane(w), 0.0, 1.0), torch.randn(5, 3, generator=Stream(0).rng())
    plain = slope(critic, [x.requires_grad_()])
    both = slope(critic, [x, torch.ones(5, 3).requires_grad_()])
    torch.testing.assert_close(plain, torch.full((5,), 3.0 / d))
    torch.testing.assert_close(both, torch.full((5,), (9.0 + 27.0) ** 0.5 / d))


def test_points_lie_between_both_sides_and_conditions_with_them() -> None:
    real, fake = torch.zeros(500, 2), torch.ones(500, 2)
    x, condition = (t.detach() for t in between((real, fake), (fake, real), Stream(0).rng()))
    torch.testing.assert_close(x + condition, torch.ones(500, 2))
    assert torch.equal(x[:, 0], x[:, 1]) and 0.4 < float(x.mean()) < 0.6
    assert float(x.min()) >= 0 and float(x.max()) <= 1
    assert len(between((real, None), (fake, None), Stream(0).rng())) == 1


def test_the_critic_sees_inputs_of_unit_size() -> None:
    made = problem(Corruption(Inpainting(0.5), 0.1))
    critic = fool(1.0).init(made, None, Stream(0)).trained["critic"]
    x = critic.scaled(made.train.A.back(made.train.y))
    assert abs(float(x.mean())) < 0.05 and float(x.std()) == pytest.approx(1.0, abs=0.05)


def test_the_generator_starts_as_wide_as_signals_without_their_noise() -> None:
    made = problem(Corruption(Identity(), 2.0))
    net = fool(1.0).init(made, None, Stream(0)).trained["generator"]
    assert net.sigma_data == pytest.approx(0.7, abs=0.1)


# The training


@pytest.mark.parametrize(
    "corruption", [Corruption(Identity(), 0.2), Corruption(Inpainting(0.5), 0.1)], ids=repr
)
def test_a_resumed_training_gives_the_same_bits(corruption: Corruption) -> None:
    made, phase = problem(corruption, 200), Fool(MLP(8, 1), 1.0, 16, critic_steps=2)
    whole, first, second = run(made, phase, 4), run(made, phase, 2), run(made, phase, 0)
    second.load({k: v.clone() for k, v in first.tensors().items()})
    for _ in islice(train(phase, made, second, Stream(0) / "step"), 2):
        pass
    a, b = (state.tensors() for state in (whole, second))
    assert all(torch.equal(a[k], b[k]) for k in a) and second.nimg == 64


def test_a_step_of_the_generator_leaves_the_critic_trainable() -> None:
    made = problem(Corruption(Identity(), 0.2), 200)
    state = run(made, Fool(MLP(8, 1), 1.0, 16, critic_steps=1), 1)
    assert all(p.requires_grad for p in state.trained["critic"].parameters())


# The method


def test_what_it_does_not_support() -> None:
    assert AmbientGAN().supports(Corruption(Inpainting(), 0.1), (1, 8, 8)) is None
    assert "gradient" in str(AmbientGAN().supports(Corruption(Quantise()), (2,)))


def test_its_budget_is_that_of_a_student() -> None:
    (phase,) = AmbientGAN(least_steps=20).phases(Setting(Corruption(Identity()), MLP(), 3.0, 2.0, 64))
    assert phase.kimg == 2.0 and phase.batch == 64


@pytest.mark.parametrize(
    ("kimg", "batch", "taken"), [(150.0, 512, 150), (800.0, 512, 512), (3.0, 512, 32), (3.0, 16, 16)]
)
def test_equal_images_give_at_least_so_many_steps(kimg: float, batch: int, taken: int) -> None:
    """By smaller batches, of 32 images at least; the control: a method that asks for one step."""
    given = Setting(Corruption(Identity()), MLP(), 1.0, kimg, batch)
    (phase,) = AmbientGAN().phases(given)
    assert phase.batch == taken and phase.kimg == kimg
    assert 1000 * kimg / taken >= 1000 or taken == min(batch, LEAST_BATCH)
    (plain,) = AmbientGAN(least_steps=1).phases(given)
    assert plain.batch == batch


@pytest.mark.parametrize("more", [{"critic_steps": 0}, {"least_steps": 0}, {"lr": 0.0}, {"penalty": -1.0}])
def test_wrong_numbers_are_named(more: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(more))} must be"):
        AmbientGAN(**more)  # type: ignore[arg-type]
