"""Strong sampling of teachers: what changes nothing when it is off, and what keeps the law when it is on."""

from __future__ import annotations

import pytest
import tiny
import torch
from torch import Tensor, nn

from dcdbench.analytic import Gaussian
from dcdbench.methods.ambient import Ambient
from dcdbench.methods.teacher import Teacher
from dcdbench.networks.exact import ExactDenoiser
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Operator, Setting
from dcdbench.samplers.churn import Churned
from dcdbench.samplers.guided import Guided, Seen
from dcdbench.samplers.heun import Heun

COV = torch.tensor([[1.0, 0.8, 0.3], [0.8, 1.2, 0.1], [0.3, 0.1, 0.6]])
MASKS = Corruption(Inpainting(0.7))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class ThroughMasks(nn.Module):
    """`E[x | A x + sigma A n, A]` of a Gaussian, with an error that depends on the mask."""

    sigma_data = 1.0

    def __init__(self, error: float = 0.0) -> None:
        super().__init__()
        self.error = error

    def forward(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        assert A is not None
        mask = A.condition()
        assert mask is not None
        seen = mask[:, :, None] * COV * mask[:, None] + torch.diag_embed(sigma[:, None] ** 2 + 0 * mask)
        cross = COV * mask[:, None]
        exact = (cross @ torch.linalg.solve(seen, (mask * x_t)[..., None]))[..., 0]
        return exact + self.error * (mask.sum(1, keepdim=True) - 2) * (mask * x_t).tanh()


@pytest.fixture(scope="module")
def masked() -> Problem:
    return tiny.problem(MASKS, (3,))


@pytest.mark.parametrize("mode", ["full", "truncated"])
def test_without_guidance_it_is_the_sampler_with_a_fixed_mask(masked: Problem, mode: str) -> None:
    plain = Heun(AmbientDiffusion(), mode, 0.0).sample(ThroughMasks(), masked, 200, rng())  # type: ignore[arg-type]
    guided = Guided(AmbientDiffusion(), mode, 0.0, guidance=0.0).sample(ThroughMasks(), masked, 200, rng())  # type: ignore[arg-type]
    torch.testing.assert_close(guided.x, plain.x, rtol=1e-3, atol=1e-3)
    assert guided.nfe == plain.nfe


def test_guidance_makes_masks_agree(masked: Problem) -> None:
    """At the same state, the gradient lowers the disagreement of the estimates."""
    sampler = Guided(AmbientDiffusion(), "full", 0.0, guidance=0.05, draws=3)
    net, seen = ThroughMasks(0.3), Seen(ThroughMasks(0.3))
    A, x = MASKS.operator.draw((3,), 500, rng(1)), torch.randn(500, 3, generator=rng(2))
    pull = sampler._pull(seen, x, 0.5, A, masked, rng(3))

    def apart(x: Tensor) -> float:
        random = rng(3)
        sigma = torch.full((500,), 0.5)
        others = [AmbientDiffusion().draw(MASKS, (3,), 500, random) for _ in range(3)]
        own = net(A.back(A(x)), sigma, A)
        return sum(float((own - net(B.back(B(x)), sigma, B)).square().sum()) for B in others)

    assert apart(x - 0.05 * pull) < apart(x) < apart(x + 0.05 * pull)
    drawn = sampler.sample(net, masked, 20, rng())
    assert drawn.nfe == Heun(AmbientDiffusion(), "full", 0.0).sample(net, masked, 20, rng()).nfe + 18 * 4
    assert bool(torch.isfinite(drawn.x).all()) and not drawn.x.requires_grad


def test_guidance_needs_a_denoiser_that_is_shown_masks(masked: Problem) -> None:
    with pytest.raises(ValueError, match="shown A"):
        Guided(Standard(), "full", 0.0).sample(ThroughMasks(), masked, 5, rng())


LAW = Gaussian(torch.zeros(3), COV)


def spread(**more: float) -> tuple[Tensor, int]:
    sampler = Churned(Standard(), "full", 0.0, steps=30, **more)  # type: ignore[arg-type]
    drawn = sampler.sample(ExactDenoiser(LAW), tiny.problem(shape=(3,)), 6000, rng())
    return drawn.x.double().var(0) / COV.diagonal().double(), drawn.nfe


def test_fresh_noise_keeps_the_law_of_an_exact_denoiser() -> None:
    z = 4.5 * (2 / 6000) ** 0.5
    ratio, nfe = spread(churn=10.0, inflated=1.0)
    assert float((ratio - 1).abs().max()) < z + 0.03  # the method has steps of its own
    wide, _ = spread(churn=10.0, inflated=1.5)  # control
    assert float(wide.min()) > 1.1
    assert nfe == 59


def test_without_fresh_noise_it_is_heuns_method() -> None:
    made = tiny.problem(shape=(3,))
    plain = Heun(Standard(), "full", 0.0).sample(ExactDenoiser(LAW), made, 50, rng())
    churned = Churned(Standard(), "full", 0.0, churn=0.0).sample(ExactDenoiser(LAW), made, 50, rng())
    assert torch.equal(churned.x, plain.x) and churned.nfe == plain.nfe
    other = Churned(Standard(), "full", 0.0, churn=5.0).sample(ExactDenoiser(LAW), made, 50, rng())
    assert not torch.allclose(other.x, plain.x)


def test_longer_is_longer_and_nothing_else() -> None:
    given = Setting(Corruption(Identity(), 0.2), tiny.SMALL, 3.0, 2.0)
    assert Ambient(longer=0.0).phases(given) == Teacher().phases(given)  # and so they share the training
    assert [phase.kimg for phase in Ambient().phases(given)] == [5.0]
    assert Ambient(longer=0.0).sampler(given) == Teacher().sampler(given)


def test_what_is_supported() -> None:
    noisy = Corruption(Identity(), 0.2)
    assert Ambient(guidance=0.1).supports(noisy, (3,))
    assert Ambient(guidance=0.1).supports(MASKS, (3,)) is None
    assert Ambient(churn=3.0).supports(noisy, (3,)) is None
    with pytest.raises(ValueError, match="churn must be 0"):
        Ambient(churn=1.0, guidance=1.0)
    with pytest.raises(ValueError, match="longer"):
        Ambient(longer=-1.0)
