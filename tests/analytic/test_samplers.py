"""Samplers: where they start and stop, what they call, and what exact denoisers give."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian
from dcdbench.diffusion import heun
from dcdbench.methods.ideal import PosteriorMean
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.operators.matrix import Matrix
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Operator
from dcdbench.samplers.heun import Heun
from dcdbench.samplers.observed import Observed
from dcdbench.samplers.one_step import OneStep, generate
from dcdbench.samplers.restored import Restored

LAW = Gaussian(torch.zeros(2), torch.tensor([[1.0, 0.3], [0.3, 0.4]]))
SIGMA_Y = 0.5
N = 20_000


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(corruption: Corruption, n: int = 200) -> Problem:
    x = LAW.sample(n, rng()).float()
    return Problem(corruption(x, rng(1)), corruption(x[:20], rng(2)), corruption, (2,))


NOISY = problem(Corruption(Identity(), SIGMA_Y))
MASKED = problem(Corruption(Inpainting(0.6)))


@dataclass
class Exact:
    """The exact denoiser of a law, which notes what it is called with."""

    law: Gaussian = LAW
    sigma_data: float = 0.5
    levels: list[float] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    draws: list[Operator | None] = field(default_factory=list)

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        self.levels.append(float(sigma[0]))
        self.inputs.append(x_t)
        self.draws.append(A)
        return self.law.denoise(x_t, sigma)


def covariance_error(x: Tensor, cov: Tensor) -> float:
    """The greatest deviation of the empirical covariance, in its own standard errors."""
    found = x.double().T @ x.double() / len(x)
    error = ((cov.diagonal()[:, None] * cov.diagonal() + cov**2) / len(x)).sqrt()
    return float(((found - cov) / error).abs().max())


def test_full_sampling_gives_the_law_of_the_denoiser() -> None:
    sampler = Heun(AmbientTweedie(), "full", SIGMA_Y, steps=40)
    drawn = sampler.sample(Exact(), NOISY, N, rng())
    assert covariance_error(drawn.x, LAW.cov) < 4.5
    noisy = LAW.noised(SIGMA_Y).cov
    assert covariance_error(drawn.x, noisy) > 10  # control


def test_truncated_sampling_gives_posterior_means_at_the_lowest_level() -> None:
    """The law of `E[x | x + sigma_y n]`: narrower than the clean law in every direction."""
    sampler = Heun(AmbientTweedie(), "truncated", SIGMA_Y, steps=40)
    drawn = sampler.sample(Exact(), NOISY, N, rng())
    gain = LAW.cov @ torch.linalg.inv(LAW.noised(SIGMA_Y).cov)
    assert covariance_error(drawn.x, gain @ LAW.cov) < 4.5
    assert covariance_error(PosteriorMean(LAW, SIGMA_Y).sample(N, rng()), gain @ LAW.cov) < 4.5
    assert covariance_error(drawn.x, LAW.cov) > 10  # control


@pytest.mark.parametrize("steps", [2, 7, 18])
def test_full_sampling_ends_below_every_level_and_counts_its_calls(steps: int) -> None:
    denoiser = Exact()
    drawn = Heun(AmbientTweedie(), "full", SIGMA_Y, steps).sample(denoiser, NOISY, 3, rng())
    assert denoiser.levels[0] == pytest.approx(40) and denoiser.levels[-1] == pytest.approx(0.002)
    assert drawn.nfe == len(denoiser.levels) == 2 * steps - 1


@pytest.mark.parametrize("steps", [2, 7, 18])
def test_truncated_sampling_ends_at_exactly_the_lowest_level_trained(steps: int) -> None:
    denoiser = Exact()
    drawn = Heun(AmbientTweedie(), "truncated", SIGMA_Y, steps).sample(denoiser, NOISY, 3, rng())
    assert denoiser.levels[-1] == SIGMA_Y == pytest.approx(min(denoiser.levels))
    assert drawn.nfe == len(denoiser.levels) == 2 * (steps - 1) + 1
    torch.testing.assert_close(drawn.x, LAW.denoise(denoiser.inputs[-1], SIGMA_Y))


def test_truncation_is_full_sampling_for_an_objective_that_trains_every_level() -> None:
    """Up to the last step: it stops at sigma_min and denoises, as full sampling does."""
    full, truncated = (
        Heun(Standard(), mode, 0.0).sample(Exact(), NOISY, 5, rng()).x for mode in ("full", "truncated")
    )
    torch.testing.assert_close(full, truncated)


def test_the_start_has_the_width_of_the_greatest_level() -> None:
    denoiser = Exact()
    Heun(Standard(), "full", 0.0, steps=2).sample(denoiser, NOISY, N, rng())
    assert covariance_error(denoiser.inputs[0], 40.0**2 * torch.eye(2, dtype=torch.float64)) < 4.5


def test_a_conditional_denoiser_keeps_one_mask_for_the_whole_trajectory() -> None:
    denoiser = Exact()
    Heun(AmbientDiffusion(sampling_delta=0.4), "full", 0.0, steps=5).sample(denoiser, MASKED, 4000, rng())
    masks = [A.mask for A in denoiser.draws if isinstance(A, Mask)]
    assert len(masks) == len(denoiser.inputs) == 9
    assert all(torch.equal(masks[0], mask) for mask in masks)
    for mask, x in zip(masks, denoiser.inputs, strict=True):
        assert bool((x[mask == 0] == 0).all())  # it is shown nothing else
    assert float(masks[0].mean()) == pytest.approx(0.6 * 0.6, abs=0.03)  # kept twice


def test_one_step_is_one_call_at_the_level_of_the_input() -> None:
    denoiser = Exact()
    drawn = OneStep(AmbientTweedie(), 5.0).sample(denoiser, NOISY, N, rng())
    assert drawn.nfe == 1 and denoiser.levels == [2.5] and denoiser.draws == [None]
    assert covariance_error(denoiser.inputs[0], 2.5**2 * torch.eye(2, dtype=torch.float64)) < 4.5
    gain = LAW.cov @ torch.linalg.inv(LAW.noised(2.5).cov)
    assert covariance_error(drawn.x, 2.5**2 * gain @ gain.T) < 4.5


def test_a_generator_is_differentiable_but_samples_are_not() -> None:
    scale = torch.tensor(1.0, requires_grad=True)

    def generator(x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        return scale * x_t

    generator.sigma_data = 0.5  # type: ignore[attr-defined]
    x = generate(generator, Standard(), NOISY, 5, 2.0, "seen", rng())  # type: ignore[arg-type]
    assert x.requires_grad
    drawn = OneStep(Standard(), 2.0).sample(generator, NOISY, 5, rng()).x  # type: ignore[arg-type]
    assert not drawn.requires_grad and torch.equal(drawn, x)


def test_a_masked_generator_sees_latents_through_fresh_masks() -> None:
    denoiser = Exact()
    generate(denoiser, AmbientDiffusion(sampling_delta=0.4), MASKED, 4000, 5.0, "seen", rng())
    (A,) = denoiser.draws
    assert isinstance(A, Mask) and bool((denoiser.inputs[0][A.mask == 0] == 0).all())
    assert float(A.mask.mean()) == pytest.approx(0.36, abs=0.03)


def test_a_masked_generator_may_see_all_of_its_latents() -> None:
    denoiser = Exact()
    generate(denoiser, AmbientDiffusion(sampling_delta=0.4), MASKED, N, 5.0, "full", rng())
    assert isinstance(denoiser.draws[0], Mask) and bool((denoiser.inputs[0] != 0).all())
    assert covariance_error(denoiser.inputs[0], 2.5**2 * torch.eye(2, dtype=torch.float64)) < 4.5


# Measurements in another space than signals


@dataclass
class Completes:
    """`E[x | y_t]` of a Gaussian law for `y_t = A x + sigma n`, told of it by `A.back(y_t)`."""

    law: Gaussian
    rows: Tensor  # A, (m, d)
    sigma_data: float = 0.5
    inputs: list[Tensor] = field(default_factory=list)  # (B, m)

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        assert A is not None
        m = len(self.rows)
        y_t = x_t.double() @ torch.linalg.pinv(A[:m].back(torch.eye(m)).double())
        self.inputs.append(y_t)
        noisy = self.rows @ self.law.cov @ self.rows.T + float(sigma[0]) ** 2 * torch.eye(m)
        return (y_t @ torch.linalg.solve(noisy, self.rows @ self.law.cov)).to(x_t.dtype)


ROWS = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]], dtype=torch.float64)
LAW3 = Gaussian(torch.zeros(3), torch.tensor([[1.0, 0.3, 0.1], [0.3, 0.4, 0.0], [0.1, 0.0, 0.7]]))


def apart() -> Problem:
    corruption = Corruption(Matrix(entries=((1.0, 0.5, 0.0), (0.0, 1.0, -1.0))))
    x = LAW3.sample(50, rng()).float()
    return Problem(corruption(x, rng(1)), corruption(x[:20], rng(2)), corruption, (3,))


def test_through_an_operator_sampling_runs_among_measurements() -> None:
    """What is denoised has the law of `A x`; the sample is the last estimate of the signal, `E[x | A x]`."""
    denoiser = Completes(LAW3, ROWS)
    drawn = Heun(Standard(), "full", 0.0, steps=40).sample(denoiser, apart(), N, rng())
    law = LAW3.affine(ROWS)
    assert covariance_error(drawn.x.double() @ ROWS.T, law.cov) < 4.5
    complete = LAW3.cov @ ROWS.T @ torch.linalg.inv(law.cov)
    torch.testing.assert_close(drawn.x.double(), drawn.x.double() @ ROWS.T @ complete.T, rtol=0, atol=2e-3)
    assert covariance_error(drawn.x, LAW3.cov) > 10  # control: what A does not show is a mean, no sample
    assert covariance_error(denoiser.inputs[0], 40.0**2 * torch.eye(2, dtype=torch.float64)) < 4.5


def test_restored_samples_are_measurements_brought_back() -> None:
    inner = Heun(Standard(), "full", 0.0, steps=5)
    drawn, plain = (s.sample(Exact(), NOISY, 6, rng()) for s in (Restored(inner), inner))
    assert drawn.nfe == plain.nfe and torch.equal(drawn.x, plain.x)  # the identity is its own inverse


@pytest.mark.parametrize("n", [1, 150, 200, 501])
def test_observed_gives_training_measurements_and_repeats_them_evenly(n: int) -> None:
    drawn = Observed().sample(None, NOISY, n, rng())
    assert drawn.nfe == 0 and drawn.x.shape == (n, 2)
    places = [int((NOISY.train.y == row).all(1).nonzero()) for row in drawn.x]
    counts = torch.tensor(places).bincount(minlength=200)
    assert int(counts.max()) - int(counts.min()) <= 1 and int(counts.max()) == math.ceil(n / 200)


def test_observed_brings_masked_measurements_back_by_the_pseudo_inverse() -> None:
    """For a mask that is the measurement itself, zeros included: each one once."""
    drawn = Observed().sample(None, MASKED, 200, rng()).x
    assert sorted(drawn.tolist()) == sorted(MASKED.train.y.tolist()) and bool((drawn == 0).any())


@pytest.mark.parametrize(
    "sampler", [Heun(AmbientTweedie(), "full", SIGMA_Y), OneStep(Standard(), 5.0), Observed()]
)
def test_samples_depend_on_the_generator_alone(sampler: Heun | OneStep | Observed) -> None:
    before = torch.get_rng_state()
    a, b, c = (sampler.sample(Exact(), NOISY, 6, rng(seed)).x for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)
    assert a.shape == (6, 2) and a.dtype == torch.float32


@pytest.mark.parametrize(("mode", "sigma_y"), [("full", 0.0), ("truncated", 0.5)])
def test_twelve_steps_from_nearby_err_no_more_than_eighteen_from_afar(mode: Any, sigma_y: float) -> None:
    """The variances that the flow arrives at, exactly: Heun's map of a Gaussian is linear."""
    variances = torch.tensor([2.0, 1.0, 0.3, 0.1], dtype=torch.float64)

    def error(steps: int, top: float) -> Tensor:
        sampler = Heun(AmbientTweedie(), mode, sigma_y, steps, sigma_max=top)
        levels = sampler.levels(1.0)
        start = levels[0] * torch.ones(1, 4, dtype=torch.float64)
        end = heun(lambda x, sigma: x * variances / (variances + sigma**2), start, levels)
        return (end.square() / (variances + levels[-1] ** 2) - 1).abs().amax()

    assert error(12, 20.0) < 1.5 * error(18, 80.0)
    assert error(9, 80.0) > 3 * error(18, 80.0)  # control: fewer steps alone
