"""The KL metric and its entropy estimate, against closed forms and quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture
from dcdbench.metrics.kl import KL, entropy
from dcdbench.operators.identity import Identity
from dcdbench.problem import Corruption, Reference


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def reference(clean: Tensor, law: object = None) -> Reference:
    corruption = Corruption(Identity(), 0.2)
    return Reference(clean, corruption(clean, generator(99)), corruption, law)


@pytest.mark.parametrize("d", [1, 2])
def test_entropy_is_that_of_scipy(d: int) -> None:
    from scipy.stats import multivariate_normal

    x = 3 * normal(0, 20_000, d)
    exact = multivariate_normal(np.zeros(d), 9 * np.eye(d)).entropy()
    assert entropy(x, 5) == pytest.approx(float(exact), abs=0.03)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("variance", [1.0, 1.44, 0.5])
def test_kl_reaches_its_closed_form(d: int, variance: float) -> None:
    law = Gaussian(torch.zeros(d), torch.eye(d))
    exact = d / 2 * (variance - 1 - math.log(variance))
    found = [
        KL()(
            (variance**0.5 * normal(seed, 4000, d)).float(),
            reference(torch.zeros(2, d), law=law),
            generator(0),
        )["kl"]
        for seed in range(5)
    ]
    se = np.std(found, ddof=1) / len(found) ** 0.5
    assert np.mean(found) == pytest.approx(exact, abs=4 * se + 0.02)
    far = d / 2 * (4 - 1 - math.log(4))
    assert np.mean(found) != pytest.approx(far, abs=4 * se + 0.02)  # control: another variance


def test_kl_of_a_mixture_is_that_of_quadrature() -> None:
    law = GaussianMixture(
        torch.tensor([0.3, 0.7]), torch.tensor([[-2.0], [1.0]]), torch.tensor([[[0.25]], [[1.0]]])
    )
    noisy = law.noised(0.7)
    grid = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    p, q = noisy.log_prob(grid), law.log_prob(grid)
    exact = torch.trapezoid(p.exp() * (p - q), grid[:, 0]).item()
    x = noisy.sample(20_000, generator(0)).float()
    assert KL()(x, reference(x[:5], law=law), generator(0))["kl"] == pytest.approx(exact, abs=0.04)


def test_kl_of_collapsed_samples_is_large_and_finite() -> None:
    law = Gaussian(torch.zeros(2), torch.eye(2))
    x = normal(0, 2000, 2).float()
    few = reference(x, law=law)
    honest = KL()(x, few, generator(0))["kl"]
    pairs = KL()(torch.cat([x[:1000], x[:1000]]), few, generator(0))["kl"]
    atoms = KL()(x[:20].repeat(100, 1), few, generator(0))["kl"]
    still = KL()(torch.zeros(2000, 2), few, generator(0))["kl"]
    assert abs(honest) < 0.1 and honest < pairs < 1.5  # two copies of each: about log 2 of entropy lost
    assert 10 < atoms < still < 1000


def test_kl_says_why_it_is_not_offered() -> None:
    x = torch.zeros(4, 3)
    assert "no law" in (KL().supports(reference(x)) or "")
    assert "2 dimensions" in (KL().supports(reference(x, law=Gaussian(torch.zeros(3), torch.eye(3)))) or "")
    thin = Gaussian(torch.zeros(2), torch.diag(torch.tensor([1.0, 0.0])))
    assert "degenerate" in (KL().supports(reference(x, law=thin)) or "")
    assert KL().supports(reference(x, law=thin.noised(0.1))) is None
