"""GSURE: its minimiser in closed form, among linear denoisers of a Gaussian."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import tiny
import torch
from torch import Tensor, nn

from dcdbench.analytic import Gaussian
from dcdbench.methods.gsure import GSUREDiffusion
from dcdbench.objectives.divergence import divergence
from dcdbench.objectives.gsure import GSURE, project, projects
from dcdbench.operators.fourier import Fourier
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.mri import MRI
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Denoiser, Operator, Setting
from dcdbench.streams import Stream

D, KEEP, LEVEL, SIGMA_Y = 3, 0.6, 0.7, 0.4
COV = torch.tensor([[1.0, 0.7, 0.3], [0.7, 1.2, -0.2], [0.3, -0.2, 0.8]], dtype=torch.float64)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Linear(nn.Module):
    sigma_data = 1.0

    def __init__(self, W: Tensor) -> None:
        super().__init__()
        self.W = nn.Parameter(W.clone())

    def forward(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        return x_t @ self.W.mT


def closed_form(keep: float = KEEP) -> Tensor:
    """The linear `W` that minimises `E |P (W x_t - x)|^2`: row `i` is least squares given `P_i = 1`."""
    rows = []
    for i in range(D):
        p = torch.full((D,), keep, dtype=torch.float64)
        p[i] = 1.0
        seen = torch.outer(p, p) * COV
        seen.diagonal().copy_(p * COV.diagonal() + LEVEL**2)
        rows.append(torch.linalg.solve(seen, p * COV[i]))
    return torch.stack(rows)


def slopes(W: Tensor, objective: GSURE, claimed: float = SIGMA_Y, n: int = 40_000) -> Tensor:
    """How many standard errors the gradient at `W` is from 0."""
    x = Gaussian(torch.zeros(D), COV).sample(n, rng(1))
    m = Corruption(Inpainting(KEEP), SIGMA_Y)(x, rng(2))
    m = Measurement(m.y, m.A, claimed, m.shape)
    chunks = []
    for k in range(0, n, 1000):
        net = Linear(W)
        objective(net, m[k : k + 1000], rng(k)).mean().backward()
        assert net.W.grad is not None
        chunks.append(net.W.grad)
    found = torch.stack(chunks)
    return (found.mean(0) / (found.std(0) / len(found) ** 0.5)).abs()


@dataclass(frozen=True)
class WithoutDivergence(GSURE):
    """Control: the masked error alone, which is biased under noise."""

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        sigma = torch.full((len(m),), LEVEL).to(m.y)
        out = denoiser(self.view(m, sigma, rng).x_t, sigma)
        return (project(m.A, out) - m.y).square().flatten(1).sum(1)


AT_LEVEL = {"p_mean": math.log(LEVEL), "p_std": 1e-4}


def test_the_minimiser_among_linear_denoisers_is_the_closed_form() -> None:
    assert float(slopes(closed_form(), GSURE(**AT_LEVEL)).max()) < 4.5
    assert float(slopes(closed_form(), WithoutDivergence(**AT_LEVEL)).max()) > 8  # controls
    assert float(slopes(closed_form(keep=1.0), GSURE(**AT_LEVEL)).max()) > 8


def test_with_all_entries_seen_the_closed_form_is_the_posterior_mean() -> None:
    torch.testing.assert_close(closed_form(1.0), COV @ torch.linalg.inv(COV + LEVEL**2 * torch.eye(D)))


@pytest.mark.parametrize("law", [Inpainting(0.5), Fourier(acceleration=2.0)], ids=["pixels", "lines"])
@pytest.mark.parametrize("sigma_y", [0.0, 0.3])
def test_views_are_what_was_measured_in_white_noise(law: Inpainting | Fourier, sigma_y: float) -> None:
    """`x_t - P x` is white, of the level asked for, whatever the mask."""
    n, shape = 4000, (2, 4, 4)
    x = torch.ones(n, *shape, dtype=torch.float64)
    m = Corruption(law, sigma_y)(x, rng())
    v = GSURE().view(m, torch.full((n,), 0.5, dtype=torch.float64), rng(1))
    noise = (v.x_t - project(m.A, x)).flatten(1)
    cov = noise.mT @ noise / n
    assert float((cov - 0.25 * torch.eye(32)).abs().max()) < 5 * 0.25 * (2 / n) ** 0.5
    hidden = (v.x_t - m.A.back(m.y)).flatten(1)  # control: less is added where something was measured
    assert sigma_y == 0 or float(hidden.var()) < 0.25 * 0.95


def test_the_divergence_is_the_trace_of_the_jacobian() -> None:
    W = torch.randn(D, D, generator=rng(), dtype=torch.float64)
    x = torch.randn(20_000, D, generator=rng(1), dtype=torch.float64)
    v = torch.randn(20_000, D, generator=rng(2), dtype=torch.float64)
    out, slope = divergence(lambda x: x @ W.mT, x, v)
    torch.testing.assert_close(out.detach(), x @ W.mT)
    torch.testing.assert_close(slope, (v @ W * v).sum(1))
    assert float(slope.mean() - W.trace()) / float(slope.std() / 20_000**0.5) < 4


def test_only_masks_that_project_are_supported() -> None:
    assert projects(Inpainting()) and projects(Fourier()) and not projects(MRI())
    assert GSURE().supports(Corruption(MRI())) and GSURE().supports(Corruption(Identity(), 0.1))
    assert GSURE().supports(Corruption(Fourier())) is None
    assert GSUREDiffusion("truncated").supports(Corruption(Inpainting()), (D,))


def test_a_training_learns_what_is_missing() -> None:
    """Samples have the spread of signals and how they go together, by half at least of what is missing.

    The measurements, with zeros for what is missing, have neither.
    """
    x = Gaussian(torch.zeros(D), COV).sample(4000, rng(1)).float()
    corruption = Corruption(Inpainting(0.8), 0.2)
    problem = Problem(corruption(x, rng(2)), corruption(x[:100], rng(3)), corruption, (D,))
    given = Setting(corruption, tiny.SMALL, 20.0, 12.0, batch=128)
    method = GSUREDiffusion("truncated", lr=3e-3)  # few steps
    (phase,) = method.phases(given)
    state = phase.init(problem, None, Stream(0) / "init")
    for k in range(250):
        phase.step(state, problem, Stream(0) / "step" / k)
    drawn = method.sampler(given).sample(phase.result(state), problem, 3000, rng(4)).x
    y = problem.train.y

    def widths(of: Tensor) -> float:
        return float((of.var(0) / x.var(0)).log().abs().max())

    def together(of: Tensor) -> float:
        return float((of.T.corrcoef() - x.T.corrcoef()).abs()[0, 1])

    assert widths(drawn) < widths(y) / 2 and together(drawn) < together(y) / 2
    assert widths(y) > 0.1 and together(y) > 0.1  # control: there is something to learn
