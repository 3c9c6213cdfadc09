"""The likelihood of held-out measurements: against scipy, closed forms, and orders that it must find."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from torch import Tensor

from dcdbench.metrics.measurement_likelihood import MeasurementLikelihood, log_density
from dcdbench.noises.poisson import Poisson
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.super_resolution import SuperResolution
from dcdbench.problem import Corruption, Measurement, Reference

D = 4


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(n: int, seed: int, std: float = 1.0) -> Tensor:
    return std * torch.randn(n, D, generator=rng(seed), dtype=torch.float64)


def by_scipy(x: Tensor, m: Measurement) -> np.ndarray:
    """One measurement and one sample at a time, in the entries that were measured."""
    rows = []
    for i in range(len(m)):
        one = m[i : i + 1]
        kept = one.A.restrict(torch.ones_like(one.y))[0] > 0
        logs = [
            multivariate_normal(one.A(each[None])[0][kept].numpy(), m.sigma_y**2).logpdf(
                one.y[0][kept].numpy()
            )
            for each in x
        ]
        rows.append(logsumexp(logs) - math.log(len(x)))
    return np.array(rows)


@pytest.mark.parametrize(
    "operator",
    [
        Identity(),
        GaussianBlur(size=3, std=0.7),
        Inpainting(keep=0.5),
        SuperResolution(2, "nearest", "random"),
    ],
)
def test_density_is_that_of_a_mixture_around_the_corrupted_samples(operator: object) -> None:
    corruption = Corruption(operator, 0.3)  # type: ignore[arg-type]
    m, x = corruption(normal(6, 0), rng(1)), normal(5, 2)
    found = log_density(x, m, same=not corruption.operator.random)
    assert found.numpy() == pytest.approx(by_scipy(x, m), rel=1e-9, abs=1e-9)
    assert log_density(x, m, same=False).numpy() == pytest.approx(found.numpy(), rel=1e-9, abs=1e-9)


def test_many_samples_of_a_gaussian_have_its_density() -> None:
    """In one dimension, against the exact density of `y`; the control has samples of another width."""
    y = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    m = Measurement(y, Identity().draw((1,), 9, rng(0)), 0.5, (1,))
    x = torch.tensor(norm.ppf((np.arange(20_000) + 0.5) / 20_000))[:, None]
    exact = norm(0, math.sqrt(1.25)).logpdf(y[:, 0].numpy())
    assert log_density(x, m, same=True).numpy() == pytest.approx(exact, abs=1e-4)
    assert np.abs(log_density(1.2 * x, m, same=True).numpy() - exact).max() > 0.05


def reference(
    operator: object = Identity(), sigma_y: float = 0.5, n: int = 2000, **more: object
) -> Reference:
    corruption = Corruption(operator, sigma_y, **more)  # type: ignore[arg-type]
    return Reference(None, corruption(normal(n, 3), rng(4)), corruption)


def test_the_law_of_the_data_scores_best_and_narrower_or_wider_ones_worse() -> None:
    """By far more than the noise of a difference that all share: the bounds are exact divergences.

    For widths `s`: $KL(N(0, v_1) | N(0, v_s))$ per entry, with $v_s = s^2 + 0.25$.
    """
    for operator in (Identity(), Inpainting(keep=0.5)):
        known = reference(operator)
        score = {
            s: MeasurementLikelihood(2000)(normal(4000, 5, s), known, rng(0))["measurement_nll"]
            for s in (0.6, 1.0, 1.5)
        }
        entries = D if isinstance(operator, Identity) else D / 2
        for s in (0.6, 1.5):
            ratio = 1.25 / (s * s + 0.25)
            gap = entries * 0.5 * (ratio - 1 - math.log(ratio))
            assert score[s] - score[1.0] > 0.5 * gap


def test_units_of_the_data_shift_it_by_a_logarithm() -> None:
    known, x = reference(), normal(300, 6)
    score = MeasurementLikelihood()(x, known, rng(0))["measurement_nll"]
    test = known.test
    wider = Reference(
        None, Measurement(10 * test.y, test.A, 10 * test.sigma_y, test.shape), Corruption(Identity(), 5.0)
    )
    there = MeasurementLikelihood()(10 * x, wider, rng(0))["measurement_nll"]
    assert there == pytest.approx(score + D * math.log(10), rel=1e-12)


def test_the_first_measurements_are_asked() -> None:
    known, x = reference(n=40), normal(50, 6)
    few = Reference(None, known.test[:10], known.corruption)
    assert MeasurementLikelihood(10)(x, known, rng(0)) == MeasurementLikelihood()(x, few, rng(0))
    assert MeasurementLikelihood(10)(x, known, rng(0)) != MeasurementLikelihood(20)(x, known, rng(0))


def test_needs_white_noise() -> None:
    for bare in (reference(sigma_y=0.0), reference(noise=Poisson())):
        reason = MeasurementLikelihood().supports(bare)
        assert reason is not None and "white noise" in reason
    assert MeasurementLikelihood().supports(reference()) is None
    assert "held-out" in str(
        MeasurementLikelihood().supports(Reference(None, reference().test[:1], reference().corruption))
    )
    with pytest.raises(ValueError, match="most must be >= 2, got 1"):
        MeasurementLikelihood(1)
