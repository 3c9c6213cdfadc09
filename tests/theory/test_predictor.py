"""The a-priori predictor: each rule against its formula, sampling undone, and answers that can be no."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdbench.analytic import Gaussian, frechet
from dcdbench.prediction.rules import (
    Bootstrap,
    Forecast,
    Outlook,
    decided,
    forecast,
    mask,
    plug_in,
    ranks,
    sufficient,
)
from dcdbench.prediction.spectrum import bartlett, deconvolve, eigenvalues, too_low
from dcdbench.prediction.teachers import Teachers
from dcdbench.streams import Stream
from theory.accuracy import SIZES, main, measure
from theory.spectra import w2_gain, w2_spectra

STREAM = Stream(0) / "test"
CLEAN = np.array([6.0, 4.0, 3.0, 0.05, 0.04, 0.03, 0.02, 0.01])
NOISE = np.asarray(1.0)
SPECTRA = st.lists(st.floats(0.0, 10.0), min_size=2, max_size=12).map(lambda v: np.array(sorted(v)[::-1]))


def at_rank(k: int, d: int = len(CLEAN)) -> np.ndarray:
    return mask(np.asarray(float(k)), d)


def one(seen: np.ndarray, n: int, k: int, sigma_y: float = 1.0, aware: bool = False) -> Forecast:
    return forecast(seen, n, sigma_y, [k], aware, STREAM)[0]


# P0 and P1


@given(SPECTRA, st.floats(0.1, 3.0), st.integers(1, 12))
def test_plug_in_is_the_closed_form(clean: np.ndarray, noise: float, k: int) -> None:
    k = min(k, len(clean))
    kept, seen = at_rank(k, len(clean)), clean + noise
    teacher = w2_spectra(seen.tolist(), clean.tolist())
    for aware, student in ((False, seen * kept), (True, clean * kept)):
        gain = teacher - w2_spectra(student.tolist(), clean.tolist())
        assert plug_in(seen, np.asarray(noise), kept, aware) == pytest.approx(gain, abs=1e-6)
    unaware = sum(w2_gain(value, noise) for value in clean[k:])
    assert plug_in(seen, np.asarray(noise), kept, False) == pytest.approx(unaware, abs=1e-6)


@given(SPECTRA, st.floats(0.1, 3.0), st.integers(1, 11))
def test_the_sufficient_rule_is_sufficient_without_sampling_error(
    clean: np.ndarray, noise: float, k: int
) -> None:
    k = min(k, len(clean) - 1)
    seen, level, kept = clean + noise, np.asarray(noise), at_rank(k, len(clean))
    if sufficient(seen, level, kept):
        assert plug_in(seen, level, kept, False) > -1e-9


def test_the_sufficient_rule_is_not_necessary() -> None:
    """Control: a tail of unequal variances, above the threshold in the mean, whose loss is a gain."""
    clean = np.array([5.0, 1.2, 0.0, 0.0])
    kept = at_rank(1, 4)
    assert not sufficient(clean + 1, NOISE, kept)
    assert plug_in(clean + 1, NOISE, kept, False) > 0


# Sampling, and its undoing


def test_bartlett_draws_are_sample_covariances() -> None:
    d, n, draws = 4, 9, 20_000
    factors = bartlett(d, n, draws, STREAM)
    w = factors @ np.swapaxes(factors, -1, -2)
    # of a Wishart: E w_ij = 1[i = j], var w_ij = (1 + 1[i = j]) / n
    sd = np.sqrt((1 + np.eye(d)) / n / draws)
    assert (np.abs(w.mean(0) - np.eye(d)) < 4.5 * sd).all()
    assert np.allclose(w.var(0), (1 + np.eye(d)) / n, rtol=0.1)
    with pytest.raises(ValueError, match="n must be >= d, got n = 3, d = 4"):
        bartlett(4, 3, 1, STREAM)


def test_eigenvalues_are_those_of_the_covariance() -> None:
    y = STREAM.numpy().normal(3.0, 1.0, (50, 2, 3))
    seen, n = eigenvalues(y)
    assert n == 49
    assert np.allclose(seen, np.linalg.eigvalsh(np.cov(y.reshape(50, 6).T))[::-1])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(5), r"shape \(n, d\)"),
        (np.zeros((5, 4)), "n = 5, d = 4"),
        (np.full((9, 2), np.nan), "NaN"),
    ],
)
def test_measurements_that_tell_nothing(y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        eigenvalues(y)


@pytest.mark.parametrize("n", [24, 80])
def test_deconvolution_undoes_the_spread(n: int) -> None:
    """The error against the true eigenvalues is far below that of those that were seen."""
    d = 12
    truth = np.where(np.arange(d) < 4, 5.0, 1.0)
    root = np.sqrt(truth)[:, None] * bartlett(d, n, 200, STREAM / "seen")
    seen = np.linalg.eigvalsh(root @ np.swapaxes(root, -1, -2))[:, ::-1]
    found = deconvolve(seen, np.full(200, 0.5), bartlett(d, n, 3, STREAM / "fixed"))
    before, after = ((np.log(x / truth).mean(0) ** 2).sum() for x in (seen, found))
    assert after < 0.35 * before
    assert (found >= 0.5).all() and (np.diff(found, axis=-1) <= 0).all()


def test_too_low_a_spectrum_is_noticed() -> None:
    y = STREAM.numpy().normal(0.0, 1.0, (400, 10))
    seen, n = eigenvalues(y)
    assert not too_low(seen, n, 1.0)
    assert too_low(seen, n, 1.5**2)


# P2


@pytest.mark.parametrize("aware", [False, True])
def test_distances_are_those_of_the_analytic_laws(aware: bool) -> None:
    d, k = len(CLEAN), 3
    teacher = Teachers.fitted(CLEAN, NOISE, bartlett(d, 20, 1, STREAM)[0])
    v = teacher.vectors
    values = np.maximum(teacher.values - aware, 0.0) * at_rank(k)
    clean, *fitted = (
        Gaussian(torch.zeros(d), torch.tensor(cov))
        for cov in (np.diag(CLEAN), (v * teacher.values) @ v.T, (v * values) @ v.T)
    )
    assert teacher.distance() == pytest.approx(frechet(fitted[0], clean), rel=1e-6)
    assert teacher.student(at_rank(k), aware) == pytest.approx(frechet(fitted[1], clean), rel=1e-6)


def test_many_measurements_give_the_closed_form() -> None:
    seen = CLEAN + 1
    for aware in (False, True):
        it = one(seen, 10**7, 3, aware=aware)
        assert it.gain == pytest.approx(it.plug_in, rel=1e-2)
        assert it.gain_sd < 0.01 * it.gain and it.outlook is Outlook.HELPS
        assert it.teacher == pytest.approx(w2_spectra(seen.tolist(), CLEAN.tolist()), rel=1e-2)


def test_a_student_that_drops_data_does_not_help() -> None:
    """Control: the data are as wide along every direction."""
    flat = np.full(8, 5.0)
    it = one(flat + 1, 4000, 4)
    assert it.outlook is Outlook.DOES_NOT and it.gain < 0 and it.sufficient is False


def test_a_student_of_full_rank_is_its_teacher() -> None:
    it = one(CLEAN + 1, 100, 8)
    assert it.outlook is Outlook.DOES_NOT and it.gain == 0 and it.sufficient is None
    assert one(CLEAN + 1, 1000, 8, aware=True).outlook is Outlook.HELPS


def test_too_close_to_call() -> None:
    """Dropping directions of exactly the threshold's variance changes nothing."""
    clean = np.array([5.0, 5.0, *[1 / 3] * 6])
    assert one(clean + 1, 500, 2).outlook is Outlook.UNDECIDED


def test_what_it_takes_to_decide() -> None:
    draws = np.array([0.5, 0.52, 0.48, 0.5])
    assert decided(np.asarray(1.0), draws) == 1
    assert decided(np.asarray(-1.0), -draws) == -1
    assert decided(np.asarray(-1.0), draws) == 0  # P0 disagrees
    assert decided(np.asarray(1.0), 0.15 * draws) == 0  # too small
    assert decided(np.asarray(1.0), draws + np.array([1.0, -1.0, 1.0, -1.0])) == 0  # too uncertain


@settings(max_examples=15)
@given(st.floats(0.01, 100.0))
def test_units_do_not_matter(unit: float) -> None:
    mine, other = one(CLEAN + 1, 60, 3), one(unit * (CLEAN + 1), 60, 3, sigma_y=sqrt(unit))
    assert other.share == pytest.approx(mine.share, rel=1e-6)
    assert other.gain == pytest.approx(unit * mine.gain, rel=1e-6)


def test_ranks_share_their_draws() -> None:
    found = forecast(CLEAN + 1, 60, 1.0, [2, 3], False, STREAM)
    assert found[1] == one(CLEAN + 1, 60, 3)


@pytest.mark.parametrize(("k", "sigma_y", "name"), [(0, 1.0, "rank"), (9, 1.0, "rank"), (3, 0.0, "sigma_y")])
def test_what_cannot_be_asked(k: int, sigma_y: float, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        one(CLEAN + 1, 60, k, sigma_y)


def test_ranks_that_are_tried() -> None:
    assert ranks(5) == [1, 2, 3, 4, 5]
    many = ranks(784)
    assert len(many) == 64 and many[0] == 1 and many[-1] == 784


def test_batches_are_their_members() -> None:
    seen = np.stack([CLEAN + 1, 2 * CLEAN + 1])
    kept = np.stack([at_rank(2), at_rank(3)])
    gains, shares = Bootstrap.of(seen, 40, np.ones(2), STREAM).gains(kept, False)
    for i, k in enumerate((2, 3)):
        assert gains[:, i].mean() == pytest.approx(one(seen[i], 40, k).gain)
    assert shares.shape == (16, 2)


# Accuracy


def test_it_is_right_when_it_decides_and_better_than_the_plug_in() -> None:
    row = measure(100, 60, False, Stream(3) / "accuracy")
    assert row.right is not None and row.right > 0.9
    assert row.p0 is not None and row.p2 is not None and row.p2 > row.p0
    assert 0.2 < (row.helps or 0) < 0.8  # neither answer is always right


def test_accuracy_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--trials", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 2 * len(SIZES) and "P2 decides" in lines[0]
    with pytest.raises(SystemExit):
        main(["--trials", "0"])
