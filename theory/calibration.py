r"""`python -m theory.calibration`: how often intervals cover, for laws whose divergences are known.

An estimator is repeated with independent randomness, and its intervals are held against the exact value.
Beside the share of intervals that cover stands the 95 % interval of that share (Clopper and Pearson).
"""

from __future__ import annotations

__all__ = ["CASES", "Case", "Row", "coverage", "main", "measure", "modes", "normals"]

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Generator, Tensor

from dcdbench.analytic import Gaussian, GaussianMixture, Law
from dcdbench.metrics.sliced_w2 import directions
from theory.divergences import gaussian
from theory.divergences.bounds import product_law
from theory.divergences.estimate import Estimate
from theory.divergences.kl import kl_monte_carlo
from theory.divergences.line import w2_line
from theory.divergences.paired import w2_difference, w2_interval
from theory.divergences.sliced import along, sliced_interval

NARROW, WIDE = 1.0, 1.44
STUDENT, TEACHER, CLEAN = 0.5, 0.8, 0.3  # variances of modes
TIMES = 200
LEVEL = 0.95
HEADERS = (
    "estimator",
    "d",
    "size",
    "truth",
    "mean",
    "standard deviation",
    "half width",
    "covers",
    "interval",
)


def normals(dim: int) -> tuple[Gaussian, Gaussian]:
    """Two centred normal laws of unlike width."""
    eye = torch.eye(dim, dtype=torch.float64)
    return Gaussian(torch.zeros(dim), NARROW * eye), Gaussian(torch.zeros(dim), WIDE * eye)


def modes(variance: float, distance: float = 2.0) -> GaussianMixture:
    """Two modes on the line."""
    means = torch.tensor([[-distance], [distance]])
    return GaussianMixture(torch.full((2,), 0.5), means, variance * torch.ones(2, 1, 1))


def _beside(variance: float, dim: int) -> Law:
    """Two modes along one axis, one along the others."""
    rest = [Gaussian(torch.zeros(1), variance * torch.eye(1))] * (dim - 1)
    return product_law([modes(variance), *rest])


@dataclass(frozen=True)
class Case:
    """An estimator with laws.

    Args:
        name: Of the estimator.
        dim: Of the laws.
        size: Points of a sample; of each component, where these are stratified.
        truth: The exact value.
        estimate: One estimate.
    """

    name: str
    dim: int
    size: int
    truth: Callable[[], float]
    estimate: Callable[[Generator], Estimate]


@dataclass(frozen=True)
class Row:
    """What repetitions of a case gave."""

    case: Case
    truth: float
    mean: float
    deviation: float
    half_width: float
    covered: int
    times: int

    @property
    def interval(self) -> tuple[float, float]:
        """Of the coverage, by Clopper and Pearson."""
        from scipy.stats import beta

        k, n, rest = self.covered, self.times, (1 - LEVEL) / 2
        low = float(beta.ppf(rest, k, n - k + 1)) if k else 0.0
        return low, float(beta.ppf(1 - rest, k + 1, n - k)) if k < n else 1.0


def _monte_carlo(dim: int, size: int) -> Case:
    p, q = normals(dim)
    return Case(
        "KL, Monte Carlo",
        dim,
        size,
        lambda: gaussian.kl(p, q).value,
        lambda rng: kl_monte_carlo(p, q, size, rng),
    )


def _w2(dim: int, size: int) -> Case:
    p, q = normals(dim)
    estimate = partial(w2_interval, p, q, size=size)
    return Case("W2", dim, size, lambda: gaussian.w2(p, q).value, lambda rng: estimate(rng=rng))


def _difference(dim: int, size: int) -> Case:
    student, teacher, clean = (product_law([modes(v)] * dim) for v in (STUDENT, TEACHER, CLEAN))

    def truth() -> float:  # sums over independent axes
        s, t, x = (modes(v) for v in (STUDENT, TEACHER, CLEAN))
        return dim * (w2_line(s, x) - w2_line(t, x)).value

    return Case(
        "difference of W2, mixtures",
        dim,
        size,
        truth,
        lambda rng: w2_difference(student, teacher, clean, rng, size=size),
    )


def _sliced(dim: int, size: int) -> Case:
    p, q = _beside(CLEAN, dim), _beside(2 * CLEAN, dim)
    theta: Tensor = directions(8, dim, torch.Generator().manual_seed(1))
    return Case(
        "W2 along 8 directions, mixtures",
        dim,
        size,
        lambda: along(p, q, theta).mean().item(),
        lambda rng: sliced_interval(p, q, theta, rng, size=size),
    )


CASES: tuple[Case, ...] = (
    *(_monte_carlo(dim, 2000) for dim in (1, 5, 20)),
    *(_sliced(dim, 32) for dim in (2, 5, 10)),
    *(_w2(dim, 32) for dim in (1, 2)),
    *(_difference(dim, 16) for dim in (1, 2)),
)


def coverage(estimate: Callable[[Generator], Estimate], truth: float, times: int) -> float:
    """The share of estimates that cover."""
    return sum(estimate(torch.Generator().manual_seed(seed)).covers(truth) for seed in range(times)) / times


def measure(case: Case, times: int = TIMES) -> Row:
    """The estimates of a case, repeated."""
    truth = case.truth()
    found = [case.estimate(torch.Generator().manual_seed(seed)) for seed in range(times)]
    values = np.array([estimate.value for estimate in found])
    half = float(np.mean([(estimate.high - estimate.low) / 2 for estimate in found]))
    covered = sum(estimate.covers(truth) for estimate in found)
    return Row(case, truth, float(values.mean()), float(values.std(ddof=1)), half, covered, times)


def table(rows: Sequence[Row]) -> str:
    """In Markdown."""
    lines = ["| " + " | ".join(HEADERS) + " |", "|" + " --- |" * len(HEADERS)]
    for row in rows:
        low, high = row.interval
        numbers = (f"{x:.4f}" for x in (row.truth, row.mean, row.deviation, row.half_width))
        share = f"{row.covered / row.times:.3f}"
        cells = (
            row.case.name,
            str(row.case.dim),
            str(row.case.size),
            *numbers,
            share,
            f"{low:.3f} to {high:.3f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> int:
    """The table, of cases whose name has a given text, or of all."""
    parser = argparse.ArgumentParser(
        prog="python -m theory.calibration", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("name", nargs="?", default="", help="of estimators, or a part of it (default: all)")
    parser.add_argument("--times", type=int, default=TIMES, help="repetitions (default: %(default)s)")
    options = parser.parse_args(given)
    print(table([measure(case, options.times) for case in CASES if options.name in case.name]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
