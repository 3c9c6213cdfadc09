"""Intervals cover as often as they say, where they are offered; a plainer estimate, the control, does not.

Repetitions are few here, so that a bound on coverage leaves four standard errors of a nominal 95%. The table
of `python -m theory.calibration` has enough of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Generator

from dcdbench.analytic import Gaussian, GaussianMixture, Law
from dcdbench.metrics.sinkhorn import entropic_cost
from dcdbench.metrics.sliced_w2 import directions
from theory.calibration import CASES, LEVEL, TIMES, Row, coverage, main, measure, modes
from theory.calibration import normals as pair
from theory.divergences import Estimate, Kind, bounds, gaussian
from theory.divergences.estimate import t_interval
from theory.divergences.kl import kl_monte_carlo, kl_neighbours
from theory.divergences.line import w2_line
from theory.divergences.paired import debiased, plain, plug_in, w2_difference, w2_interval
from theory.divergences.samples import latents, spread
from theory.divergences.sinkhorn import sinkhorn_interval
from theory.divergences.sliced import along, sliced_interval, sliced_random

EPS = 0.5  # of Sinkhorn's divergence
TABLE = Path(__file__).parents[2] / "docs" / "calibration.md"


def least(times: int, nominal: float = 0.95) -> float:
    return nominal - 4 * (nominal * (1 - nominal) / times) ** 0.5


def draws(value: Callable[[Generator], float], blocks: int) -> Callable[[Generator], Estimate]:
    return lambda rng: t_interval([value(rng) for _ in range(blocks)])


@pytest.mark.parametrize("dim", [1, 5])
def test_monte_carlo_kl_covers(dim: int) -> None:
    p, q = pair(dim)
    truth, times = gaussian.kl(p, q).value, 400
    assert coverage(lambda rng: kl_monte_carlo(p, q, 500, rng), truth, times) >= least(times)

    def other_way(rng: Generator) -> Estimate:  # draws of the wrong law
        x = q.sample(500, rng)
        return t_interval((p.log_prob(x) - q.log_prob(x)).tolist())

    assert coverage(other_way, truth, 20) < 0.5


@pytest.mark.parametrize("dim", [1, 2])
def test_w2_interval_covers_in_low_dimension(dim: int) -> None:
    p, q = pair(dim)
    truth, times = gaussian.w2(p, q).value, 24
    assert coverage(lambda rng: w2_interval(p, q, rng, size=32), truth, times) >= least(times)


def test_plain_w2_does_not_cover() -> None:
    p, q = pair(2)
    truth = gaussian.w2(p, q).value
    estimate = draws(lambda rng: plain(p.sample(32, rng), q.sample(32, rng)), 8)
    assert coverage(estimate, truth, 12) < 0.5


@pytest.mark.parametrize("dim", [1, 2])
def test_difference_of_w2_covers(dim: int) -> None:
    laws = [bounds.product_law([modes(v)] * dim) for v in (0.5, 0.8, 0.3)]
    student, teacher, clean = laws
    block = [modes(v) for v in (0.5, 0.8, 0.3)]
    truth = dim * (w2_line(block[0], block[2]) - w2_line(block[1], block[2])).value
    times = 16
    found = coverage(lambda rng: w2_difference(student, teacher, clean, rng, size=16), truth, times)
    assert found >= least(times)

    def unpaired(rng: Generator) -> float:  # iid, each against clean samples of its own
        s, t, x, y = (law.sample(32, rng) for law in (student, teacher, clean, clean))
        return plain(s, x) - plain(t, y)

    width = w2_difference(student, teacher, clean, Generator().manual_seed(0), size=16)
    wider = draws(unpaired, 8)(Generator().manual_seed(0))
    assert wider.high - wider.low > 2 * (width.high - width.low)


def test_the_same_law_is_no_gain() -> None:
    law, clean = modes(0.8), modes(0.3)
    found = w2_difference(law, law, clean, Generator().manual_seed(0), size=16)
    assert found.low == found.high == 0


def test_without_its_margin_an_interval_is_none() -> None:
    p, q = pair(2)
    bare, whole = (
        w2_interval(p, q, Generator().manual_seed(0), size=16, blocks=4, margin=margin)
        for margin in (False, True)
    )
    assert bare.kind == Kind.SPREAD and not bare.decided and bare.value == whole.value
    assert whole.kind == Kind.INTERVAL and whole.decided and whole.high > bare.high
    assert not (whole - bare).decided


def test_no_interval_beyond_two_dimensions() -> None:
    p, q = pair(3)
    rng = torch.Generator().manual_seed(0)
    estimates = (
        w2_interval(p, q, rng, size=8, blocks=2),
        w2_difference(p, q, p, rng, size=8, blocks=2),
        sinkhorn_interval(p, q, EPS, rng, size=8, blocks=2),
    )
    assert not any(estimate.decided for estimate in estimates)
    assert all(abs(estimate.value) < 10 for estimate in estimates)


@pytest.mark.parametrize(
    ("dim", "n", "means", "sds"),
    [
        (2, 250, (0.235, 0.092, 0.132), (0.064, 0.058, 0.062)),
        (5, 250, (1.83, 0.178, 0.314), (0.065, 0.083, 0.044)),
    ],
)
def test_bias_of_samples(dim: int, n: int, means: tuple[float, ...], sds: tuple[float, ...]) -> None:
    p, q = pair(dim)
    rng, times = torch.Generator().manual_seed(0), 4
    rows = []
    for _ in range(times):
        x, x2, y, y2 = (law.sample(n, rng) for law in (p, p, q, q))
        rows.append((plain(x, y), debiased(x, x2, y, y2), plug_in(x, y)))
    found = torch.tensor(rows, dtype=torch.float64).mean(0).tolist()
    for value, mean, sd in zip(found, means, sds, strict=True):
        assert abs(value - mean) < 4 * sd * (1 / times + 1 / 8) ** 0.5
    truth = gaussian.w2(p, q).value
    assert found[0] - truth > 5 * abs(found[1] - truth)


@pytest.mark.parametrize("dim", [2, 5])
def test_sliced_interval_covers(dim: int) -> None:
    p, q = (
        bounds.product_law([modes(v), *[Gaussian(torch.zeros(1), v * torch.eye(1))] * (dim - 1)])
        for v in (0.3, 0.6)
    )
    theta = directions(4, dim, torch.Generator().manual_seed(1))
    truth, times = along(p, q, theta).mean().item(), 24
    found = coverage(lambda rng: sliced_interval(p, q, theta, rng, size=64, blocks=6), truth, times)
    assert found >= least(times)

    def plainly(rng: Generator) -> float:  # iid, not debiased
        x, y = (law.sample(128, rng) @ theta.mT for law in (p, q))
        return (x.sort(0).values - y.sort(0).values).square().mean().item()

    assert coverage(draws(plainly, 6), truth, 12) < 0.5


@pytest.mark.parametrize("dim", [3, 8])
def test_sliced_w2_by_random_directions_covers(dim: int) -> None:
    """Of Gaussians with unlike axes. Few directions with the width of many, the control, do not."""
    p = Gaussian(torch.zeros(dim), torch.diag(torch.linspace(1, 3, dim).square()))
    q = Gaussian(torch.linspace(0, 1, dim), torch.eye(dim))
    truth = along(p, q, directions(400_000, dim, torch.Generator().manual_seed(99))).mean().item()
    times = 200
    assert coverage(lambda rng: sliced_random(p, q, rng, count=256), truth, times) >= least(times)

    def narrow(rng: Generator) -> Estimate:
        found = sliced_random(p, q, rng, count=8)
        half = (found.high - found.low) / 2 * (8 / 256) ** 0.5
        return Estimate.bracket(found.value - half, found.value + half)

    assert coverage(narrow, truth, times) < 0.7


@pytest.mark.parametrize("dim", [1, 2])
def test_bias_of_neighbours(dim: int) -> None:
    """Below a tenth of a nat at 500 points, and less with four times as many; it has no interval to cover."""
    p, q = pair(dim)
    truth, means = gaussian.kl(p, q).value, []
    for n in (500, 2000):
        rngs = [torch.Generator().manual_seed(seed) for seed in range(30)]
        found = [kl_neighbours(p.sample(n, rng), q.sample(n, rng)) for rng in rngs]
        assert not any(estimate.decided for estimate in found)
        values = torch.tensor([estimate.value for estimate in found], dtype=torch.float64)
        assert values.std() < 1.2 / n**0.5
        means.append(float(values.mean()) - truth)
    error = 4 * 1.2 / 30**0.5 / 500**0.5
    assert abs(means[0]) < 0.06 + error and abs(means[1]) < abs(means[0]) + error
    x, y = (p.sample(500, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert kl_neighbours(x, y + 3).value > 10 * truth  # the control: another law


@pytest.mark.parametrize("dim", [1, 2])
def test_sinkhorn_interval_covers(dim: int) -> None:
    p, q = pair(dim)
    truth, times = gaussian.sinkhorn_gaussian(p, q, EPS).value, 8
    found = coverage(lambda rng: sinkhorn_interval(p, q, EPS, rng, size=32, blocks=4), truth, times)
    assert found >= least(times)

    def plainly(rng: Generator) -> float:
        return entropic_cost(p.sample(32, rng), q.sample(32, rng), EPS)

    assert coverage(draws(plainly, 6), truth, 4) < 0.5


def test_stratified_points_have_the_weights_of_their_modes() -> None:
    law: Law = GaussianMixture(torch.tensor([0.2, 0.8]), torch.tensor([[-9.0], [9.0]]), torch.ones(2, 1, 1))
    for sobol in (True, False):
        weights, points = spread(law, latents(3, 16, 1, torch.Generator().manual_seed(0), sobol))
        assert weights[points[:, 0] < 0].sum().item() == pytest.approx(0.2)
        assert weights.sum().item() == pytest.approx(1) and points.isfinite().all()


def rows() -> dict[tuple[str, int], tuple[int, float]]:
    """The sizes and shares of the table, by estimator and dimension."""
    cells = [
        line.strip("| \n").split(" | ") for line in TABLE.read_text().splitlines() if line.startswith("|")
    ]
    return {(name, int(d)): (int(size), float(rest[4])) for name, d, size, *rest in cells[2:]}


def test_the_table_has_all_cases_and_all_of_them_cover() -> None:
    found = rows()
    assert list(found) == [(case.name, case.dim) for case in CASES]
    for case in CASES:
        size, share = found[case.name, case.dim]
        row = Row(case, 0.0, 0.0, 0.0, 0.0, round(share * TIMES), TIMES)
        assert size == case.size and row.interval[1] >= LEVEL
    assert (
        Row(CASES[0], 0.0, 0.0, 0.0, 0.0, round(0.9 * TIMES), TIMES).interval[1] < LEVEL
    )  # what is told apart


def test_the_table_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES[0]
    assert measure(case).covered / TIMES == pytest.approx(rows()[case.name, case.dim][1], abs=0.01)
    assert main(["Monte Carlo", "--times", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and all(re.search(r"\| (KL|est|---)", line) for line in lines)
