r"""The other losses against closed forms: linear models as in `linear`, and one dimension by quadrature.

In one dimension a generator `x = a z + b` meets a teacher of a mixture. A grid of latents and noise,
whose weights are normal densities, gives expectations to rounding: the integrands are smooth, and
vanish at the ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

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
    N,
    Z,
    exact,
    fake_of,
    fixed,
    gradient,
    judges_of,
    kl,
    precisions,
    rng,
    update,
)
from torch import Tensor

from dcdbench.analytic import GaussianMixture
from dcdbench.distillers.diff_instruct import DiffInstruct
from dcdbench.distillers.dmd import DMD
from dcdbench.distillers.f_distill import Divergence, FDistill
from dcdbench.distillers.gan import GAN
from dcdbench.distillers.levels import look
from dcdbench.distillers.sds import SDS
from dcdbench.distillers.sid import SiD
from dcdbench.distillers.sim import SiM
from dcdbench.distillers.terms import teacher_error
from dcdbench.problem import Fake
from dcdbench.protocols import Distiller, Judges, Operator, View

# One dimension

GRID = torch.linspace(-12, 12, 241, dtype=torch.float64)
NORMAL = torch.exp(-(GRID**2) / 2) / math.sqrt(2 * math.pi) * (GRID[1] - GRID[0])
LATENT, NOISES = (t.reshape(-1, 1) for t in torch.meshgrid(GRID, GRID, indexing="ij"))
WEIGHTS = (NORMAL[:, None] * NORMAL).reshape(-1)
LINE = torch.linspace(-16, 16, 2001, dtype=torch.float64)
REAL = GaussianMixture(
    torch.tensor([0.4, 0.6]), torch.tensor([[-1.0], [1.2]]), torch.tensor([[[0.3]], [[0.5]]])
)
THETA = torch.tensor([0.9, 0.4], dtype=torch.float64)  # the generator's scale and location


def log_fake(x: Tensor, theta: Tensor) -> Tensor:
    """The log-density of diffused fakes."""
    var = theta[0] ** 2 + TAU
    return -((x - theta[1]) ** 2) / (2 * var) - torch.log(2 * math.pi * var) / 2


def log_real(x: Tensor) -> Tensor:
    return REAL.log_prob(x.reshape(-1, 1), SIGMA)


@dataclass
class Exact:
    """The teacher, or with parameters the exact critic of fakes; `part` of the way from one to the other."""

    theta: Tensor | None = None
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        if self.theta is None:
            return REAL.denoise(x_t, SIGMA)
        a, b = self.theta
        return b + a**2 / (a**2 + TAU) * (x_t - b)


def log_ratio(view: View) -> Tensor:
    """The optimal discriminator."""
    return log_real(view.x_t) - log_fake(view.x_t[:, 0], THETA)


def on_nodes(theta: Tensor) -> tuple[Judges, Fake]:
    """Exact judges, and a fake at each node."""
    judges = judges_of(Exact(), Exact(THETA), Known(noise=NOISES), discriminator=log_ratio)
    return judges, fake_of(theta[0] * LATENT + theta[1])


def pull(distiller: Distiller, scale: Callable[[Judges, Fake], Any] = lambda judges, fake: 1.0) -> Tensor:
    """The gradient of the expected loss with respect to the generator, per sample times a scale."""
    theta = THETA.clone().requires_grad_()
    judges, fake = on_nodes(theta)
    loss = distiller(judges, fake, rng()) * scale(judges, fake)
    return torch.autograd.grad((WEIGHTS * loss).sum(), theta)[0]


def errors(judges: Judges, fake: Fake) -> Tensor:
    """What a normalised loss was divided by."""
    seen = look(judges, fake, torch.full((len(fake),), SIGMA).to(fake.y), rng(), grad=False)
    return teacher_error(seen)


def integral(of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The gradient of the integral of a function of the two log-densities, fake and real."""
    step = LINE[1] - LINE[0]
    return gradient(lambda theta: of(log_fake(LINE, theta), log_real(LINE)).sum() * step, THETA)


def kl_of(p: Tensor, q: Tensor) -> Tensor:
    return p.exp() * (p - q)


def test_the_nodes_are_exact() -> None:
    x_t = (0.9 * LATENT + 0.4 + SIGMA * NOISES)[:, 0]
    moments = [float((WEIGHTS * x_t**k).sum()) for k in range(3)]
    assert moments == pytest.approx([1, 0.4, 0.4**2 + 0.9**2 + TAU], abs=1e-12)
    assert float((log_real(LINE).exp() * (LINE[1] - LINE[0])).sum()) == pytest.approx(1, abs=1e-12)


# SiM


@pytest.mark.parametrize("levels", ["all", "above"])
def test_sim_with_the_squared_distance_is_sid_with_alpha_one(levels: Any) -> None:
    u = (Z @ U0.T).requires_grad_()
    judges, fake = judges_of(exact(C), exact(U0 @ U0.T), sigma_y=0.3), fake_of(u)
    loss, same, other = (
        d(judges, fake, rng(3))
        for d in (
            SiM(levels, huber=None),
            SiD(levels, alpha=1.0),
            SiD(levels, alpha=0.9),
        )  # the last is a control
    )
    torch.testing.assert_close(loss, same, rtol=1e-12, atol=1e-12)
    slopes = [torch.autograd.grad(t.sum(), u)[0] for t in (loss, same, other)]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(loss, other) and not torch.allclose(slopes[0], slopes[2])


def distance(y: Tensor, huber: float, sigma_data: float = 1.0) -> Tensor:
    """The pseudo-Huber distance of `y`, `(B, d)`, whose constant grows with the norm of data."""
    c = huber * sigma_data * math.sqrt(y.shape[1])
    return (y.square().sum(1) + c**2).sqrt() - c


def test_sim_takes_the_slope_of_the_pseudo_huber_distance() -> None:
    """`-d'(g - f)^T (g - u)`, per root of the number of entries."""
    u = Z @ U0.T
    judges, x_t = judges_of(exact(C), exact(U0 @ U0.T)), u + SIGMA * NOISE
    g, sigma = judges.critic(x_t, torch.full((N,), SIGMA)), torch.full((N,), SIGMA)
    y = (g - judges.teacher(x_t, sigma)).requires_grad_()
    for huber, other in ((0.1, 0.2), (1.0, 2.0)):
        slopes = [torch.autograd.grad(distance(y, h).sum(), y)[0] for h in (huber, other)]
        wanted, control = (-(slope * (g - u)).sum(1) / math.sqrt(D) for slope in slopes)
        loss = fixed(SiM, huber=huber)(judges, fake_of(u), rng())
        torch.testing.assert_close(loss, wanted)
        assert not torch.allclose(loss, control)


@pytest.mark.parametrize("huber", [0.3, 3.0])
def test_sim_descends_the_score_divergence_of_samples_that_stay(huber: float) -> None:
    """The gradient of `E d(g - f)` through the critic alone, although no critic is differentiated."""
    x_t = 0.9 * LATENT + 0.4 + SIGMA * NOISES  # fixed

    def divergence(theta: Tensor, h: float = huber) -> Tensor:
        y = Exact(theta)(x_t, SIGMA * torch.ones(1)) - Exact()(x_t, SIGMA * torch.ones(1))
        return (WEIGHTS * distance(y, h)).sum()

    got = pull(fixed(SiM, huber=huber))
    torch.testing.assert_close(got, gradient(divergence, THETA), **TIGHT)
    assert not torch.allclose(
        got, gradient(lambda t: divergence(t, 1.1 * huber), THETA), rtol=1e-3
    )  # controls
    assert not torch.allclose(got, pull(fixed(SiM, huber=None)), rtol=1e-3)


def test_huber_is_positive() -> None:
    with pytest.raises(ValueError, match="huber must be > 0, or null for the squared distance, got 0"):
        SiM(huber=0.0)


# Reverse KL without normalisation, and without entropy


def test_diff_instruct_descends_the_kl_divergence() -> None:
    """With weight 1 in the form of denoisers: tau times the gradient."""
    got = update(fixed(DiffInstruct), U0, C, normalised=False)
    torch.testing.assert_close(got, -TAU * gradient(kl, U0), **TIGHT)
    assert not torch.allclose(got, -gradient(kl, U0), rtol=1e-2)  # control: the weight
    assert not torch.allclose(got, update(fixed(DMD), U0, C, normalised=False), rtol=1e-2)
    torch.testing.assert_close(pull(fixed(DiffInstruct)), TAU * integral(kl_of), **TIGHT)


def cross_entropy(U: Tensor) -> Tensor:
    """`-E log p(x_t)` of the student under the teacher's law, but for a constant."""
    return (precisions(U, C)[1] @ (U @ U.T)).trace() / 2


def test_sds_descends_the_kl_divergence_without_its_entropy() -> None:
    got = update(fixed(SDS), U0, C)
    torch.testing.assert_close(got, -TAU * gradient(cross_entropy, U0), **TIGHT)

    def entropy(U: Tensor) -> Tensor:
        return torch.logdet(U @ U.T + TAU * EYE) / 2

    both = gradient(kl, U0) + gradient(entropy, U0)
    torch.testing.assert_close(got, -TAU * both, **TIGHT)
    assert not torch.allclose(got, -TAU * gradient(kl, U0), rtol=1e-2)  # control
    mixture = TAU * integral(lambda p, q: -p.exp() * q)
    torch.testing.assert_close(pull(fixed(SDS), errors), mixture, **TIGHT)


def test_sds_collapses() -> None:
    """Its flow shrinks every direction for ever; that of DMD arrives at the teacher."""
    values, vectors = torch.linalg.eigh(C)
    best = vectors[:, -K:] * values[-K:].sqrt()
    for make, rests in ((SDS, False), (DMD, True)):
        U = best.clone()
        for _ in range(300):
            U = U + 0.2 * update(fixed(make), U, C)
        assert (float((U.T @ U).trace()) > 0.99 * float(values[-K:].sum())) is rests
        assert (float(U.abs().max()) < 1e-2) is not rests


# f-divergences


def convex(name: str, s: Tensor) -> Tensor:
    """`f(r)` at `log r = s`, with the constant that belongs to `h`."""
    r = s.exp()
    return {
        "rkl": -s,
        "kl": r * s,
        "js": r * s - (1 + r) * (torch.log1p(r) - math.log(2)),
        "hellinger": 4 * (1 - (s / 2).exp()),
        "softened_rkl": (1 + r) * (torch.log1p(r) - math.log(2) - s),
        "jeffreys": (r - 1) * s,
        "neyman": (1 - r) ** 2 / (2 * r),
    }[name]


def divergence(name: str) -> Tensor:
    return integral(lambda p, q: p.exp() * convex(name, q - p))


def weighted(distiller: FDistill) -> Callable[[Judges, Fake], Tensor]:
    """What undoes both normalisations."""

    def scale(judges: Judges, fake: Fake) -> Tensor:
        view = judges.objective.view(fake, torch.full((len(fake),), SIGMA).to(fake.y), rng())
        return errors(judges, fake) * distiller.weight(judges, view).mean()

    return scale


@pytest.mark.parametrize("name", get_args(Divergence))
def test_f_distillation_descends_its_divergence(name: Any) -> None:
    """With the exact ratio: tau times the gradient of `E_fake[f(real / fake)]`, by another quadrature."""
    unclipped = {"ratio_low": 1e-60, "ratio_high": 1e60}
    distiller = fixed(FDistill, divergence=name, **unclipped)
    got = pull(distiller, weighted(distiller))
    torch.testing.assert_close(got, TAU * divergence(name), **TIGHT)
    for other in set(get_args(Divergence)) - {name}:  # control: they differ in direction too
        assert float(torch.cosine_similarity(got, divergence(other), dim=0)) < 1 - 1e-6
        assert not torch.allclose(got, TAU * divergence(other), rtol=1e-3)


def test_f_distillation_has_the_divergences_that_it_names() -> None:
    named = {
        "kl": lambda p, q: kl_of(q, p),
        "rkl": kl_of,
        "jeffreys": lambda p, q: kl_of(p, q) + kl_of(q, p),
        "js": lambda p, q: 2 * jensen_shannon(p, q),
        "softened_rkl": lambda p, q: 2 * kl_of(middle(p, q), q),
        "hellinger": lambda p, q: 2 * ((p / 2).exp() - (q / 2).exp()) ** 2,
        "neyman": lambda p, q: (p.exp() - q.exp()) ** 2 / (2 * q.exp()),
    }
    assert named.keys() == set(get_args(Divergence))
    for name, of in named.items():
        torch.testing.assert_close(integral(of), divergence(name), **TIGHT)


def middle(p: Tensor, q: Tensor) -> Tensor:
    return torch.logaddexp(p, q) - math.log(2)


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    return (kl_of(p, middle(p, q)) + kl_of(q, middle(p, q))) / 2


def test_weights_have_mean_one_and_are_bounded() -> None:
    judges, fake = on_nodes(THETA)
    plain = DMD()(judges, fake, rng())
    some = plain != 0

    def weights(low: float, high: float) -> Tensor:
        loss = FDistill(divergence="kl", ratio_low=low, ratio_high=high)(judges, fake, rng())
        return (loss / plain)[some]

    assert float(weights(0.5, 2.0).mean()) == pytest.approx(1, abs=1e-3)
    assert float(weights(0.5, 2.0).max() / weights(0.5, 2.0).min()) == pytest.approx(4)
    assert float(weights(0.1, 20.0).max() / weights(0.1, 20.0).min()) > 30  # control


@pytest.mark.parametrize("name", get_args(Divergence))
def test_without_a_difference_every_divergence_is_that_of_dmd(name: Any) -> None:
    fake = fake_of(Z @ U0.T)
    judges = judges_of(exact(C), exact(U0 @ U0.T), discriminator=lambda v: 0 * v.x_t.sum(1) + 0.3)
    torch.testing.assert_close(FDistill(divergence=name)(judges, fake, rng()), DMD()(judges, fake, rng()))


def test_what_f_distillation_refuses() -> None:
    with pytest.raises(ValueError, match=r"divergence must be one of rkl, .* got 'tv'"):
        FDistill(divergence="tv")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"0 < ratio_low < ratio_high, got 2\.0 and 1\.0"):
        FDistill(ratio_low=2.0, ratio_high=1.0)


# Adversarial


def test_the_gan_with_its_optimal_discriminator_descends_kl_less_two_js() -> None:
    """Theorem 2.5 of Arjovsky and Bottou (2017), https://arxiv.org/abs/1701.04862."""
    got = pull(fixed(GAN))
    wanted = integral(lambda p, q: kl_of(p, q) - 2 * jensen_shannon(p, q))
    torch.testing.assert_close(got, wanted, **TIGHT)
    for control in (kl_of, jensen_shannon):
        assert not torch.allclose(got, integral(control), rtol=1e-2)


@pytest.mark.parametrize("make", [SiD, DMD])
def test_an_adversarial_term_is_added(make: Any) -> None:
    judges, fake = on_nodes(THETA)
    plain, adversarial = make()(judges, fake, rng()), GAN()(judges, fake, rng())
    torch.testing.assert_close(make(adversarial=0.7)(judges, fake, rng()), plain + 0.7 * adversarial)
    assert not torch.allclose(
        make(adversarial=0.6)(judges, fake, rng()), plain + 0.7 * adversarial
    )  # control
    assert (make().discriminates, make(adversarial=0.7).discriminates) == (False, True)
    with pytest.raises(ValueError, match="adversarial must be >= 0, got -1"):
        make(adversarial=-1.0)


@pytest.mark.parametrize("make", [SiD, DMD])
def test_the_gradients_of_both_terms_add_up(make: Any) -> None:
    def slope(weight: float) -> Tensor:
        return pull(fixed(make, adversarial=weight))

    torch.testing.assert_close(slope(0.7), slope(0.0) + 0.7 * pull(fixed(GAN)), **TIGHT)
    assert not torch.allclose(slope(0.7), slope(0.0), rtol=1e-2)  # control
