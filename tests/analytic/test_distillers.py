r"""The generator's losses on linear generators `x = U z`, against closed forms.

With exact teacher and critic both are linear, `f = C B x_t` and `g = S A x_t`, `S = U U^T`,
`A = (S + tau)^-1`, `B = (C + tau)^-1`, `tau = sigma^2`, so that a loss is a quadratic form of latents and
noise. Samples whose second moments are exactly those of the law give its expectation exactly.
The normalisation, which is constant to the gradient, is multiplied out again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from dcdbench.distillers import levels, registry
from dcdbench.distillers.dmd import DMD
from dcdbench.distillers.sid import SiD
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import Identity, IdentityDraw
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.problem import Corruption, Fake, Measurement
from dcdbench.protocols import Denoiser, Distiller, Objective, Operator, View

D, K, N = 4, 3, 64  # signal, latent, samples
SIGMA = 0.75  # a number of float32, as which levels are drawn
TAU = SIGMA**2
EYE = torch.eye(D, dtype=torch.float64)
TIGHT = {"rtol": 1e-6, "atol": 1e-9}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def whitened(k: int, d: int) -> tuple[Tensor, Tensor]:
    """Latents and noise with mean 0 and, exactly, `E zz' = I`, `E nn' = I`, `E zn' = 0`."""
    ones = torch.ones(N, 1, dtype=torch.float64)
    frame = torch.linalg.qr(torch.cat([ones, normal(0, N, k + d)], 1))[0][:, 1:] * math.sqrt(N)
    return frame[:, :k], frame[:, k:]


Z, NOISE = whitened(K, D)
U0 = normal(1, D, K)
ROOT = normal(2, D, D)
C = ROOT @ ROOT.T / D + 0.2 * EYE  # does not commute with U0 U0'


@dataclass
class Linear:
    """A linear denoiser with constant coefficients."""

    matrix: Tensor
    sigma_data: float = 0.5
    seen: list[Tensor] = field(default_factory=list)

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        self.seen.append(sigma)
        return x_t @ self.matrix.T


@dataclass(frozen=True)
class Known(Standard):
    """The standard objective, with a noise that is known."""

    conditional: ClassVar[bool] = False

    def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
        return View(m.y + sigma[:, None] * NOISE[:, : m.y.shape[1]], sigma)


def exact(S: Tensor) -> Linear:
    """The denoiser of N(0, S) at the level of the tests."""
    return Linear(S @ torch.linalg.inv(S + TAU * torch.eye(len(S), dtype=torch.float64)))


def fixed(make: Callable[..., Distiller], **fields: float) -> Distiller:
    """A distiller that draws one level."""
    return make(p_mean=math.log(SIGMA), p_std=1e-12, **fields)


def bare_loss(distiller: Distiller, teacher: Denoiser, critic: Denoiser, u: Tensor) -> Tensor:
    """The loss summed over entries, without its normalisation; the mean over samples."""
    fake = Fake(u, IdentityDraw(), 0.0, u)
    loss = distiller(teacher, critic, Known(), fake, 0.0, rng())
    with torch.no_grad():
        x_t = u + SIGMA * NOISE[:, : u.shape[1]]
        weight = (teacher(x_t, torch.full((len(u),), SIGMA)) - u).abs().mean(1).clamp(min=1e-5)
    return u.shape[1] * (loss * weight).mean()


def update(distiller: Distiller, U: Tensor, teacher_cov: Tensor, latents: Tensor = Z) -> Tensor:
    """Minus the expected gradient with respect to U, for an exact critic with constant coefficients."""
    moving = U.clone().requires_grad_()
    loss = bare_loss(distiller, exact(teacher_cov), exact(U @ U.T), latents @ moving.T)
    return -torch.autograd.grad(loss, moving)[0]


def precisions(U: Tensor, cov: Tensor) -> tuple[Tensor, Tensor]:
    eye = torch.eye(len(cov), dtype=torch.float64)
    return torch.linalg.inv(U @ U.T + TAU * eye), torch.linalg.inv(cov + TAU * eye)


def closed_form(U: Tensor, cov: Tensor, alpha: float) -> Tensor:
    """`tau^2 [A^2 - B^2 + (2 alpha - 1)(A - B)^2] U`."""
    A, B = precisions(U, cov)
    return TAU**2 * (A @ A - B @ B + (2 * alpha - 1) * (A - B) @ (A - B)) @ U


def gradient(of: Callable[[Tensor], Tensor], U: Tensor) -> Tensor:
    moving = U.clone().requires_grad_()
    return torch.autograd.grad(of(moving), moving)[0]


def fisher(U: Tensor) -> Tensor:
    """`E |score of the student - score of the teacher|^2` under the student, at level tau."""
    A, B = precisions(U, C)
    return ((A - B) @ (A - B) @ (U @ U.T + TAU * EYE)).trace()


def kl(U: Tensor) -> Tensor:
    """KL(student || teacher) at level tau."""
    S = U @ U.T + TAU * EYE
    B = torch.linalg.inv(C + TAU * EYE)
    return ((B @ S).trace() - D - torch.logdet(B @ S)) / 2


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


# What both have in common


class Counting(torch.nn.Module):
    """A denoiser with a parameter, so that stray gradients would show."""

    sigma_data = 0.5

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale, dtype=torch.float64))

    def forward(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        return self.scale * x_t


@pytest.fixture(params=list(registry))
def distiller(request: pytest.FixtureRequest) -> Distiller:
    made: Distiller = registry[request.param]()
    return made


def test_the_normalisation_is_a_constant_per_sample(distiller: Distiller) -> None:
    """Fakes and estimates in other units: the loss has their unit, as its weight divides by one of two."""
    fake = Fake(Z @ U0.T, IdentityDraw(), 0.0, Z @ U0.T)
    wide = Fake(3 * fake.x, IdentityDraw(), 0.0, 3 * fake.x)

    class InUnits(Known):
        def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
            v = Known().view(m, 0 * sigma, rng)
            return View(v.x_t, sigma)

    args = (Linear(0.5 * EYE), Linear(0.3 * EYE), InUnits())
    loss, other = (distiller(*args, f, 0.0, rng()) for f in (fake, wide))
    torch.testing.assert_close(other, 3 * loss)
    assert loss.shape == (N,) and not torch.allclose(other, 9 * loss)


def test_a_perfect_teacher_does_not_divide_by_zero(distiller: Distiller) -> None:
    u = (Z @ U0.T).requires_grad_()

    class Clean(Known):
        def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
            return View(m.y, sigma)

    loss = distiller(Linear(EYE), Linear(0.9 * EYE), Clean(), Fake(u, IdentityDraw(), 0.0, u), 0.0, rng())
    (slope,) = torch.autograd.grad(loss.sum(), u)
    assert bool(torch.isfinite(loss).all()) and bool(torch.isfinite(slope).all())


def test_gradients_reach_the_generator_only(distiller: Distiller) -> None:
    teacher, critic = Counting(0.5), Counting(0.4).requires_grad_(False)
    teacher.requires_grad_(False)
    generator = U0.clone().requires_grad_()
    u = Z @ generator.T
    distiller(teacher, critic, Known(), Fake(u, IdentityDraw(), 0.0, u), 0.0, rng()).mean().backward()
    assert generator.grad is not None and bool((generator.grad != 0).any())
    assert teacher.scale.grad is None and critic.scale.grad is None


def test_agreement_of_critic_and_teacher_is_no_force(distiller: Distiller) -> None:
    u = (Z @ U0.T).requires_grad_()
    fake = Fake(u, IdentityDraw(), 0.0, u)

    def slope(critic: Linear) -> Tensor:
        loss = distiller(exact(C), critic, Known(), fake, 0.0, rng())
        return torch.autograd.grad(loss.sum(), u)[0]

    assert float(slope(exact(C)).abs().max()) < 1e-12
    assert float(slope(exact(2 * C)).abs().max()) > 1e-3  # control


def levels_of(distiller: Distiller, objective: Objective, fake: Fake, sigma_y: float) -> Tensor:
    teacher = Linear(0.5 * EYE)
    distiller(teacher, Linear(0.4 * EYE), objective, fake, sigma_y, rng())
    return teacher.seen[0]


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
        assert sigma.shape == (len(x),) and levels.LOWEST <= float(sigma.min()) <= float(sigma.max()) <= 80
    assert float(drawn["above"].min()) >= sigma_y >= float(drawn["below"].max())
    share = float((drawn["all"] > sigma_y).double().mean())
    assert 0.3 < share < 0.8
    upper = drawn["all"][drawn["all"] > sigma_y].log()
    assert float(upper.mean()) == pytest.approx(float(drawn["above"].log().mean()), abs=0.02)
    assert float(upper.mean()) != pytest.approx(float(drawn["below"].log().mean()), abs=0.02)  # control


@pytest.mark.parametrize("name", registry)
def test_noisy_fakes_are_seen_from_their_noise_on(name: str) -> None:
    corruption = Corruption(Identity(), 0.5)
    noisy = corruption.fake(normal(3, 5000, D), rng(4))
    sigma = levels_of(registry[name](levels="all"), AmbientTweedie(), noisy, 0.5)
    assert float(sigma.min()) >= 0.5
    assert float(levels_of(registry[name](levels="all"), Standard(), noisy, 0.5).min()) < 0.1  # it adds to y
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


# Masks


def masked(distiller: Distiller, u: Tensor, teacher: Tensor, critic: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient with respect to fakes, and the mask that the denoisers were shown."""
    shown: list[Mask] = []

    def denoiser(matrix: Tensor) -> Linear:
        class Masked(Linear):
            def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
                assert isinstance(A, Mask)
                shown.append(A)
                return x_t @ self.matrix.T + matrix.sum(1)

        return Masked(matrix)

    x = u.clone().requires_grad_()
    fake = Corruption(Inpainting(0.5)).fake(x, rng(1))
    loss = distiller(denoiser(teacher), denoiser(critic), AmbientDiffusion(delta=0.3), fake, 0.0, rng(2))
    (slope,) = torch.autograd.grad(loss.sum(), x)
    assert isinstance(fake.A, Mask) and all(torch.equal(shown[0].mask, m.mask) for m in shown)
    assert bool((shown[0].mask <= fake.A.mask).all())
    return slope, shown[0].mask.bool()


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
    sigma_data: float = 0.5

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
        objective = AmbientDiffusion(delta=0.3)
        loss = distiller(OnMasks(C, hidden), OnMasks(2 * C), objective, fake, 0.0, rng(2))
        slopes.append(torch.autograd.grad(loss.sum(), u)[0])
    torch.testing.assert_close(slopes[0], slopes[1])
    assert bool((slopes[0] != 0).any())


def test_masked_distillation_is_at_rest_where_the_laws_agree() -> None:
    """Only the whole covariance makes every masked comparison agree, correlations included."""
    x = normal(5, 4000, D) @ torch.linalg.cholesky(C).T
    for critic, rest in ((C, True), (torch.diag(C.diagonal()), False)):
        u = x.clone().requires_grad_()
        fake = Corruption(Inpainting(0.5)).fake(u, rng(1))
        loss = fixed(SiD)(OnMasks(C), OnMasks(critic), AmbientDiffusion(delta=0.3), fake, 0.0, rng(2))
        (slope,) = torch.autograd.grad(loss.mean(), u)
        assert (float(slope.abs().max()) < 1e-12) is rest
