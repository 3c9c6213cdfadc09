"""Forward-backward deconvolution: the reverse process from the noise of the data, and its fixed point."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture, w2_gaussian
from dcdbench.methods.sfbd import SFBD
from dcdbench.methods.teacher import Teacher
from dcdbench.networks.exact import ExactDenoiser
from dcdbench.networks.mlp import MLP
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Setting
from dcdbench.restorers.backward import Backward
from dcdbench.streams import Stream
from dcdbench.training import train

SIGMA_Y = 0.6
LAW = Gaussian(torch.tensor([0.5, -1.0]), torch.diag(torch.tensor([1.0, 0.15])))
NOISY = Corruption(Identity(), SIGMA_Y)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(n: int = 2000) -> Problem:
    x = LAW.sample(n, rng()).float()
    return Problem(NOISY(x, rng(1)), NOISY(x[:50], rng(2)), NOISY, (2,))


def moments(x: Tensor) -> Gaussian:
    return Gaussian(x.double().mean(0), torch.cov(x.double().T))


def distance(x: Tensor) -> float:
    """W2 of the Gaussian with the moments of `x` to the law."""
    return float(w2_gaussian(moments(x), LAW))


def test_the_flow_of_a_gaussian_is_known() -> None:
    """From exactly `sigma_y` to 0 it scales a principal coordinate by `sqrt(lam / (lam + sigma_y^2))`."""
    world = problem(200)
    x = Backward(steps=40).restore(ExactDenoiser(LAW), world, Stream(0))
    lam = LAW.cov.diagonal()
    expected = LAW.mean + (lam / (lam + SIGMA_Y**2)).sqrt() * (world.train.y - LAW.mean)
    torch.testing.assert_close(x.double(), expected, rtol=0, atol=5e-3)


def test_starts_at_the_level_of_the_noise() -> None:
    seen: list[float] = []

    class Noted(ExactDenoiser):
        def forward(self, x_t: Tensor, sigma: Tensor, A: Any = None) -> Tensor:
            seen.append(float(sigma[0]))
            return super().forward(x_t, sigma, A)

    Backward().restore(Noted(LAW), problem(4), Stream(0))
    assert seen[0] == pytest.approx(SIGMA_Y) and max(seen) == seen[0]


def test_a_right_model_maps_measurements_to_signals() -> None:
    """Of the right law, samples have the law; a model of the noisy law, the control, leaves them too wide."""
    means = torch.tensor([[-1.5], [1.5]]).double()
    law = GaussianMixture(torch.tensor([0.5, 0.5]), means, torch.full((2, 1, 1), 0.01))
    x = law.sample(2000, rng()).float()
    world = Problem(NOISY(x, rng(1)), NOISY(x[:5], rng(2)), NOISY, (1,))
    right = Backward(steps=40).restore(ExactDenoiser(law), world, Stream(0))
    wrong = Backward(steps=40).restore(ExactDenoiser(law.noised(SIGMA_Y)), world, Stream(0))
    spread = [float((t.abs() - 1.5).std()) for t in (right, wrong)]
    assert spread[0] == pytest.approx(0.1, abs=0.02) and spread[1] > 0.2


def test_laps_converge_to_the_law() -> None:
    """With a Gaussian fitted for a training: `lam <- lam (lam* + sigma_y^2) / (lam + sigma_y^2)`."""
    world = problem(4000)
    distances: list[float] = []
    model = moments(world.train.y)
    observed = torch.cov(world.train.y.double().T).diagonal()
    lam = observed.clone()
    for _ in range(8):
        x = Backward(steps=30).restore(ExactDenoiser(model), world, Stream(0))
        lam = lam * observed / (lam + SIGMA_Y**2)
        model = moments(x)
        torch.testing.assert_close(model.cov.diagonal(), lam, rtol=0.02, atol=0.005)
        distances.append(distance(x))
    assert all(b < a + 1e-3 for a, b in pairwise(distances))
    assert distances[-1] < 0.4 * distance(world.train.y)


def test_learns_from_noisy_data_alone() -> None:
    world = problem()
    setting = Setting(NOISY, MLP(48, 1), teacher_kimg=100.0, student_kimg=60.0, batch=256)
    method, net = SFBD(laps=2), None
    for phase in method.phases(setting):
        stream = Stream(0) / phase.kind
        state = phase.init(world, net, stream / "init")
        for _ in islice(train(phase, world, state, stream / "step"), round(1000 * phase.kimg / 256)):
            pass
        net = phase.result(state).requires_grad_(False)
    x = method.sampler(setting).sample(net, world, 2000, rng(9)).x
    assert distance(x) < 0.5 * distance(world.train.y)


def test_shares_its_teacher() -> None:
    setting = Setting(NOISY, MLP(8, 1), teacher_kimg=2.0, student_kimg=1.5)
    first, *laps = SFBD(laps=3).phases(setting)
    assert first == Teacher().phases(setting)[0]
    assert [lap.kimg for lap in laps] == pytest.approx([0.5] * 3) and all(lap.warm for lap in laps)


def test_says_what_it_cannot_do() -> None:
    assert SFBD().supports(NOISY, (2,)) is None
    assert "white noise" in str(SFBD().supports(Corruption(Inpainting(0.5), 0.3), (2,)))
    assert "sigma_y is 0" in str(SFBD().supports(Corruption(Identity()), (2,)))
    with pytest.raises(ValueError, match="laps must be >= 1, got 0"):
        SFBD(laps=0)
