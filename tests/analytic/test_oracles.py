"""Methods that know the law of the data recover known answers."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture, Law
from dcdbench.datasets.gaussian import LowRankGaussian
from dcdbench.datasets.gaussian_mixture import Mixture
from dcdbench.distillers.dmd import DMD
from dcdbench.distillers.sid import SiD
from dcdbench.harness.identity import describe
from dcdbench.masked import filled
from dcdbench.methods.dcd import DCD
from dcdbench.methods.em import EM
from dcdbench.methods.exact import Exact
from dcdbench.methods.ideal import FilledMean
from dcdbench.methods.oracle import Oracle
from dcdbench.methods.oracle_dcd import OracleDCD
from dcdbench.methods.teacher import Teacher
from dcdbench.networks.exact import ExactDenoiser
from dcdbench.networks.mlp import MLP
from dcdbench.noises.coloured import Coloured
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.standard import Standard
from dcdbench.operators.coordinates import Coordinates
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.phases.distil import Distil
from dcdbench.phases.distil_exact import DistilExact
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Data, Denoiser, Judges, Objective, Setting
from dcdbench.streams import Stream
from dcdbench.training import State, train

SIGMA_Y, N = 0.5, 20_000
SOURCE = LowRankGaussian(dim=4, rank=2, spectrum=(1.5, 0.5))
NOISY = Corruption(Identity(), SIGMA_Y)
MASKED = Corruption(Inpainting(0.7), 0.3)


def setting(corruption: Corruption = NOISY, source: Any = SOURCE) -> Setting:
    return Setting(corruption, MLP(16, 1), 0.2, 0.1, 64, source)


def problem(corruption: Corruption = NOISY, source: Any = SOURCE) -> Problem:
    x = source.law().sample(256, Stream(0).rng()).float()
    m = corruption(x, Stream(1).rng())
    return Problem(m, m, corruption, source.shape())


def drawn(method: Exact, corruption: Corruption = NOISY, source: Any = SOURCE) -> tuple[Tensor, int]:
    sampler = method.sampler(setting(corruption, source))
    samples = sampler.sample(None, problem(corruption, source), N, Stream(2).rng())
    return samples.x.double(), samples.nfe


def off(x: Tensor, law: Law) -> float:
    """The greatest deviation of mean and covariance from those of a law, in standard errors."""
    mean, cov = law.mean, law.cov
    error = ((cov.diagonal()[:, None] * cov.diagonal() + cov**2) / len(x)).sqrt() + 1e-6
    centred = x - mean
    far = ((centred.T @ centred / len(x) - cov) / error).abs().max()
    return max(float(far), float(((x.mean(0) - mean) / error.diagonal()).abs().max()))


# The perfect teacher


def test_full_sampling_gives_the_clean_law() -> None:
    x, nfe = drawn(Exact(steps=40))
    assert off(x, SOURCE.law()) < 4.5 and nfe == 79
    assert off(x, SOURCE.law().noised(SIGMA_Y)) > 10  # control


def test_by_the_standard_objective_it_gives_the_law_of_measurements() -> None:
    x, _ = drawn(Exact(Standard(), steps=40))
    assert off(x, SOURCE.law().noised(SIGMA_Y)) < 4.5
    assert off(x, SOURCE.law()) > 10  # control


def test_truncated_sampling_gives_posterior_means() -> None:
    x, _ = drawn(Exact(sampling="truncated", steps=40))
    law = SOURCE.law()
    gain = law.cov @ torch.linalg.inv(law.noised(SIGMA_Y).cov)
    assert off(x, Gaussian(law.mean, gain @ law.cov)) < 4.5
    assert off(x, law) > 10  # control


def test_without_noise_there_is_one_law() -> None:
    x, _ = drawn(Exact(steps=40), Corruption(Identity()))
    assert off(x, SOURCE.law()) < 4.5


def test_few_steps_have_an_error_of_their_own() -> None:
    """Control: what is left between the samples and the law is the sampler's."""
    assert off(drawn(Exact(steps=4))[0], SOURCE.law()) > 10


def test_a_mixture_is_sampled_with_its_weights() -> None:
    """Each mode has its share, which no second moment says."""
    source = Mixture(modes=3, weights=(0.5, 0.3, 0.2))
    weights, means, covs = source.law().components
    sampler = Exact(steps=30).sampler(setting(NOISY, source))
    x = sampler.sample(None, problem(NOISY, source), N, Stream(2).rng()).x.double()
    distance = torch.cdist(x, means)
    near = distance.argmin(1).bincount(minlength=len(weights)) / N
    error = (weights * (1 - weights) / N).sqrt()
    assert float(((near - weights).abs() / error).max()) < 4.5
    within = (distance.amin(1).square().mean() / covs[0].trace()).item()
    assert within == pytest.approx(1, abs=0.1)


# What they need


@pytest.mark.parametrize("method", [Exact(), OracleDCD()])
def test_reasons(method: Exact | OracleDCD) -> None:
    assert method.needs_clean and method.supports(NOISY, (4,)) is None
    for operator in (Inpainting(), Coordinates(2)):
        assert method.supports(Corruption(operator, 0.2), (4,)) is None
    others = (Corruption(Coordinates(1)), Corruption(Identity(), 0.2, Coloured()))
    for corruption in others:
        reason = method.supports(corruption, (4,))
        assert reason is not None and reason.startswith(
            "knows exact denoisers of the identity with white noise"
        )
    plain = replace(method, objective=Standard())
    assert plain.supports(MASKED, (4,)) is not None and plain.supports(NOISY, (4,)) is None
    known: Any = SOURCE
    assert method.supports_source(known) is None
    assert method.supports_source(Lawless()) == "needs data with an analytic law"
    with pytest.raises(ValueError, match=r"setting\.source is None"):
        given = setting(source=None)
        method.sampler(given) if isinstance(method, Exact) else method.phases(given)


@dataclass
class Lawless:
    """Data of which only samples are known."""

    corrupted: bool = False

    def shape(self) -> tuple[int, ...]:
        return (4,)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        raise NotImplementedError


def test_truncation_needs_a_level_to_stop_at() -> None:
    reason = Exact(sampling="truncated").supports(Corruption(Identity()), (4,))
    assert reason is not None and reason.startswith("truncated sampling is full sampling here")
    with pytest.raises(ValueError, match="steps must be >= 2"):
        Exact(steps=1)


def test_samplers_and_phases_can_be_described() -> None:
    """They are parts of keys: two laws have two keys."""
    others = [setting(), setting(source=replace(SOURCE, frame=1))]
    one, two = (Exact().sampler(given) for given in others)
    assert pickle.loads(pickle.dumps(one)) == one and describe(one) != describe(two)
    p, q = (OracleDCD().phases(given)[1] for given in others)
    assert pickle.loads(pickle.dumps(p)) == p and describe(p) != describe(q)


# The denoiser


@pytest.mark.parametrize("shape", [(4,), (1, 2, 2)])
def test_the_exact_denoiser_follows_shape_and_type(shape: tuple[int, ...]) -> None:
    denoiser = ExactDenoiser(SOURCE.law())
    x_t = torch.randn(5, *shape, generator=Stream(0).rng())
    sigma = torch.linspace(0.1, 2, 5)
    got = denoiser(x_t, sigma)
    assert got.shape == x_t.shape and got.dtype == torch.float32
    expected = SOURCE.law().denoise(x_t.double().flatten(1), sigma)
    torch.testing.assert_close(got.double().flatten(1), expected, rtol=1e-6, atol=1e-6)
    assert not list(denoiser.parameters()) and not denoiser.state_dict()
    torch.testing.assert_close(denoiser(x_t, sigma, Mask(torch.ones_like(x_t))), got)


def test_gradients_flow_through_it() -> None:
    means, covs = torch.tensor([[1.0, 0], [0, -1]]), torch.eye(2).expand(2, 2, 2)
    law = GaussianMixture(torch.tensor([0.4, 0.6]), means, covs)
    x_t = torch.randn(3, 2, generator=Stream(0).rng(), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: ExactDenoiser(law)(x, torch.tensor([0.3, 1.0, 2.0])), (x_t,))


# Distillation from it


def started(
    method: DCD, corruption: Corruption = NOISY, source: Any = SOURCE
) -> tuple[Distil, State, Problem]:
    """Phase II after a short phase I."""
    made = problem(corruption, source)
    first, second = method.phases(setting(corruption, source))
    state = first.init(made, None, Stream(0))
    for _ in islice(train(first, made, state, Stream(1)), 3):
        pass
    assert isinstance(second, Distil)
    return second, second.init(made, first.result(state), Stream(2)), made


@pytest.mark.parametrize(
    ("objective", "noise"), [(None, 0.0), (AmbientTweedie(), 0.0), (Standard(), SIGMA_Y)]
)
def test_its_teacher_is_exact_and_its_networks_are_those_of_dcd(
    objective: Objective | None, noise: float
) -> None:
    _, state, _ = started(OracleDCD(objective=objective))
    _, other, _ = started(DCD(objective=objective))
    x_t, sigma = torch.randn(5, 4, generator=Stream(0).rng()), torch.full((5,), 0.8)
    expected = SOURCE.law().noised(noise).denoise(x_t, sigma)
    torch.testing.assert_close(state.frozen["teacher"](x_t, sigma), expected)
    assert not torch.allclose(other.frozen["teacher"](x_t, sigma), expected, atol=0.1)  # control
    for name, net in state.trained.items():
        same = zip(net.parameters(), other.trained[name].parameters(), strict=True)
        assert all(torch.equal(p, q) for p, q in same)


def test_it_differs_from_dcd_in_the_teacher_alone() -> None:
    method = OracleDCD(critic_steps=3, sigma_init=1.5, lr=3e-4)
    exact = method.phases(setting())[1]
    plain = DCD(critic_steps=3, sigma_init=1.5, lr=3e-4).phases(setting())[1]
    assert type(exact) is DistilExact and not exact.needs_clean
    assert all(getattr(exact, f.name) == getattr(plain, f.name) for f in fields(plain))
    assert OracleDCD().phases(setting())[0] == DCD().phases(setting())[0]  # a shared phase I


def test_steps_are_taken_and_can_be_resumed() -> None:
    phase, state, made = started(OracleDCD())
    before = {name: t.clone() for name, t in state.tensors().items()}
    stats = phase.step(state, made, Stream(3))
    after = {name: t.clone() for name, t in state.tensors().items()}
    assert all(torch.isfinite(torch.tensor(v)) for v in stats.values())
    name = "trained/critic/net.last.bias"
    assert not torch.equal(before[name], after[name])
    _, again, _ = started(OracleDCD())
    again.load(before)
    phase.step(again, made, Stream(3))
    assert all(torch.equal(t, after[name]) for name, t in again.tensors().items())


def test_with_an_exact_critic_the_perfect_generator_has_no_slope() -> None:
    """The fixed point of phase II: clean samples, re-corrupted, between two exact judges."""
    n = 4_000
    law, exact = SOURCE.law(), ExactDenoiser(SOURCE.law())
    root = law.spectrum[1][0] * law.spectrum[0][0].sqrt()
    z = torch.randn(n, 4, generator=Stream(0).rng(), dtype=torch.float64)

    def slope(scale: float, teacher: Denoiser) -> float:
        moving = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
        fake = NOISY.fake(moving * z @ root.T, Stream(1).rng())
        own = ExactDenoiser(Gaussian(law.mean, scale**2 * law.cov))
        judges = Judges(teacher, own, AmbientTweedie(), SIGMA_Y)
        loss = SiD(alpha=0.5)(judges, fake, Stream(2).rng()).mean()
        return float(torch.autograd.grad(loss, moving)[0])

    assert slope(1.0, exact) == 0
    assert slope(0.9, exact) < 0 < slope(1.1, exact)
    wrong: Any = ExactDenoiser(law.noised(0.2))  # control: an error of the teacher moves the fixed point
    assert abs(slope(1.0, wrong)) > 1e-3


# Through masks


MODES = Mixture(modes=2, std=0.4, dim=3, layout="random")


def test_through_masks_the_perfect_teacher_fills_in_means() -> None:
    """It ends where theory says; a mask that shows all gives the law itself."""
    source: Any = MODES
    x, _ = drawn(Exact(steps=40), MASKED, source)
    expected = Exact().expected(MODES.law(), MASKED)
    assert isinstance(expected, FilledMean)
    y = expected.sample(N, Stream(3).rng())
    for k in (1, 2):
        error = ((x**k).var(0) / N + (y**k).var(0) / N).sqrt()
        assert bool(((x**k).mean(0) - (y**k).mean(0)).abs().le(4.5 * error + 0.005).all())
    assert float(MODES.law().cov.trace()) > 1.1 * float(y.var(0).sum())  # control: means are narrower


@pytest.mark.parametrize("operator", [Inpainting(0.7), Coordinates(2)])
@pytest.mark.parametrize("distiller", [SiD(), DMD()])
def test_phase_two_asks_the_exact_denoiser_through_masks(operator: Any, distiller: Any) -> None:
    corruption = Corruption(operator, 0.3)
    phase, state, made = started(OracleDCD(distiller=distiller), corruption, MODES)
    A = operator.draw((3,), 5, Stream(0).rng())
    x_t, sigma = A(torch.randn(5, 3, generator=Stream(1).rng())), torch.linspace(0.3, 2, 5)
    expected = filled(MODES.law(), x_t.double(), A.mask.double(), sigma)
    got = state.frozen["teacher"](x_t, sigma, A)
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)
    before = [p.clone() for p in state.trained["generator"].parameters()]
    for k in range(2):
        stats = phase.step(state, made, Stream(3) / k)
        assert all(torch.isfinite(torch.tensor(v)) for v in stats.values())
    after = state.trained["generator"].parameters()
    assert any(not torch.equal(p, q) for p, q in zip(before, after, strict=True))


def test_the_oracle_has_the_images_of_both_phases() -> None:
    """As many as every rival that has no student; the control: the teacher's alone."""
    here = replace(setting(), teacher_kimg=4.0, student_kimg=3.0)
    images = {type(m): sum(p.kimg for p in m.phases(here)) for m in (Oracle(), DCD(), EM(laps=3), Teacher())}
    assert images == pytest.approx({Oracle: 7.0, DCD: 7.0, EM: 7.0, Teacher: 4.0})
    assert [p.needs_clean for p in Oracle().phases(here)] == [True]
