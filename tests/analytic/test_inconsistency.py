"""Consistency below the noise of the data: what has no penalty, what has, and what the estimate is of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture, Law
from dcdbench.diffusion import heun
from dcdbench.networks.edm import Preconditioned
from dcdbench.networks.mlp import MLP
from dcdbench.objectives import consistency
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.consistency import inconsistency, reverse
from dcdbench.operators.identity import Identity
from dcdbench.operators.super_resolution import SuperResolution
from dcdbench.problem import Corruption, Measurement
from dcdbench.protocols import Operator, View

SIGMA_Y, BELOW = 0.6, 0.2
LAW = Gaussian(torch.tensor([0.5, -1.0]), torch.tensor([[1.0, 0.6], [0.6, 0.5]]))
RING = GaussianMixture(
    torch.full((3,), 1 / 3),
    torch.tensor([[1.0, 0.0], [-0.5, 0.9], [-0.5, -0.9]]),
    0.01 * torch.eye(2).expand(3, 2, 2),
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass
class Exact:
    """The exact denoiser of a law, but for a factor below `SIGMA_Y`."""

    law: Law = LAW
    factor: float | Tensor = 1.0
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        factor = torch.where(sigma < SIGMA_Y, torch.as_tensor(self.factor), 1.0).to(x_t)
        return factor[:, None] * self.law.denoise(x_t, sigma)


def start(law: Law, n: int, sigma: float = SIGMA_Y) -> View:
    return View(law.noised(sigma).sample(n, rng(1)), levels(sigma, n))


def levels(sigma: float, n: int) -> Tensor:
    return torch.full((n,), sigma, dtype=torch.float64)


def penalty(denoiser: Exact, n: int = 20_000, steps: int = 3, paths: int = 2) -> Tensor:
    return inconsistency(denoiser, start(denoiser.law, n), levels(BELOW, n), steps, paths, rng(2))


def z_score(values: Tensor, mean: float = 0.0) -> float:
    return float((values.mean() - mean).abs() / values.std()) * math.sqrt(len(values))


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths without noise: those of linear denoisers end at their mean."""
    monkeypatch.setattr(consistency, "randn_like", lambda like, rng: torch.zeros_like(like))


@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.usefixtures("still")
def test_exact_linear_denoisers_are_consistent_to_rounding(steps: int) -> None:
    """With any number of steps, since each keeps the mean."""
    assert float(penalty(Exact(), 100, steps).abs().max()) < 1e-12
    for wrong in (0.9, 1.1):  # control
        assert float(penalty(Exact(factor=wrong), 100, steps).mean()) > 1e-3


def linear(sigma: float, factor: float) -> tuple[Tensor, Tensor]:
    """The denoiser as `W x + b`."""
    W = factor * LAW.cov @ torch.linalg.inv(LAW.noised(sigma).cov)
    return W, factor * LAW.mean - W @ LAW.mean


@pytest.mark.parametrize("paths", [2, 5])
@pytest.mark.parametrize("factor", [1.0, 0.7])
def test_the_estimate_is_unbiased(factor: float, paths: int) -> None:
    """Of the square of the mean error, which is known in one step; not of the mean square."""
    n = 20_000
    got = penalty(Exact(factor=factor), n, steps=1, paths=paths)
    x_t = start(LAW, n).x_t
    D = LAW.denoise(x_t, SIGMA_Y)
    mean = D + (BELOW / SIGMA_Y) ** 2 * (x_t - D)
    W, b = linear(BELOW, factor)
    error = got - (mean @ W.T + b - D).square().mean(1)
    assert z_score(error) < 4.5
    spread = BELOW * math.sqrt(1 - (BELOW / SIGMA_Y) ** 2)
    bias = float((W @ W.T).trace()) * spread**2 / 2 / paths
    assert z_score(error, bias) > 4.5  # control: the square of the mean over paths


def test_exact_denoisers_of_other_laws_are_consistent_with_many_steps() -> None:
    assert z_score(penalty(Exact(RING), 4_000, steps=60)) < 4.5
    assert z_score(penalty(Exact(RING, factor=0.8), 4_000, steps=60)) > 4.5  # control
    assert z_score(penalty(Exact(RING), 4_000, steps=1)) > 4.5  # control: one step is not the posterior


def test_the_deterministic_flow_is_not_consistent() -> None:
    """Control: along the ODE an exact denoiser does not keep its estimate."""
    first = start(LAW, 500)
    path = torch.linspace(SIGMA_Y, BELOW, 200, dtype=torch.float64)
    end = heun(lambda x, s: LAW.denoise(x, s), first.x_t, path)
    gap = (LAW.denoise(end, BELOW) - LAW.denoise(first.x_t, SIGMA_Y)).square().mean()
    assert float(gap) > 0.01


def test_paths_are_draws_from_the_posterior() -> None:
    """Of `x_s` given one `x_t`, for many steps; of its mean for one step too, but not of its spread."""
    n, x_t = 20_000, torch.tensor([[1.0, 0.3]], dtype=torch.float64)
    ratio = (BELOW / SIGMA_Y) ** 2
    clean = LAW.posterior(x_t[0], torch.eye(2), SIGMA_Y)
    mean = (1 - ratio) * clean.mean + ratio * x_t[0]
    cov = (1 - ratio) ** 2 * clean.cov + BELOW**2 * (1 - ratio) * torch.eye(2)

    def errors(steps: int) -> tuple[float, float]:
        end = reverse(Exact(), View(x_t.expand(n, 2), levels(SIGMA_Y, n)), levels(BELOW, n), steps, rng())
        assert torch.equal(end.sigma, levels(BELOW, n))
        of_mean = ((end.x_t.mean(0) - mean).abs() / (cov.diagonal() / n).sqrt()).max()
        of_cov = (end.x_t.T.cov().diagonal() / cov.diagonal() - 1).abs().max() / math.sqrt(2 / n)
        return float(of_mean), float(of_cov)

    many, one = errors(100), errors(1)
    assert max(many) < 4.5 and one[0] < 4.5
    assert one[1] > 4.5  # control


# As a part of the objective


def slopes(objective: AmbientTweedie, factor: float) -> Tensor:
    """Of the loss, along a factor below `SIGMA_Y`: one for each of some batches."""
    found = []
    for seed in range(16):
        m = Corruption(Identity(), SIGMA_Y)(LAW.sample(4_000, rng(seed)), rng(100 + seed))
        moving = torch.tensor(factor, requires_grad=True)
        loss = objective(Exact(factor=moving), m, rng(200 + seed)).mean()
        found.append(torch.autograd.grad(loss, moving)[0])
    return torch.stack(found).double()


def test_consistency_tells_what_is_right_below_the_noise() -> None:
    """The exact denoiser is stationary there, and others are pulled towards it."""
    objective = AmbientTweedie(consistency=1.0)
    assert z_score(slopes(objective, 1.0)) < 4.5
    low, high = slopes(objective, 0.8), slopes(objective, 1.2)
    assert float(low.mean()) < 0 < float(high.mean()) and min(z_score(low), z_score(high)) > 4.5


def test_what_is_said_where_paths_start_is_left_alone() -> None:
    """It is a target: only the estimates below have a gradient."""

    def slope(low: float, high: float) -> float:
        moving = torch.tensor(1.0, requires_grad=True)

        def denoiser(x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
            moved = torch.where((sigma > low) & (sigma < high), moving, 1.1)
            return moved.to(x_t)[:, None] * LAW.denoise(x_t, sigma)

        gap = inconsistency(denoiser, start(LAW, 50), levels(BELOW, 50), 3, 2, rng(2))  # type: ignore[arg-type]
        return float(torch.autograd.grad(gap.sum(), moving)[0])

    assert slope(SIGMA_Y - 0.01, 1.0) == 0
    assert slope(0.0, BELOW + 0.01) != 0  # control
    assert slope(BELOW + 0.01, SIGMA_Y - 0.01) == 0  # nor have the paths


def test_without_it_nothing_below_the_noise_is_trained() -> None:
    m = Corruption(Identity(), SIGMA_Y)(LAW.sample(50, rng()), rng(1))

    def losses(objective: AmbientTweedie) -> tuple[Tensor, Tensor]:
        one, two = (objective(Exact(factor=f), m, rng(2)) for f in (0.5, 1.0))
        return one, two

    plain, aware = losses(AmbientTweedie()), losses(AmbientTweedie(consistency=1.0))
    assert torch.equal(*plain) and not torch.equal(*aware)
    n = -(-50 // 4)
    assert torch.equal(aware[0][n:], plain[0][n:])  # a share of the batch is asked, the same draws else
    assert not torch.equal(aware[0][:n], plain[0][:n])


def test_the_weight_counts_for_the_whole_batch() -> None:
    m = Corruption(Identity(), SIGMA_Y)(LAW.sample(50, rng()), rng(1))
    plain, one, two = (
        AmbientTweedie(consistency=w)(Exact(factor=0.5), m, rng(2)).mean() for w in (0.0, 1.0, 2.0)
    )
    torch.testing.assert_close(two - plain, 2 * (one - plain))
    assert float(one) != float(plain)


def measurements(corruption: Corruption, shape: tuple[int, ...]) -> Measurement:
    return corruption(torch.randn(20, *shape, generator=rng()), rng(1))


WORLDS: dict[str, Callable[[], Measurement]] = {
    "identity": lambda: measurements(Corruption(Identity(), 0.4), (3,)),
    "through A": lambda: measurements(Corruption(SuperResolution(2), 0.4), (1, 4, 4)),
    "little noise": lambda: measurements(Corruption(Identity(), 0.001), (3,)),
}


@pytest.mark.parametrize("world", WORLDS)
def test_gradients_are_finite_and_reach_every_weight(world: str) -> None:
    m = WORLDS[world]()
    net = Preconditioned(MLP(8, 1).build(m.shape, 0, rng()), 0.0, 1.0)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.3, generator=rng(5))
    loss = AmbientTweedie(consistency=1.0)(net, m, rng(2))
    assert loss.shape == (20,) and bool(torch.isfinite(loss).all())
    loss.mean().backward()
    found = [p.grad for p in net.parameters()]
    assert all(g is not None and bool(torch.isfinite(g).all()) for g in found)


@pytest.mark.parametrize("fields", [{"consistency": -1.0}, {"consistency_steps": 0}, {"primes": 1}])
def test_wrong_fields_are_named(fields: dict[str, float]) -> None:
    (name,) = fields
    with pytest.raises(ValueError, match=rf"{name} must be >= \d, got {fields[name]}"):
        AmbientTweedie(**fields)  # type: ignore[arg-type]
