"""The modes of mixtures: closed forms for modes far apart, an unbiased law for those that overlap."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2, multivariate_normal
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture
from dcdbench.metrics.modes import Modes, radius_of
from dcdbench.operators.identity import Identity
from dcdbench.problem import Corruption, Reference

WEIGHTS = torch.tensor([0.1, 0.2, 0.3, 0.4])


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixture(dim: int, apart: float, seed: int = 0) -> GaussianMixture:
    """Four modes with covariances of their own, on the first axis, `apart` units from each other."""
    means = torch.zeros(4, dim)
    means[:, 0] = apart * torch.arange(4.0)
    factors = 0.3 * torch.randn(4, dim, dim, generator=generator(seed), dtype=torch.float64)
    return GaussianMixture(WEIGHTS, means, factors @ factors.mT + 0.5 * torch.eye(dim, dtype=torch.float64))


def score(x: Tensor, law: GaussianMixture | Gaussian, radius: float | None = None) -> dict[str, float]:
    corruption = Corruption(Identity())
    found = Reference(None, corruption(x[:2], generator(0)), corruption, law)
    return Modes(radius)(x, found, generator(0))


@pytest.mark.parametrize("dim", [1, 2, 16])
@pytest.mark.parametrize("radius", [3.0, None])
def test_clean_data_are_near_a_mode_by_the_law_of_chi_squared(dim: int, radius: float | None) -> None:
    n, law = 20_000, mixture(dim, 200.0)
    expected = chi2.cdf((radius or radius_of(dim)) ** 2, dim)
    found = score(law.sample(n, generator(1)), law, radius)
    error = math.sqrt(expected * (1 - expected) / n)
    assert abs(found["near_modes"] - expected) < 4 * error
    wide = score(1.2 * (law.sample(n, generator(1)) - law.mean) + law.mean, law, radius)
    assert wide["near_modes"] < expected - 4 * error  # control


def test_the_radius_is_three_in_two_dimensions() -> None:
    assert radius_of(2) == pytest.approx(3, rel=1e-12)
    held = [chi2.cdf(radius_of(d) ** 2, d) for d in (1, 2, 5, 64)]
    assert held == pytest.approx([held[0]] * 4)
    assert radius_of(1) < 3 < radius_of(3)


@pytest.mark.parametrize("lost", range(4))
def test_a_dropped_mode_costs_its_weight(lost: int) -> None:
    """With as many draws of each other mode as its weight says, there is no noise: modes are far apart."""
    law = mixture(3, 500.0)
    counts = (1000 * WEIGHTS / (1 - WEIGHTS[lost]) * 9).round().int().tolist()
    parts = [
        Gaussian(law.means[k], law.covs[k]).sample(count, generator(k))
        for k, count in enumerate(counts)
        if k != lost
    ]
    rounding = 4 / sum(counts)
    found = score(torch.cat(parts), law)["mode_weights"]
    assert found == pytest.approx(WEIGHTS[lost].item(), abs=rounding)
    assert score(law.sample(9000, generator(9)), law)["mode_weights"] < WEIGHTS[lost] / 2  # control


def test_weights_are_unbiased_where_modes_overlap() -> None:
    """Shares of the most probable mode are not: their error stays, however many draws there are."""
    n, law = 100_000, mixture(2, 1.5)
    x = law.sample(n, generator(3))
    p = law.responsibilities(x)
    errors = p.std(0) / math.sqrt(n)
    assert ((p.mean(0) - law.weights).abs() < 4 * errors).all()
    assert score(x, law)["mode_weights"] < 2 * errors.sum().item()  # half the sum of four errors each
    hard = torch.bincount(p.argmax(1), minlength=4) / n
    assert (hard - law.weights).abs().sum() / 2 > 4 * errors.sum()  # control


def test_distances_and_probabilities_are_those_of_scipy() -> None:
    law = mixture(3, 1.0)
    x = law.sample(20, generator(0))
    centred = (x[:, None] - law.means).numpy()
    inverse = np.linalg.inv(law.covs.numpy())
    squared = np.einsum("nki,kij,nkj->nk", centred, inverse, centred)
    torch.testing.assert_close(law.mahalanobis(x), torch.from_numpy(squared).sqrt())
    densities = [multivariate_normal(m, c).pdf(x) for m, c in zip(law.means, law.covs, strict=True)]
    joint = law.weights.numpy()[:, None] * np.stack(densities)
    torch.testing.assert_close(law.responsibilities(x), torch.from_numpy(joint / joint.sum(0)).mT)


def test_only_mixtures_with_densities_have_modes() -> None:
    x = torch.zeros(3, 2)
    corruption = Corruption(Identity())
    test = corruption(x, generator(0))
    flat = GaussianMixture(torch.ones(2) / 2, torch.eye(2), torch.zeros(2, 2, 2))
    reasons = [
        Modes().supports(Reference(x, test, corruption, law))
        for law in (None, Gaussian(torch.zeros(2), torch.eye(2)), flat, mixture(2, 1.0))
    ]
    assert [bool(reason) for reason in reasons] == [True, True, True, False]
    assert len(set(reasons)) == 4
    for radius in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="radius"):
            Modes(radius)
