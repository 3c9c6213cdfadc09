"""What is seen of judges: the critic's lag, and the discriminator's optimum."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice

import pytest
import tiny
import torch
from linear import TAU, U0, C, D, Known, Linear, N, Z, exact, fake_of, fixed, judges_of, normal, rng
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture, Law
from dcdbench.distillers.dmd import DMD
from dcdbench.distillers.f_distill import FDistill
from dcdbench.distillers.gan import GAN
from dcdbench.distillers.sid import SiD
from dcdbench.networks.discriminator import Discriminator
from dcdbench.networks.mlp import MLP
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.phases.discriminate import discriminate
from dcdbench.phases.start import denoiser_for
from dcdbench.phases.survey import survey
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Denoiser, Distiller, Operator, View
from dcdbench.streams import Stream
from dcdbench.training import State, adam, train

# The survey


@dataclass
class Between:
    """A denoiser on the way from one to another."""

    start: Denoiser
    end: Denoiser
    part: float
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        return torch.lerp(self.start(x_t, sigma, A), self.end(x_t, sigma, A), self.part)


@dataclass
class Of:
    """The exact denoiser of a law."""

    law: Law
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        return self.law.denoise(x_t, sigma)


@pytest.mark.parametrize("part", [1.0, 0.5, 0.25, 2.0])
def test_the_lag_is_that_of_the_critic(part: float) -> None:
    """`1 / c - 1` for a critic that went the part `c` of its way; exactly, with exact moments."""
    critic = Between(exact(C), exact(U0 @ U0.T), part)
    seen = survey(fixed(DMD), judges_of(exact(C), critic), fake_of(Z @ U0.T), rng())
    assert seen["critic_lag"] == pytest.approx(1 / part - 1, abs=1e-9)
    off = survey(fixed(DMD), judges_of(exact(C), critic), fake_of(1.2 * Z @ U0.T), rng())  # control
    assert off["critic_lag"] != pytest.approx(1 / part - 1, abs=1e-2)


def test_the_lag_at_all_levels() -> None:
    """Of another law of fakes, by Monte Carlo: a critic of mixtures, which no linear model is."""
    fakes = GaussianMixture(
        torch.ones(2) / 2, torch.tensor([[-1.0, 0.3], [1.0, 0.0]]), 0.2 * torch.eye(2).expand(2, 2, 2)
    )
    real = Gaussian(torch.zeros(2), torch.eye(2))
    corruption = Corruption(Identity(), 0.3)

    def lags(part: float) -> Tensor:
        critic, found = Between(Of(real), Of(fakes), part), []
        for seed in range(20):
            fake = corruption.fake(fakes.sample(2000, rng(seed)), rng(100 + seed), noise=False)
            judges = judges_of(Of(real), critic, AmbientTweedie(), 0.3)
            found.append(survey(DMD(), judges, fake, rng(200 + seed))["critic_lag"])
        return torch.tensor(found)

    for part in (1.0, 0.5):
        found = lags(part)
        z = (found.mean() - (1 / part - 1)) / (found.std() / math.sqrt(len(found)))
        assert abs(float(z)) < 4 and float(found.std()) < 0.3


def test_a_critic_that_has_not_left_the_teacher_has_an_infinite_lag() -> None:
    u = Z @ U0.T
    seen = survey(
        fixed(DMD), judges_of(exact(C), Between(exact(C), exact(U0 @ U0.T), 1e-3)), fake_of(u), rng()
    )
    assert seen["critic_lag"] > 900
    same = survey(fixed(DMD), judges_of(exact(C), exact(C)), fake_of(u), rng())
    assert all(math.isfinite(value) for value in same.values())


def test_the_survey_tells_the_variances() -> None:
    u, S = Z @ U0.T, U0 @ U0.T
    seen = survey(fixed(DMD), judges_of(exact(C), exact(S)), fake_of(u), rng())
    assert seen["student_variance"] == pytest.approx(float(S.diagonal().mean()) * N / (N - 1))
    x_t = S + TAU * torch.eye(D)
    for name, net in (("teacher", exact(C)), ("critic", exact(S))):
        variance = (net.matrix @ x_t @ net.matrix.T).diagonal().mean() * N / (N - 1)
        assert seen[f"{name}_variance"] == pytest.approx(float(variance))
    assert seen["teacher_variance"] != pytest.approx(seen["critic_variance"], rel=1e-3)  # control


# The discriminator


def gaussian(var: float) -> Gaussian:
    return Gaussian(torch.zeros(1), torch.full((1, 1), var))


REAL, FAKE, SIGMA_Y, MANY = gaussian(1.0), gaussian(0.1), 0.3, 20_000
NOISY = Corruption(Identity(), SIGMA_Y)


def slopes(scale: float, noise: bool) -> Tensor:
    """Gradients of the loss per pair, `(MANY, 3)`, by features that are added to scaled log ratios."""
    parameters = torch.zeros(MANY, 3, dtype=torch.float64, requires_grad=True)

    def logit(view: View) -> Tensor:
        x, unit = view.x_t, view.x_t / (1 + view.sigma[:, None])
        best = REAL.log_prob(x, view.sigma) - FAKE.log_prob(x, view.sigma)
        return scale * best + (parameters * torch.cat([unit**k for k in range(3)], 1)).sum(1)

    clean = REAL.sample(20 * MANY, rng(1))  # so many that drawing with replacement does not show
    real, fake = NOISY(clean, rng(2)), NOISY.fake(FAKE.sample(MANY, rng(3)), rng(4), noise=noise)
    judges = judges_of(Of(REAL), Of(FAKE), AmbientTweedie(), SIGMA_Y, logit)
    loss = discriminate(GAN(p_mean=-1.0), judges, fake, real, rng(5))
    assert loss.shape == (MANY,)
    return torch.autograd.grad(loss.sum(), parameters)[0]


@pytest.mark.parametrize("noise", [False, True])
def test_at_the_log_ratio_the_discriminator_is_at_rest(noise: bool) -> None:
    """The gradient vanishes in every direction, and that of half or twice the logit does not."""

    def worst(scale: float) -> float:
        found = slopes(scale, noise)
        return float((found.mean(0) / (found.std(0) / math.sqrt(MANY))).abs().max())

    assert worst(1.0) < 4
    assert all(worst(scale) > 8 for scale in (0.5, 2.0))  # control


def test_both_sides_are_seen_alike() -> None:
    """At the same levels, through draws of their own; levels below what can be measured are raised."""
    corruption, views = Corruption(Inpainting(0.5), 0.4), []

    def logit(view: View) -> Tensor:
        views.append(view)
        return view.x_t.sum(1)

    fake = corruption.fake(normal(1, 32, D), rng(1), noise=False)
    real = corruption(normal(2, 100, D), rng(2))
    judges = judges_of(Linear(torch.eye(D)), Linear(torch.eye(D)), AmbientDiffusion(), 0.4, logit)
    discriminate(GAN("all"), judges, fake, real, rng(3))
    assert len(views) == 2 and torch.equal(views[0].sigma, views[1].sigma)
    assert float(views[0].sigma.min()) == pytest.approx(0.4)
    for view in views:
        assert view.A is not None and bool((view.x_t[view.A.condition() == 0] == 0).all())


def test_the_loss_is_logistic() -> None:
    real = Measurement(torch.zeros(5, D, dtype=torch.float64), fake_of(Z).A, 0.0, (D,))

    class Bare(Known):
        def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
            return View(m.y, sigma)

    def logit(view: View) -> Tensor:
        return view.x_t.sum(1) + 0.3

    fake = fake_of(Z @ U0.T)
    judges = judges_of(exact(C), exact(C), Bare(), discriminator=logit)
    probability = torch.sigmoid(fake.y.sum(1) + 0.3)
    wanted = -torch.sigmoid(torch.tensor(0.3, dtype=torch.float64)).log() - (1 - probability).log()
    torch.testing.assert_close(discriminate(GAN(), judges, fake, real, rng()), wanted)


# Its network


@pytest.mark.parametrize("corruption", [Corruption(Identity(), 0.3), Corruption(Inpainting(0.5))])
def test_a_fresh_discriminator_knows_nothing(corruption: Corruption) -> None:
    x = normal(1, 16, 1, 4, 3).float()
    m = corruption(x, rng(1))
    objective = AmbientTweedie() if corruption.sigma_y else AmbientDiffusion()
    made = denoiser_for(Problem(m, m, corruption, (1, 4, 3)), objective, MLP(16, 1), Stream(0))
    net, view = Discriminator(made), objective.view(m, torch.full((16,), 0.7), rng(2))
    assert net(view).shape == (16,) and bool((net(view) == 0).all())
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.3, generator=rng(3))
    other = View(view.x_t, 2 * view.sigma, view.A)
    assert not torch.allclose(net(view), net(other))  # it sees the level
    if view.A is not None:
        back = View(view.x_t, view.sigma, view.A[torch.arange(15, -1, -1)])
        assert not torch.allclose(net(view), net(back))  # and the draw
    assert len({p.data_ptr() for p in net.parameters()}) == len(list(made.parameters()))


# In phase II


@pytest.mark.parametrize("distiller", [GAN(), SiD(adversarial=0.1), FDistill()])
def test_phase_two_trains_a_discriminator_where_one_is_asked(distiller: Distiller) -> None:
    """Beside generator and critic; a resumed training gives the same bits."""
    phase, problem = replace(tiny.distil(kimg=2.0, batch=32), distiller=distiller), tiny.problem()

    def begun() -> State:
        return phase.init(problem, tiny.exact_teacher(), Stream(0))

    whole, first, second = begun(), begun(), begun()
    before = [p.detach().clone() for p in whole.trained["discriminator"].parameters()]
    stats = list(islice(train(phase, problem, whole, Stream(1)), 4))
    assert all(math.isfinite(s["discriminator_loss"]) and s["discriminator_gradient"] > 0 for s in stats)
    after = list(whole.trained["discriminator"].parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    list(islice(train(phase, problem, first, Stream(1)), 2))
    second.load({k: t.clone() for k, t in first.tensors().items()})
    list(islice(train(phase, problem, second, Stream(1)), 2))
    assert all(torch.equal(t, second.tensors()[k]) for k, t in whole.tensors().items())
    assert (
        "discriminator"
        not in replace(phase, distiller=DMD()).init(problem, tiny.exact_teacher(), Stream(0)).trained
    )


def test_a_discriminator_learns_the_log_ratio() -> None:
    """Of measurements and of fakes that are too narrow; its logit is right about who is who."""
    problem = tiny.problem(n=8192)
    made = denoiser_for(problem, AmbientTweedie(), MLP(32, 1), Stream(0))
    net, wide, narrow = Discriminator(made), tiny.SCALE**2, (tiny.SCALE / 2) ** 2
    optimizer = adam(net, 3e-3, 0.0)
    distiller = GAN(p_mean=-1.0, p_std=0.5)
    judges = judges_of(Linear(torch.eye(2)), Linear(torch.eye(2)), AmbientTweedie(), tiny.SIGMA_Y, net)
    for step in range(300):
        x = tiny.SCALE / 2 * torch.randn(256, 2, generator=rng(step))
        fake = problem.corruption.fake(x, rng(1000 + step), noise=False)
        optimizer.zero_grad()
        discriminate(distiller, judges, fake, problem.train, rng(2000 + step)).mean().backward()
        optimizer.step()
    view = AmbientTweedie().view(problem.train[:2000], torch.full((2000,), 0.4), rng(1))
    laws = (Gaussian(torch.zeros(2), v * torch.eye(2)) for v in (wide, narrow))
    best = torch.sub(*(law.log_prob(view.x_t, 0.4) for law in laws))
    with torch.no_grad():
        error = float((net(view) - best).square().mean().sqrt())
    assert error < 0.25 * float(best.square().mean().sqrt())
