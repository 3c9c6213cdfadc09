"""The Sinkhorn divergence: its exact laws, POT's value, and the closed form for Gaussians."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import xlogy
from torch import Tensor

from dcdbench.linalg import sqrtm
from dcdbench.metrics.sinkhorn import Sinkhorn, entropic_cost, self_cost, sinkhorn_divergence
from dcdbench.metrics.w2 import empirical_w2
from dcdbench.operators.identity import Identity
from dcdbench.problem import Corruption, Reference

SEEDS = st.integers(0, 10_000)
EPS = st.floats(0.2, 20.0)


def points(seed: int, n: int, d: int = 3) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair(seed: int, n: int = 60, m: int = 50) -> tuple[Tensor, Tensor]:
    return points(seed, n), 1.3 * points(seed + 1, m) + 0.4


@settings(max_examples=15)
@given(SEEDS, EPS)
def test_equal_samples_are_at_zero_and_only_those(seed: int, eps: float) -> None:
    x, y = pair(seed)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    assert sinkhorn_divergence(x, x[order], eps) == pytest.approx(0, abs=1e-7 * eps)
    assert entropic_cost(x, x, eps) > 0.01  # control: without debiasing
    assert sinkhorn_divergence(x, y, eps) > 0.05


@settings(max_examples=15)
@given(SEEDS, EPS)
def test_a_sample_is_at_the_squared_length_of_its_shift(seed: int, eps: float) -> None:
    x, shift = points(seed, 60), points(seed + 1, 1)
    assert sinkhorn_divergence(x, x + shift, eps) == pytest.approx(
        shift.square().sum().item(), rel=1e-5, abs=1e-7 * eps
    )


@settings(max_examples=10)
@given(SEEDS, EPS)
def test_symmetries(seed: int, eps: float) -> None:
    x, y = pair(seed)
    rotation = torch.linalg.qr(points(seed + 2, 3)).Q
    value = sinkhorn_divergence(x, y, eps)
    assert sinkhorn_divergence(y, x, eps) == pytest.approx(value, rel=1e-5)
    assert sinkhorn_divergence(x @ rotation - 5, y @ rotation - 5, eps) == pytest.approx(value, rel=1e-5)
    assert sinkhorn_divergence(3 * x, 3 * y, 9 * eps) == pytest.approx(9 * value, rel=1e-5)
    assert sinkhorn_divergence(x, y @ rotation, eps) != pytest.approx(value, rel=1e-5)  # control


def test_between_w2_and_the_distance_of_means() -> None:
    x, y = pair(0, 100, 100)
    w2, means = empirical_w2(x, y) ** 2, (x.mean(0) - y.mean(0)).square().sum().item()
    assert sinkhorn_divergence(x, y, 0.01) == pytest.approx(w2, rel=0.01)
    assert sinkhorn_divergence(x, y, 1e4) == pytest.approx(means, rel=0.01)
    assert w2 > 1.5 * means  # control: the two differ


@settings(max_examples=8)
@given(SEEDS, EPS)
def test_the_self_cost_is_the_cost_to_oneself(seed: int, eps: float) -> None:
    x = points(seed, 60)
    assert self_cost(x, eps) == pytest.approx(entropic_cost(x, x, eps), rel=1e-5)


def pot_parts(x: Tensor, y: Tensor, eps: float) -> tuple[float, float]:
    """POT's transport cost, and the KL of its plan."""
    import ot

    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    cost = ot.dist(x.numpy(), y.numpy())
    plan = ot.bregman.sinkhorn_log(a, b, cost, eps, numItermax=3000, stopThr=1e-8, warn=False)
    return (plan * cost).sum(), xlogy(plan, plan * len(x) * len(y)).sum()


@pytest.mark.parametrize("eps", [1.0, 4.0, 20.0])
def test_agrees_with_pot(eps: float) -> None:
    """POT's divergence is that of transport costs; with their KL terms it is ours."""
    import ot

    x, y = pair(3)
    parts = [pot_parts(x, y, eps), pot_parts(x, x, eps), pot_parts(y, y, eps)]
    assert entropic_cost(x, y, eps) == pytest.approx(parts[0][0] + eps * parts[0][1], rel=1e-6)
    cost, kl = (xy - (xx + yy) / 2 for xy, xx, yy in zip(*parts, strict=True))
    theirs = ot.bregman.empirical_sinkhorn_divergence(
        x.numpy(), y.numpy(), eps, stopThr=1e-8, numIterMax=3000, warn=False
    )
    assert theirs == pytest.approx(cost, rel=1e-4)
    assert sinkhorn_divergence(x, y, eps) == pytest.approx(theirs + eps * kl, rel=1e-4)
    assert abs(eps * kl) > 1e-3 * theirs  # control: the KL terms count


def gaussian_cost(a: Tensor, b: Tensor, shift: float, eps: float) -> float:
    """OT of normal laws, centred but for a shift (Janati et al., 2020), https://arxiv.org/abs/2006.02572."""
    eye = torch.eye(len(a), dtype=torch.float64)
    s = eps / 2  # their regularisation is 2 s times the KL
    d = sqrtm(4 * sqrtm(a) @ b @ sqrtm(a) + s**2 * eye)
    traces = a.trace() + b.trace() - d.trace()
    return (shift**2 + traces + len(a) * s * (1 - math.log(2 * s)) + s * torch.logdet(d + s * eye)).item()


def gaussian_divergence(a: Tensor, b: Tensor, shift: float, eps: float) -> float:
    own = gaussian_cost(a, a, 0, eps) + gaussian_cost(b, b, 0, eps)
    return gaussian_cost(a, b, shift, eps) - own / 2


def test_quantiles_of_normal_laws_are_at_the_closed_form() -> None:
    """Equidistant quantiles in place of draws leave only the error of the grid."""
    u = (torch.arange(800, dtype=torch.float64) + 0.5) / 800
    z = torch.special.ndtri(u)[:, None]
    a, b = torch.eye(1).double(), 4 * torch.eye(1).double()
    for eps in (0.3, 2.0):
        assert entropic_cost(z, 2 * z + 1, eps) == pytest.approx(gaussian_cost(a, b, 1, eps), rel=5e-3)
        expected = gaussian_divergence(a, b, 1, eps)
        assert sinkhorn_divergence(z, 2 * z + 1, eps) == pytest.approx(expected, rel=5e-3)
    assert gaussian_divergence(a, b, 1, 3.0) != pytest.approx(expected, rel=5e-3)  # control


def test_draws_of_normal_laws_are_at_the_closed_form() -> None:
    """Within the Monte Carlo error of ten repetitions; full covariances, that do not commute."""
    mix = points(0, 3)
    a, b = torch.diag(torch.tensor([1.0, 0.5, 0.2])).double(), mix @ mix.T / 3
    eps, n = 1.0, 400

    def value(i: int) -> float:
        x, y = points(10 + i, n) @ sqrtm(a), points(50 + i, n) @ sqrtm(b)
        return sinkhorn_divergence(x, y + 1 / math.sqrt(3), eps)

    values = torch.tensor([value(i) for i in range(10)])
    error = values.std().item() / math.sqrt(len(values)) + 2 / n  # that of the mean, and the bias
    assert abs(values.mean().item() - gaussian_divergence(a, b, 1, eps)) < 4 * error
    assert abs(values.mean().item() - gaussian_divergence(a, a, 1, eps)) > 4 * error  # control


@pytest.mark.parametrize(("scale", "shift"), [(100.0, 0.0), (1.0, 1e4), (0.0, 3.0), (1e3, 1e5)])
def test_samples_far_or_wide_beyond_measure_have_a_value(scale: float, shift: float) -> None:
    x, y = scale * points(0, 150) + shift, points(1, 150)
    value = sinkhorn_divergence(x, y, 0.3)
    assert value == pytest.approx(empirical_w2(x, y) ** 2, rel=0.03)


def reference(clean: Tensor) -> Reference:
    corruption = Corruption(Identity(), 0.1)
    return Reference(clean, corruption(clean, torch.Generator().manual_seed(0)), corruption)


def score(x: Tensor, clean: Tensor, reg: float = 0.05, limit: int = 2000) -> float:
    return Sinkhorn(reg, limit)(x, reference(clean), torch.Generator().manual_seed(0))["sinkhorn"]


def test_the_metric_follows_the_unit_of_the_data() -> None:
    x, y = pair(5)
    assert score(10 * x, 10 * y) == pytest.approx(100 * score(x, y), rel=1e-5)
    spread = 2 * y.var(0, correction=0).sum().item()
    assert score(x, y, reg=0.1) == pytest.approx(sinkhorn_divergence(x, y, 0.1 * spread), rel=1e-9)


def test_no_more_than_the_limit_are_compared() -> None:
    x, y = pair(6, 300, 300)
    assert score(x, y, limit=50) != pytest.approx(score(x, y), rel=1e-3)
    assert score(x, y, limit=300) == score(x, y)


def test_refuses() -> None:
    for field, wrong in (("reg", 0.0), ("reg", 1e-3), ("limit", 0)):
        with pytest.raises(ValueError, match=f"{field} must be"):
            Sinkhorn(**{field: wrong})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="all equal"):
        score(points(0, 5), torch.ones(4, 3))
    assert Sinkhorn().supports(reference(torch.ones(1, 3))) == "needs 2 clean samples, has 1"
