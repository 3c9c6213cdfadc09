"""Score matching at a few levels, and Langevin dynamics: the score and the chain's variance are analytic."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny
import torch
from torch import Tensor, nn

from dcdbench.analytic import Gaussian, GaussianMixture, Law
from dcdbench.methods.ncsn import ScoreNetwork
from dcdbench.networks.exact import ExactDenoiser
from dcdbench.objectives.ncsn import NCSN
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Operator, Setting
from dcdbench.samplers.langevin import Langevin
from dcdbench.streams import Stream

SIGMA_Y = 0.4
LAW = GaussianMixture(
    torch.tensor([0.4, 0.6]),
    torch.tensor([[-1.0, 0.0], [0.8, 0.5]]),
    torch.stack([0.1 * torch.eye(2), torch.tensor([[0.3, 0.1], [0.1, 0.2]])]),
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Nearby(nn.Module):
    """The exact denoiser of a law plus some fields, by weights that are 0."""

    sigma_data = 1.0

    def __init__(self, law: Law) -> None:
        super().__init__()
        self.law, self.weights = law, nn.Parameter(torch.zeros(4, 2, dtype=torch.float64))

    def forward(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        fields = torch.stack([torch.ones_like(sigma), x_t[:, 0], x_t[:, 1].tanh(), sigma], 1)
        return self.law.denoise(x_t, sigma) + fields @ self.weights


def slopes(objective: NCSN, law: Law, n: int = 30_000) -> Tensor:
    """How many standard errors the gradient of the loss at the exact denoiser of `law` is from 0."""
    m = Corruption(Identity(), SIGMA_Y)(LAW.sample(n, rng(1)), rng(2))
    chunks = []
    for k in range(0, n, 500):
        near = Nearby(law)
        objective(near, m[k : k + 500], rng(k)).mean().backward()
        assert near.weights.grad is not None
        chunks.append(near.weights.grad)
    found = torch.stack(chunks)
    return (found.mean(0) / (found.std(0) / len(found) ** 0.5)).abs()


@pytest.mark.parametrize(
    ("objective", "law", "other"),
    [(NCSN(), LAW, LAW.noised(SIGMA_Y)), (NCSN(corrected=False), LAW.noised(SIGMA_Y), LAW)],
    ids=["corrected", "plain"],
)
def test_the_minimiser_is_the_score(objective: NCSN, law: Law, other: Law) -> None:
    assert float(slopes(objective, law).max()) < 4.5
    assert float(slopes(objective, other).max()) > 6  # control


def test_levels_are_geometric_and_above_the_noise() -> None:
    levels = NCSN(levels=7).schedule(SIGMA_Y, 0.5)
    ratios = levels[1:] / levels[:-1]
    torch.testing.assert_close(ratios, ratios[:1].expand(6))
    assert levels[0] == 2.0 and float(levels[-1]) == pytest.approx(1.1 * SIGMA_Y)
    assert float(NCSN(corrected=False).schedule(SIGMA_Y, 0.5)[-1]) == pytest.approx(0.02)
    high = NCSN().schedule(3.0, 0.5)  # noise above the published highest level
    assert float(high[0]) > float(high[-1]) > 3.0


def chain(schedule: Tensor, variances: Tensor, steps: int, step: float) -> Tensor:
    """The variances of the chain, exactly: at each step `v <- (1 - a)^2 v + step sigma^2`."""
    v = torch.full_like(variances, float(schedule[0]) ** 2)
    for sigma in schedule.tolist():
        a = step / 2 * sigma**2 / (variances + sigma**2)
        for _ in range(steps):
            v = (1 - a) ** 2 * v + step * sigma**2
    return v


@pytest.mark.parametrize("corrected", [True, False])
def test_langevin_dynamics_have_the_variance_of_their_chain(corrected: bool) -> None:
    objective = NCSN(corrected, levels=8)
    variances = torch.tensor([1.0, 0.3, 0.05], dtype=torch.float64)
    exact = ExactDenoiser(Gaussian(torch.zeros(3), torch.diag(variances)))
    schedule = objective.schedule(SIGMA_Y, exact.sigma_data)
    problem = tiny.problem(shape=(3,))
    n, found = 4000, {}
    for steps in (2, 60):
        sampler = Langevin(objective, SIGMA_Y, steps=steps, denoise=corrected)
        drawn = sampler.sample(exact, problem, n, rng())
        assert drawn.nfe == 8 * steps + corrected
        v, low = chain(schedule, variances, steps, 0.2), float(schedule[-1])
        gain = variances / (variances + low**2) if corrected else torch.ones(3)
        z = (drawn.x.double().var(0) / (gain**2 * v) - 1) / (2 / n) ** 0.5
        assert float(z.abs().max()) < 4.5
        wanted = variances**2 / (variances + low**2) if corrected else variances + low**2
        found[steps] = float((gain**2 * v / wanted - 1).abs().max())
    assert found[60] < 0.2 and found[2] > 0.5  # few steps do not follow the levels


def setting(kimg: float) -> Setting:
    return Setting(Corruption(Identity(), SIGMA_Y), tiny.SMALL, kimg, kimg, batch=128)


def test_a_training_gives_the_law_that_theory_expects() -> None:
    law = Gaussian(torch.zeros(2), 0.64 * torch.eye(2))
    corruption = setting(1).corruption
    m = corruption(law.sample(4000, rng(1)).float(), rng(2))
    problem = Problem(m, m[:100], corruption, (2,))
    method = ScoreNetwork()
    (phase,) = method.phases(setting(16.0))
    phase = replace(phase, lr=5e-3)
    state = phase.init(problem, None, Stream(0) / "init")
    for k in range(250):
        phase.step(state, problem, Stream(0) / "step" / k)
    x = method.sampler(setting(16.0)).sample(phase.result(state), problem, 3000, rng(3)).x
    wanted = method.expected(law, corruption)
    assert wanted is not None
    target = float(wanted.sample(100_000, rng(4)).var())
    assert float(x.var()) == pytest.approx(target, rel=0.12)
    assert abs(float(m.y.var()) / target - 1) > 0.5  # control: the measurements


def test_what_is_supported() -> None:
    assert ScoreNetwork().supports(Corruption(Inpainting(), 0.1), (2,))
    assert ScoreNetwork(corrected=False).supports(Corruption(Identity()), (2,)) is None
    for wrong in ({"levels": 1}, {"steps": 0}, {"step": 4.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ScoreNetwork(**wrong)  # type: ignore[arg-type]
