"""The exact denoiser of what masks show: against exact posteriors, one by one."""

from __future__ import annotations

import pytest
import torch

from dcdbench.analytic import Gaussian, GaussianMixture, Law
from dcdbench.masked import CHUNK, filled
from dcdbench.networks.exact import ExactDenoiser
from dcdbench.operators.fourier import Fourier
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.inpainting import Inpainting, Mask

COV = torch.tensor([[1.0, 0.8, 0.3], [0.8, 1.2, 0.1], [0.3, 0.1, 0.6]], dtype=torch.float64)
MEANS = torch.tensor([[2.0, 0.0, -1.0], [-1.0, 1.0, 0.5]], dtype=torch.float64)
GAUSSIAN = Gaussian(MEANS[0], COV)
MIXTURE = GaussianMixture(torch.tensor([0.3, 0.7]), MEANS, torch.stack([0.2 * COV, 0.5 * COV]))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn_masks(n: int = 40, d: int = 3) -> torch.Tensor:
    masks = (torch.rand(n, d, generator=rng()) < 0.6).double()
    return masks[masks.sum(1) > 0]


@pytest.mark.parametrize("law", [GAUSSIAN, MIXTURE])
@pytest.mark.parametrize("level", [0.3, 0.01, None])
def test_means_given_what_masks_show_are_those_of_posteriors(law: Law, level: float | None) -> None:
    """One by one, from rows of A that are seen alone; another noise level is another mean."""
    masks = drawn_masks()
    low, high = (0.01, 2.0) if level is None else (level, level)
    sigma = torch.linspace(low, high, len(masks), dtype=torch.float64)
    x = law.noised(0.3).sample(len(masks), rng(1))
    means = filled(law, x, masks, sigma if level is None else level)
    for mean, mask, one, s in zip(means, masks, x, sigma, strict=True):
        seen = torch.eye(3, dtype=torch.float64)[mask > 0]
        exact = law.posterior(seen @ one, seen, float(s))
        torch.testing.assert_close(mean, exact.mean, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(means, filled(law, x, masks, 2 * sigma), atol=1e-3)
    assert torch.allclose(filled(law, x, 0 * masks, sigma), law.mean, atol=1e-9)
    torch.testing.assert_close(filled(law, x, masks.new_ones(x.shape), sigma), law.denoise(x, sigma))


@pytest.mark.parametrize("law", [GAUSSIAN, MIXTURE])
def test_gradients_flow_to_what_is_seen_alone(law: Law) -> None:
    masks = drawn_masks(6)
    x = law.sample(len(masks), rng(1)).requires_grad_()
    sigma = torch.linspace(0.2, 1.0, len(masks))
    assert torch.autograd.gradcheck(lambda x: filled(law, x, masks, sigma), (x,))
    (slope,) = torch.autograd.grad(filled(law, x, masks, sigma).sum(), x)
    assert bool((slope[masks == 0] == 0).all()) and bool((slope[masks > 0] != 0).any())


def test_a_degenerate_law_is_denoised_too() -> None:
    """One direction: a seen entry tells all others."""
    factor = torch.tensor([[1.0], [2.0], [-1.0]], dtype=torch.float64)
    law = Gaussian.from_factor(torch.zeros(3), factor)
    x = law.sample(5, rng())
    got = filled(law, x, torch.tensor([1.0, 0.0, 0.0]).expand(5, 3), 1e-4)
    torch.testing.assert_close(got, x, rtol=1e-6, atol=1e-6)


def test_many_samples_are_denoised_as_few() -> None:
    """Chunks do not show."""
    n = CHUNK // MIXTURE.covs.numel() + 3
    x = MIXTURE.sample(n, rng())
    masks, sigma = Inpainting(0.5).draw((3,), n, rng(1)).mask, torch.linspace(0.1, 3.0, n)
    got = filled(MIXTURE, x, masks, sigma)
    last = filled(MIXTURE, x[-5:], masks[-5:], sigma[-5:])
    torch.testing.assert_close(got[-5:], last, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_exact_denoiser_sees_through_masks_of_images(dtype: torch.dtype) -> None:
    """Channels share a mask; the type is that of the images."""
    cov = torch.eye(8, dtype=torch.float64) + 0.5
    law = Gaussian(torch.arange(8.0), cov)
    x = law.sample(6, rng()).reshape(6, 2, 2, 2).to(dtype)
    A = Inpainting(0.5).draw((2, 2, 2), 6, rng(1)).to(dtype=dtype)
    sigma = torch.linspace(0.1, 1.0, 6)
    got = ExactDenoiser(law)(A(x), sigma, A)
    assert got.shape == x.shape and got.dtype == dtype
    expected = filled(law, x.flatten(1).double(), A.mask.expand(6, 2, 2, 2).flatten(1), sigma)
    torch.testing.assert_close(got.flatten(1), expected.to(dtype))


@pytest.mark.parametrize("A", [GaussianBlur(), Fourier()])
def test_it_does_not_see_through_other_operators(A: GaussianBlur | Fourier) -> None:
    draw = A.draw((2, 4, 4), 3, rng())
    law = Gaussian(torch.zeros(32), torch.eye(32))
    x = torch.randn(3, 2, 4, 4, generator=rng())
    with pytest.raises(ValueError, match=r"seen through masks, and .* is none"):
        ExactDenoiser(law)(x, torch.ones(3), draw)
    assert ExactDenoiser(law)(x, torch.ones(3), Mask(torch.ones(3, 1, 4, 4))).shape == x.shape
