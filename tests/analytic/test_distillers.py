r"""The generator's losses on linear generators `x = U z`, against closed forms: SiD, DMD, and laws of all.

The models are those of `linear`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from linear import (
    EYE,
    NOISE,
    SIGMA,
    TAU,
    TIGHT,
    U0,
    C,
    D,
    K,
    Known,
    Linear,
    N,
    Z,
    bare_loss,
    exact,
    fake_of,
    fisher,
    fixed,
    gradient,
    judges_of,
    kl,
    normal,
    precisions,
    rng,
    update,
)
from scipy.stats import kstest, truncnorm
from torch import Tensor

from dcdbench.distillers import levels, registry
from dcdbench.distillers.dmd import DMD
from dcdbench.distillers.sds import SDS
from dcdbench.distillers.sid import SiD
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.problem import Corruption, Fake, Measurement
from dcdbench.protocols import Distiller, Objective, Operator, View


def closed_form(U: Tensor, cov: Tensor, alpha: float) -> Tensor:
    """`tau^2 [A^2 - B^2 + (2 alpha - 1)(A - B)^2] U`."""
    A, B = precisions(U, cov)
    return TAU**2 * (A @ A - B @ B + (2 * alpha - 1) * (A - B) @ (A - B)) @ U


def test_the_samples_are_exact() -> None:
    both = torch.cat([Z, NOISE], 1)
    torch.testing.assert_close(both.T @ both / N, torch.eye(K + D, dtype=torch.float64), rtol=0, atol=1e-12)


# SiD


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 1.2, 2.0])
def test_sid_moves_the_generator_as_theory_says(alpha: float) -> None:
    got = update(fixed(SiD, alpha=alpha), U0, C)
    torch.testing.assert_close(got, closed_form(U0, C, alpha), **TIGHT)
    other = closed_form(U0, C, alpha + 0.05)  # control
    assert not torch.allclose(got, other, **TIGHT)


def test_sid_with_alpha_one_half_descends_the_fisher_divergence() -> None:
    """Half the exact gradient of `tau^2 F`, in which the critic moves with the generator."""
    half = -0.5 * TAU**2 * gradient(fisher, U0)
    torch.testing.assert_close(update(fixed(SiD, alpha=0.5), U0, C), half, **TIGHT)
    for alpha in (0.4, 1.0):  # control
        assert not torch.allclose(update(fixed(SiD, alpha=alpha), U0, C), half, rtol=1e-2)


def test_the_loss_of_sid_is_negative_beyond_alpha_one() -> None:
    """Its value is `(1 - alpha) tau^2 F`: no measure of progress."""
    for alpha in (0.5, 1.0, 1.2):
        value = bare_loss(fixed(SiD, alpha=alpha), exact(C), exact(U0 @ U0.T), Z @ U0.T)
        torch.testing.assert_close(value, (1 - alpha) * TAU**2 * fisher(U0), **TIGHT)


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2.0])
def test_sid_beyond_alpha_one_repels_what_is_too_wide(alpha: float) -> None:
    """In one dimension the sign flips at `v + tau = alpha / (alpha - 1) (c + tau)`: 6 times for 1.2."""
    c = 0.5
    turn = alpha / (alpha - 1) * (c + TAU) - TAU

    def pull(v: float, alpha: float) -> float:
        root = torch.tensor([[math.sqrt(v)]], dtype=torch.float64)
        cov = torch.tensor([[c]], dtype=torch.float64)
        return float(update(fixed(SiD, alpha=alpha), root, cov, Z[:, :1]))

    assert pull(0.99 * turn, alpha) < 0 < pull(1.01 * turn, alpha)
    assert abs(pull(turn, alpha)) < 1e-9
    assert pull(0.9 * c, alpha) > 0 > pull(1.1 * c, alpha)  # the optimum still attracts
    assert all(pull(v, 1.0) < 0 for v in (turn, 10 * turn, 1000 * turn))  # control: alpha = 1 never repels
    assert turn + TAU == pytest.approx(6 * (c + TAU)) or alpha != 1.2


def test_sid_with_alpha_one_leans_on_the_critic_where_it_is_too_wide() -> None:
    """It pulls back by `2 tau^2 A(B - A)` only: a critic that is off by `2 tau A` in scale turns it round."""
    c, v = torch.tensor([[0.5]], dtype=torch.float64), 16.0
    root = torch.tensor([[math.sqrt(v)]], dtype=torch.float64)

    def pull(alpha: float, scale: float) -> float:
        moving = root.clone().requires_grad_()
        critic = Linear(scale * exact(root @ root.T).matrix)
        loss = bare_loss(fixed(SiD, alpha=alpha), exact(c), critic, Z[:, :1] @ moving.T)
        return -float(torch.autograd.grad(loss, moving)[0])

    off = 1 + 2 * TAU / (v + TAU)
    assert pull(1.0, 1.0) < 0 < pull(1.0, off)
    assert pull(0.75, 1.0) < 0 and pull(0.75, off) < 0  # control: a smaller alpha does not mind
    assert pull(0.75, 1.0) < 4 * pull(1.0, 1.0)


def test_the_optimum_is_stationary() -> None:
    """At `S = C`, and for a lesser rank at the leading eigenvectors of C; nowhere near."""
    values, vectors = torch.linalg.eigh(C)
    best = vectors[:, -K:] * values[-K:].sqrt()
    for distiller in (fixed(SiD, alpha=0.5), fixed(SiD), fixed(SiD, alpha=1.2), fixed(DMD)):
        assert float(update(distiller, best, C).abs().max()) < 1e-9
        assert float(update(distiller, 1.1 * best, C).abs().max()) > 1e-3  # control


# DMD


def test_dmd_descends_the_kl_divergence() -> None:
    """The gradient of KL between the diffused laws, times tau: denoisers differ by tau times scores."""
    got = update(fixed(DMD), U0, C)
    torch.testing.assert_close(got, -TAU * gradient(kl, U0), **TIGHT)
    forward = gradient(lambda U: -torch.logdet(precisions(U, C)[0] @ (C + TAU * EYE)), U0)
    assert not torch.allclose(got, -TAU * forward, rtol=1e-2)  # control
    assert not torch.allclose(got, update(fixed(SiD), U0, C), rtol=1e-2)


def test_dmd_does_not_differentiate_the_networks() -> None:
    """Its gradient with respect to the fakes is the direction itself."""
    u = (Z @ U0.T).requires_grad_()
    teacher, critic = exact(C), exact(U0 @ U0.T)
    loss = bare_loss(fixed(DMD), teacher, critic, u)
    x_t = u.detach() + SIGMA * NOISE
    direction = x_t @ (critic.matrix - teacher.matrix).T
    torch.testing.assert_close(torch.autograd.grad(loss, u)[0] * N, direction, **TIGHT)


# What all have in common

EVERY: dict[str, Distiller] = {name: registry[name]() for name in registry} | {
    "sid and a discriminator": SiD(adversarial=0.5),
    "dmd and a discriminator": DMD(adversarial=0.5),
}


@pytest.fixture(params=EVERY)
def distiller(request: pytest.FixtureRequest) -> Distiller:
    return EVERY[request.param]


def linear_logit(view: View) -> Tensor:
    return view.x_t.sum(1) / 3


def indifferent(view: View) -> Tensor:
    return 0 * view.x_t.sum(1)


class Counting(torch.nn.Module):
    """A denoiser with a parameter, so that stray gradients would show; a discriminator too."""

    sigma_data = 1.0

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale, dtype=torch.float64))
        self.requires_grad_(False)

    def forward(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        return self.scale * x_t

    def logit(self, view: View) -> Tensor:
        return self.scale * view.x_t.sum(1)


@pytest.mark.parametrize("name", registry)
def test_a_loss_has_no_unit(name: str) -> None:
    """Fakes, estimates, levels and the scale of data in another unit: neither loss nor gradient changes."""

    class InUnits(Known):
        def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
            return View(m.y, sigma)

    def loss(unit: float, scale: float | None = None) -> Tensor:
        nets = (Linear(0.5 * EYE, scale or unit), Linear(0.3 * EYE, scale or unit))
        judges = judges_of(*nets, InUnits(), discriminator=indifferent)
        return registry[name]()(judges, fake_of(unit * Z @ U0.T), rng())

    assert loss(1.0).shape == (N,)
    torch.testing.assert_close(loss(3.0), loss(1.0))
    assert name == "gan" or not torch.allclose(loss(3.0, scale=1.0), loss(1.0))  # control


def test_a_perfect_teacher_does_not_divide_by_zero(distiller: Distiller) -> None:
    u = (Z @ U0.T).requires_grad_()

    class Clean(Known):
        def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
            return View(m.y, sigma)

    judges = judges_of(Linear(EYE), Linear(0.9 * EYE), Clean(), discriminator=linear_logit)
    loss = distiller(judges, fake_of(u), rng())
    (slope,) = torch.autograd.grad(loss.sum(), u)
    assert bool(torch.isfinite(loss).all()) and bool(torch.isfinite(slope).all())


def test_gradients_reach_the_generator_only(distiller: Distiller) -> None:
    teacher, critic, discriminator = (Counting(scale) for scale in (0.5, 0.4, 0.3))
    generator = U0.clone().requires_grad_()
    judges = judges_of(teacher, critic, discriminator=discriminator.logit)
    distiller(judges, fake_of(Z @ generator.T), rng()).mean().backward()
    assert generator.grad is not None and bool((generator.grad != 0).any())
    assert all(net.scale.grad is None for net in (teacher, critic, discriminator))


def test_agreement_is_no_force(distiller: Distiller) -> None:
    """Of critic and teacher, where the discriminator sees no difference: but for SDS, which never rests."""
    u = (Z @ U0.T).requires_grad_()

    def slope(critic: Linear, discriminator: Callable[[View], Tensor]) -> float:
        loss = distiller(judges_of(exact(C), critic, discriminator=discriminator), fake_of(u), rng())
        return float(torch.autograd.grad(loss.sum(), u)[0].abs().max())

    at_rest = slope(exact(C), indifferent) < 1e-12
    assert at_rest is not isinstance(distiller, SDS)
    assert slope(exact(2 * C), linear_logit) > 1e-3  # control


def test_only_what_discriminates_asks_a_discriminator(distiller: Distiller) -> None:
    fake, asked = fake_of(Z @ U0.T), []

    def discriminator(view: View) -> Tensor:
        asked.append(view)
        return linear_logit(view)

    distiller(judges_of(exact(C), exact(2 * C), discriminator=discriminator), fake, rng())
    assert bool(asked) is distiller.discriminates
    if distiller.discriminates:
        with pytest.raises(ValueError, match=r"Judges\.discriminator is None"):
            distiller(judges_of(exact(C), exact(2 * C)), fake, rng())
    else:
        distiller(judges_of(exact(C), exact(2 * C)), fake, rng())


def test_fakes_are_judged_at_the_levels_that_are_drawn(distiller: Distiller) -> None:
    seen: list[Tensor] = []

    class Spy(Known):
        def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
            seen.append(sigma)
            return super().view(m, sigma, rng)

    judges, fake = judges_of(exact(C), exact(2 * C), Spy(), 0.3, linear_logit), fake_of(Z @ U0.T)
    distiller(judges, fake, rng(5))
    assert len(seen) == 1 and torch.equal(seen[0], distiller.sigma(judges, fake, rng(5)))


def levels_of(distiller: Distiller, objective: Objective, fake: Fake, sigma_y: float) -> Tensor:
    return distiller.sigma(judges_of(Linear(EYE), Linear(EYE), objective, sigma_y), fake, rng())


@pytest.mark.parametrize("name", registry)
def test_ranges_of_levels(name: str) -> None:
    """All, above and below the noise of the measurements; together above and below are all."""
    corruption, sigma_y = Corruption(Identity(), 0.5), 0.5
    x = normal(3, 20_000, D)
    fake = corruption.fake(x, rng(4), noise=False)
    drawn = {
        r: levels_of(registry[name](levels=r), AmbientTweedie(), fake, sigma_y)
        for r in ("all", "above", "below")
    }
    for sigma in drawn.values():
        assert (
            sigma.shape == (len(x),)
            and min(levels.LOWEST, sigma_y / 10) <= float(sigma.min()) <= float(sigma.max()) <= levels.HIGHEST
        )
    assert float(drawn["above"].min()) >= sigma_y >= float(drawn["below"].max())
    share = float((drawn["all"] > sigma_y).double().mean())
    assert 0.3 < share < 0.8
    upper = drawn["all"][drawn["all"] > sigma_y].log()
    assert float(upper.mean()) == pytest.approx(float(drawn["above"].log().mean()), abs=0.02)
    assert float(upper.mean()) != pytest.approx(float(drawn["below"].log().mean()), abs=0.02)  # control


@pytest.mark.parametrize(("sigma_y", "mean"), [(0.1, -0.5), (0.5, -0.5), (1.0, 0.0), (5.0, math.log(5.0))])
def test_the_mean_of_levels_is_never_below_the_lowest_one(sigma_y: float, mean: float) -> None:
    """Against scipy's truncated normal law; the control has the mean of low noise at high noise."""
    fake = Corruption(Identity(), sigma_y).fake(normal(3, 20_000, D), rng(4), noise=False)
    found = levels_of(SiD(), AmbientTweedie(), fake, sigma_y).double().log()

    def law(mean: float) -> Any:
        ends = [(math.log(s) - mean) / 1.2 for s in (max(sigma_y, levels.LOWEST), levels.HIGHEST)]
        return truncnorm(*ends, mean, 1.2)

    assert kstest(found.numpy(), law(mean).cdf).pvalue > 1e-4
    assert kstest(found.numpy(), law(-0.5 if mean > -0.5 else 0.0).cdf).pvalue < 1e-12  # control


@pytest.mark.parametrize("name", registry)
def test_noisy_fakes_are_seen_from_their_noise_on(name: str) -> None:
    corruption = Corruption(Identity(), 0.5)
    noisy = corruption.fake(normal(3, 5000, D), rng(4))
    sigma = levels_of(registry[name](levels="all"), AmbientTweedie(), noisy, 0.5)
    assert float(sigma.min()) >= 0.5
    assert float(levels_of(registry[name](levels="all"), Standard(), noisy, 0.5).min()) < 0.25  # it adds to y
    with pytest.raises(ValueError, match="has none below sigma_y"):
        levels_of(registry[name](levels="below"), AmbientTweedie(), noisy, 0.5)


@pytest.mark.parametrize("name", registry)
def test_an_empty_range_is_a_reason(name: str) -> None:
    below = registry[name](levels="below")
    assert "sigma_y is 0" in below.supports(Standard(), Corruption(Identity(), 0.0))
    assert below.supports(Standard(), Corruption(Identity(), 0.3)) is None
    for r in ("all", "above"):
        assert registry[name](levels=r).supports(Standard(), Corruption(Identity(), 0.0)) is None
    with pytest.raises(ValueError, match="levels must be one of all, above, below, got 'upper'"):
        registry[name](levels="upper")


def test_a_range_without_real_measurements_is_a_reason(distiller: Distiller) -> None:
    """Below `sigma_y` a discriminator has nothing to compare with, unless noise is part of the data."""
    noisy = Corruption(Identity(), 0.3)
    for r, noise in (("all", False), ("below", False)):
        reason = _with(distiller, levels=r).supports(AmbientTweedie(), noisy, noise=noise)
        assert ("cannot see real measurements" in (reason or "")) is distiller.discriminates
    assert _with(distiller, levels="all").supports(AmbientTweedie(), noisy, noise=True) is None
    assert _with(distiller, levels="above").supports(AmbientTweedie(), noisy) is None
    assert _with(distiller, levels="all").supports(Standard(), noisy) is None


def _with(distiller: Any, **fields: Any) -> Distiller:
    made: Distiller = replace(distiller, **fields)
    return made


# Masks


def masked(distiller: Distiller, u: Tensor, teacher: Tensor, critic: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient with respect to fakes, and the mask that the denoisers were shown."""
    shown: list[Operator | None] = []

    def denoiser(matrix: Tensor) -> Linear:
        class Masked(Linear):
            def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
                shown.append(A)
                return x_t @ self.matrix.T + matrix.sum(1)

        return Masked(matrix)

    def discriminator(view: View) -> Tensor:
        shown.append(view.A)
        return linear_logit(view)

    x = u.clone().requires_grad_()
    fake = Corruption(Inpainting(0.5)).fake(x, rng(1))
    objective = AmbientDiffusion(delta=0.3)
    judges = judges_of(denoiser(teacher), denoiser(critic), objective, discriminator=discriminator)
    (slope,) = torch.autograd.grad(distiller(judges, fake, rng(2)).sum(), x)
    (mask,) = {id(A): A for A in shown}.values()
    assert isinstance(mask, Mask) and isinstance(fake.A, Mask)
    assert bool((mask.mask <= fake.A.mask).all())
    return slope, mask.mask.bool()


def test_nothing_unobserved_contributes(distiller: Distiller) -> None:
    """Fakes feel no force on entries that the denoisers do not see, nor from their values there."""
    u, teacher, critic = normal(5, 200, D), normal(6, D, D), normal(7, D, D)
    slope, seen = masked(distiller, u, teacher, critic)
    assert bool((slope[~seen] == 0).all()) and float((slope[seen] != 0).double().mean()) > 0.9
    elsewhere, _ = masked(distiller, torch.where(seen, u, u + 5), teacher, critic)
    torch.testing.assert_close(elsewhere, slope)
    here, _ = masked(distiller, torch.where(seen, u + 5, u), teacher, critic)  # control
    assert not torch.allclose(here, slope)


@dataclass
class OnMasks:
    """The exact denoiser of N(0, S) on masked, noisy signals; optionally it says more on hidden entries."""

    S: Tensor
    hidden: float = 0.0
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        assert isinstance(A, Mask)
        m = A.mask
        cov = m[:, :, None] * self.S * m[:, None, :] + sigma[:, None, None] ** 2 * torch.eye(len(self.S))
        gain = torch.linalg.solve(cov, x_t[:, :, None])
        return (self.S @ gain)[:, :, 0] + self.hidden * (1 - m)


def test_a_teacher_may_say_anything_of_hidden_entries(distiller: Distiller) -> None:
    x = normal(5, 200, D)
    slopes = []
    for hidden in (0.0, 9.0):
        u = x.clone().requires_grad_()
        fake = Corruption(Inpainting(0.5)).fake(u, rng(1))
        nets = (OnMasks(C, hidden), OnMasks(2 * C))
        judges = judges_of(*nets, AmbientDiffusion(delta=0.3), discriminator=linear_logit)
        slopes.append(torch.autograd.grad(distiller(judges, fake, rng(2)).sum(), u)[0])
    torch.testing.assert_close(slopes[0], slopes[1])
    assert bool((slopes[0] != 0).any())


def test_masked_distillation_is_at_rest_where_the_laws_agree() -> None:
    """Only the whole covariance makes every masked comparison agree, correlations included."""
    x = normal(5, 4000, D) @ torch.linalg.cholesky(C).T
    for critic, rest in ((C, True), (torch.diag(C.diagonal()), False)):
        u = x.clone().requires_grad_()
        fake = Corruption(Inpainting(0.5)).fake(u, rng(1))
        judges = judges_of(OnMasks(C), OnMasks(critic), AmbientDiffusion(delta=0.3))
        (slope,) = torch.autograd.grad(fixed(SiD)(judges, fake, rng(2)).mean(), u)
        assert (float(slope.abs().max()) < 1e-12) is rest
