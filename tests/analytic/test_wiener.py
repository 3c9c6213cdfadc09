"""The best linear estimate: either side of Woodbury's identity, and stationary laws by their spectra."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from component import SHAPES, corruptions
from torch import Tensor

from dcdbench.datasets.phantom import Phantom
from dcdbench.methods.restore_then_train import RestoreThenTrain
from dcdbench.networks.mlp import MLP
from dcdbench.noises.poisson import Poisson
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.mri import MRI
from dcdbench.operators.random_projections import RandomProjections
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import OperatorLaw, Setting
from dcdbench.restorers import stationary, wiener
from dcdbench.restorers.linear import matrices
from dcdbench.restorers.pinv import PseudoInverse
from dcdbench.restorers.solvable import ByMeasurements, BySignals, solvable
from dcdbench.restorers.stationary import Spectrum, StationaryWiener
from dcdbench.restorers.wiener import Wiener
from dcdbench.streams import Stream

SHAPE = (1, 6, 8)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(corruption: Corruption, x: Tensor) -> Problem:
    return Problem(corruption(x, rng(2)), corruption(x[:64], rng(3)), corruption, tuple(x.shape[1:]))


# Either side


@pytest.mark.bits
@pytest.mark.parametrize(("m", "d"), [(4, 7), (7, 7), (12, 7)])
@pytest.mark.parametrize("sigma_y", [0.5, 0.0])
def test_both_sides_of_woodburys_identity_agree(m: int, d: int, sigma_y: float) -> None:
    """Without noise the systems have a condition of about 1e8, so that half of the digits are lost."""
    draw = rng(m)
    A, y = (torch.randn(5, *size, generator=draw, dtype=torch.float64) for size in ((m, d), (m,)))
    root = torch.randn(d, d, generator=draw, dtype=torch.float64)
    mean, cov = torch.ones(d, dtype=torch.float64), root @ root.T
    one = ByMeasurements(A, y, sigma_y).posterior(mean, cov)
    other = BySignals.of(A, y, sigma_y).posterior(mean, cov)
    tol = 1e-10 if sigma_y else 1e-5
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=tol, atol=tol)
    wrong, _ = BySignals.of(A, y, sigma_y + 0.5).posterior(mean, cov)  # control: other noise
    assert not torch.allclose(one[0], wrong, rtol=1e-3, atol=1e-3)


def test_the_smaller_side_is_solved() -> None:
    y = torch.zeros(3, 5, dtype=torch.float64)
    m = Measurement(y, Identity().draw((5,), 3, rng()), 0.1, (5,))
    assert isinstance(solvable(m, torch.ones(3, 5, 6, dtype=torch.float64)), ByMeasurements)
    assert isinstance(solvable(m, torch.ones(3, 5, 4, dtype=torch.float64)), BySignals)


@pytest.mark.parametrize("room", [0, 999])
def test_what_is_kept_from_lap_to_lap_changes_no_number(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = problem(Corruption(Inpainting(0.6), 0.2), torch.randn(90, 5, generator=rng()))
    whole = Wiener(laps=3, most=70).restore(None, made, Stream(0))
    monkeypatch.setattr(wiener, "NUMBERS", 10 * 25)  # ten at a time
    monkeypatch.setattr(wiener, "KEPT", room)
    calls: list[int] = []
    plain = wiener.matrices
    monkeypatch.setattr(wiener, "matrices", lambda m: calls.append(len(m)) or plain(m))
    again = Wiener(laps=3, most=70).restore(None, made, Stream(0))
    torch.testing.assert_close(again, whole, rtol=1e-6, atol=1e-6)
    assert set(calls) == {10}
    kept = room // (10 * 25 + 10 * 5)  # of seven pieces; the estimates take nine
    assert len(calls) == kept + 3 * (7 - kept) + (9 - kept)


def test_laps_end_once_nothing_changes() -> None:
    made = problem(Corruption(Identity(), 0.3), torch.randn(50, 3, generator=rng())).train.to(
        dtype=torch.float64
    )
    short = wiener.moments(made, True, 3, rng(1), 1e9)[1]
    torch.testing.assert_close(short, wiener.moments(made, True, 1, rng(1))[1], rtol=0, atol=0)
    assert not torch.equal(short, wiener.moments(made, True, 3, rng(1))[1])  # the control: all laps


def test_several_coils_are_restored_though_they_are_nearly_dependent() -> None:
    """More numbers are measured than an image has; least squares amplify rounding beyond all signals."""
    x = Phantom(size=8).load(100, 10, Stream(7)).train
    made = problem(Corruption(MRI(acceleration=2, acs=2, coils=4)), x)
    assert made.train.y[0].numel() > x[0].numel()

    def error(restored: Tensor) -> float:
        return float((restored - x).square().mean() / x.var())

    assert error(Wiener(laps=4).restore(None, made, Stream(0))) < 0.05
    noisy = problem(Corruption(MRI(acceleration=2, acs=2, coils=4), 0.05), x)
    best = error(Wiener(laps=4).restore(None, noisy, Stream(0)))
    assert best < 0.1 < 10 * best < error(PseudoInverse().restore(None, noisy, Stream(0)))  # the control


# Stationary laws


def spectrum(seed: int = 0) -> Spectrum:
    """Of images whose pixels are correlated: that of a positive definite kernel, with a mean of 1."""
    _, height, width = SHAPE
    f = torch.fft.fftfreq(height).double()[:, None].square() + torch.fft.rfftfreq(width).double().square()
    return Spectrum(torch.ones(1, 1, 1, dtype=torch.float64), (0.02 + (-20 * f).exp())[None])


def dense(law: Spectrum) -> Tensor:
    """The covariance as a matrix."""
    unit = torch.eye(math.prod(SHAPE), dtype=torch.float64).reshape(-1, *SHAPE)
    return law.spread(unit).flatten(1)


def test_a_stationary_covariance_is_circulant_and_that_of_its_samples() -> None:
    law = spectrum()
    C = dense(law)
    torch.testing.assert_close(C, C.T)
    x = torch.randn(1, *SHAPE, generator=rng(), dtype=torch.float64)
    torch.testing.assert_close(law.spread(x.roll((2, 3), (2, 3))), law.spread(x).roll((2, 3), (2, 3)))
    found = torch.cov((law.sample(20_000, SHAPE, rng(1)) - 1).flatten(1).T)
    error = (C.diagonal()[0] ** 2 + C**2).sqrt() / 20_000**0.5  # of a sample covariance of a Gaussian
    assert float(((found - C) / error).abs().max()) < 5  # of 1176 numbers


def test_without_an_operator_it_is_wieners_filter() -> None:
    """The closed form, `S / (S + v)` for each frequency, by the other library's transforms."""
    law, v = spectrum(), 0.3
    y = torch.randn(4, *SHAPE, generator=rng(), dtype=torch.float64)
    m = Measurement(y, Identity().draw(SHAPE, 4, rng()), v**0.5, SHAPE)
    got = law.estimate(m, v, solves=60)
    S = law.power.numpy()
    best = 1 + np.fft.irfft2(S / (S + v) * np.fft.rfft2(y.numpy() - 1), s=SHAPE[1:])
    np.testing.assert_allclose(got, best, rtol=0, atol=1e-5)
    flat = 1 + S.mean() / (S.mean() + v) * (y.numpy() - 1)  # the control: white signals
    assert np.abs(got.numpy() - flat).max() > 0.1


@pytest.mark.parametrize("operator", [Inpainting(0.5), GaussianBlur(3, 0.8)], ids=repr)
def test_iterations_agree_with_the_direct_solution(operator: OperatorLaw) -> None:
    law, v = spectrum(), 0.04
    m = Corruption(operator, v**0.5)(law.sample(6, SHAPE, rng(1)), rng(2)).to(dtype=torch.float64)
    y, mean = m.y.flatten(1), torch.ones(48, dtype=torch.float64)
    direct, _ = ByMeasurements(matrices(m), y, v**0.5).posterior(mean, dense(law))
    torch.testing.assert_close(law.estimate(m, v, 200).flatten(1), direct, rtol=0, atol=1e-3)
    assert float((law.estimate(m, v, 2).flatten(1) - direct).abs().max()) > 1e-2  # the control


def test_the_spectrum_is_that_of_signals_not_of_measurements() -> None:
    law = spectrum()
    made = Corruption(Inpainting(0.7), 0.3)(law.sample(1500, SHAPE, rng(1)), rng(2))
    found = stationary.fit(made.to(dtype=torch.float64), 1.0, 0.09, 40, 40, rng(3))
    assert float((found.mean - 1).abs()) < 0.05
    own = torch.fft.rfft2(made.y - made.y.mean(), norm="ortho").abs().square().mean(0)
    near, far = (float((power - law.power).abs().sum() / law.power.sum()) for power in (found.power, own))
    assert near < 0.12 < 0.5 < far  # the control: what is not seen lacks, and frequencies are full of noise


def test_large_images_are_restored_by_their_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Better than by nothing, and than by a full covariance, for signals that have such a law."""
    x = spectrum().sample(200, SHAPE, rng(1)).float()
    made = problem(Corruption(Inpainting(0.6), 0.2), x)
    full = Wiener().restore(None, made, Stream(0))
    monkeypatch.setattr(wiener, "LARGEST", 47)
    large = Wiener().restore(None, made, Stream(0))
    again = StationaryWiener().restore(None, made, Stream(0))
    assert torch.equal(large, again) and not torch.equal(large, full)

    def error(restored: Tensor) -> float:
        return float((restored - x).square().mean())

    assert error(large) < error(full) < 0.5 * error(PseudoInverse().restore(None, made, Stream(0)))


# What cannot be done is said


def test_vectors_are_restored_up_to_a_size() -> None:
    projected = Corruption(RandomProjections(2), 0.1)
    assert RestoreThenTrain().supports(projected, (400,)) is None
    reason = str(RestoreThenTrain().supports(projected, (401,)))
    assert "at most 400 entries" in reason and "(401,)" in reason
    made = problem(projected, torch.randn(64, 401, generator=rng()))
    with pytest.raises(ValueError, match="at most 400 entries"):
        Wiener().restore(None, made, Stream(0))
    assert RestoreThenTrain().supports(Corruption(Inpainting(), 0.1), (3, 64, 64)) is None


def test_the_pseudo_inverse_is_never_taken_unasked() -> None:
    for shape in SHAPES:
        for corruption in corruptions(shape):
            given = Setting(corruption, MLP(8, 1), 1.0, 1.0, 32)
            if RestoreThenTrain().supports(corruption, shape) is None:
                phase = RestoreThenTrain().phases(given)[-1]
                assert not isinstance(phase.restorer, PseudoInverse)  # type: ignore[attr-defined]
    odd = Corruption(Identity(), 0.0, Poisson())
    assert "white noise" in str(RestoreThenTrain().supports(odd, (4,)))
    assert RestoreThenTrain("pinv").supports(odd, (4,)) is None  # the control: by its name
