"""What theory expects of ideal results: against trajectories with exact denoisers."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch

from dcdbench.analytic import Gaussian, GaussianMixture, Law
from dcdbench.distillers.dmd import DMD
from dcdbench.distillers.f_distill import FDistill
from dcdbench.distillers.gan import GAN
from dcdbench.distillers.sds import SDS
from dcdbench.distillers.sid import SiD
from dcdbench.distillers.sim import SiM
from dcdbench.methods.ambient import Ambient
from dcdbench.methods.ambient_gan import AmbientGAN
from dcdbench.methods.dcd import DCD
from dcdbench.methods.em import EM
from dcdbench.methods.gsure import GSUREDiffusion
from dcdbench.methods.ideal import FilledMean
from dcdbench.methods.moments import PCAGaussian
from dcdbench.methods.observed import NoModel
from dcdbench.methods.oracle_dcd import OracleDCD
from dcdbench.methods.self_consuming import SelfConsuming
from dcdbench.methods.teacher import Teacher
from dcdbench.networks.exact import ExactDenoiser
from dcdbench.noises.poisson import Poisson
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.standard import Standard
from dcdbench.operators.coordinates import Coordinates
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.problem import Corruption
from dcdbench.protocols import Objective
from dcdbench.samplers.heun import Heun

SIGMA = 0.3
COV = torch.tensor([[1.0, 0.8, 0.3], [0.8, 1.2, 0.1], [0.3, 0.1, 0.6]], dtype=torch.float64)
MEANS = torch.tensor([[2.0, 0.0, -1.0], [-1.0, 1.0, 0.5]], dtype=torch.float64)
GAUSSIAN = Gaussian(MEANS[0], COV)
MIXTURE = GaussianMixture(torch.tensor([0.3, 0.7]), MEANS, torch.stack([0.2 * COV, 0.5 * COV]))
MASKS = Corruption(Inpainting(0.7), SIGMA)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sampling", ["full", "truncated"])
@pytest.mark.parametrize("law", [GAUSSIAN, MIXTURE])
def test_it_is_where_the_sampler_of_an_exact_teacher_ends(law: Law, sampling: Any) -> None:
    """Moments agree within four standard errors; those of the law itself are elsewhere."""
    n = 20_000
    expected = Teacher(sampling=sampling).expected(law, MASKS)
    assert isinstance(expected, FilledMean)
    sampler = Heun(AmbientDiffusion(), sampling, SIGMA, steps=60)
    x = sampler.sample(ExactDenoiser(law), tiny.problem(MASKS, (3,)), n, rng()).x.double()
    y, clean = expected.sample(n, rng(1)), law.sample(n, rng(2))
    for k in (1, 2):
        error = ((x**k).var(0) / n + (y**k).var(0) / n).sqrt()
        assert bool(((x**k).mean(0) - (y**k).mean(0)).abs().le(4 * error + 0.01).all())
    assert float((clean.var(0) - y.var(0)).min()) > 0.1  # control: hidden entries are means, and so narrower


def test_of_whom_the_clean_law_is_expected_through_masks() -> None:
    """Of all whose measurements have the right law only if their signals have it."""
    for method in (DCD(), EM(), AmbientGAN()):
        assert method.expected(MIXTURE, MASKS) is MIXTURE
    gaussian = PCAGaussian().expected(MIXTURE, MASKS)
    assert gaussian is not None and torch.equal(gaussian.cov, MIXTURE.cov)


@pytest.mark.parametrize(
    ("method", "corruption"),
    [
        (NoModel(), MASKS),
        (GSUREDiffusion(), MASKS),
        (Teacher(Standard()), MASKS),
        (SelfConsuming(generations=1), MASKS),
        (Ambient(guidance=1.0), MASKS),
        (DCD(), Corruption(GaussianBlur(), SIGMA)),
        (EM(), Corruption(Coordinates(2), SIGMA)),
        (EM(), Corruption(Inpainting(0.7), 0.0, Poisson())),
    ],
)
def test_of_whom_nothing_is_known(method: Any, corruption: Corruption) -> None:
    assert method.expected(MIXTURE, corruption) is None


NOISY = Corruption(Identity(), SIGMA)


@pytest.mark.parametrize("distiller", [SiD(), DMD(), FDistill(), GAN(), SiM(), SiD(levels="all")])
@pytest.mark.parametrize("critic", [None, AmbientTweedie()])
def test_distillation_that_matches_laws_is_expected_to_give_the_clean_one(
    distiller: Any, critic: Objective | None
) -> None:
    assert DCD(AmbientTweedie(), distiller=distiller, critic=critic).expected(MIXTURE, NOISY) is MIXTURE


@pytest.mark.parametrize(
    "method",
    [
        DCD(distiller=SDS()),
        DCD(AmbientTweedie(), critic=Standard()),
        DCD(critic=AmbientTweedie(p_std=0.5)),
        DCD(distiller=SiD(levels="below")),
        DCD(distiller=GAN(levels="below")),
        OracleDCD(distiller=SDS()),
    ],
)
@pytest.mark.parametrize("corruption", [NOISY, MASKS])
def test_distillation_that_does_not_match_laws_has_no_law_that_is_known(
    method: DCD, corruption: Corruption
) -> None:
    assert method.expected(MIXTURE, corruption) is None
