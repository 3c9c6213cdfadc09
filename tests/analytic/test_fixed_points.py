"""Where distillation comes to rest on Gaussians, with an exact teacher and critic, in closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dcdbench.analytic import Gaussian
from dcdbench.distillers.dmd import DMD
from dcdbench.distillers.sid import SiD
from dcdbench.networks.exact import ExactDenoiser
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import Identity
from dcdbench.problem import Corruption
from dcdbench.protocols import Denoiser, Judges, Objective
from dcdbench.streams import Stream

N, D, VARIANCE, SIGMA_Y = 4000, 3, 1.0, 0.5


def white(variance: float) -> Gaussian:
    return Gaussian(torch.zeros(D), variance * torch.eye(D))


def slope(
    distiller: Any,
    variance: float,
    teacher: Denoiser,
    critic: Denoiser,
    objective: Objective,
    corruption: Corruption,
) -> float:
    """That of the generator's loss in the standard deviation of white fakes."""
    moving = torch.tensor(variance**0.5, dtype=torch.float64, requires_grad=True)
    z = torch.randn(N, D, generator=Stream(0).rng(), dtype=torch.float64)
    fake = corruption.fake(moving * z, Stream(1).rng(), noise=False)
    judges = Judges(teacher, critic, objective, SIGMA_Y)
    loss = distiller(judges, fake, Stream(2).rng()).mean()
    return float(torch.autograd.grad(loss, moving)[0])


@pytest.mark.parametrize("distiller", [DMD(), SiD(alpha=0.5)], ids=["dmd", "sid"])
def test_a_plain_critic_takes_the_noise_off_the_fakes(distiller: Any) -> None:
    """It learns fakes with their noise, the teacher data without: they agree at `lambda - sigma_y^2`."""
    noisy = Corruption(Identity(), SIGMA_Y)
    teacher = ExactDenoiser(white(VARIANCE))

    def at(variance: float, noise: float = SIGMA_Y) -> float:
        critic = ExactDenoiser(white(variance).noised(noise))
        return slope(distiller, variance, teacher, critic, AmbientTweedie(), noisy)

    rest = VARIANCE - SIGMA_Y**2
    assert abs(at(rest)) < 1e-9
    assert at(0.9 * rest) < -1e-3 and at(1.1 * rest) > 1e-3
    assert at(VARIANCE) > 1e-3  # control: the clean law is not where it rests
    assert abs(at(VARIANCE, noise=0.0)) < 1e-9  # control: with a critic that knows of the noise it is


@pytest.mark.parametrize("distiller", [DMD(), SiD(alpha=0.5)], ids=["dmd", "sid"])
def test_a_plain_critic_cannot_be_met_by_fakes_where_noise_is_more_than_the_data(distiller: Any) -> None:
    """Then every fake is too wide: they shrink to points, the positive part of `lambda - sigma_y^2`."""
    teacher, narrow = ExactDenoiser(white(0.5 * SIGMA_Y**2)), Corruption(Identity(), SIGMA_Y)
    for variance in (0.5, 0.1, 0.01):
        critic = ExactDenoiser(white(variance).noised(SIGMA_Y))
        assert slope(distiller, variance, teacher, critic, AmbientTweedie(), narrow) > 0


@pytest.mark.parametrize("distiller", [DMD(), SiD(alpha=0.5)], ids=["dmd", "sid"])
def test_without_the_operator_fakes_become_measurements(distiller: Any) -> None:
    """A teacher of measurements, and fakes that are not corrupted: at rest they have the law of `y`."""
    plain = Corruption(Identity())
    teacher = ExactDenoiser(white(VARIANCE).noised(SIGMA_Y))

    def at(variance: float) -> float:
        return slope(distiller, variance, teacher, ExactDenoiser(white(variance)), Standard(), plain)

    rest = VARIANCE + SIGMA_Y**2
    assert abs(at(rest)) < 1e-9
    assert at(0.9 * rest) < -1e-3 and at(1.1 * rest) > 1e-3
    assert at(VARIANCE) < -1e-3  # control: signals are too narrow
