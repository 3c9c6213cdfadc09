r"""`python -m theory accuracy`: how often the a-priori predictor is right, over random spectra.

A clean spectrum is a power law, spikes over a small floor, or exponential; the variance of the noise and the
rank are random as well. A sample covariance is drawn, the rules see its eigenvalues, and the sign that they
predict is held against that of the gain with this very covariance as teacher, computed from the clean law.
"""

from __future__ import annotations

__all__ = ["DIM", "SIZES", "Row", "main", "measure", "spectra"]

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import log

import numpy as np
import numpy.typing as npt

from dcdbench.prediction.rules import Bootstrap, decided, mask, plug_in, sufficient
from dcdbench.prediction.spectrum import Array, bartlett
from dcdbench.prediction.teachers import Teachers
from dcdbench.streams import Stream

DIM = 40
SIZES = (100, 400, 4000)
NOISE = (0.05, 5.0)  # of sigma^2, in units of the mean clean variance, uniform in its logarithm
EXPONENTS = (0.5, 3.0)  # of power laws
HEADERS = (
    "student",
    "n",
    "trials",
    "helps",
    "P0 right",
    "P2 right",
    "P2 decides",
    "right then",
    "P1 fires",
    "right then",
)
SCALES = (2.0, 20.0)  # of the index, in exponential spectra


@dataclass(frozen=True)
class Row:
    """How often the rules were right, for one number of measurements; None where they never answered.

    Args:
        n: Measurements.
        student: `unaware` or `aware`.
        trials: How many there were.
        helps: The share in which the student was better in truth.
        p0: The share in which P0 had the right sign.
        p2: That of P2.
        decided: The share in which P2 decided.
        right: The share of those in which it was right.
        p1_fired: The share in which P1 fired, which is for unaware students.
        p1_right: The share of those in which the student was better.
    """

    n: int
    student: str
    trials: int
    helps: float | None
    p0: float | None
    p2: float | None
    decided: float | None
    right: float | None
    p1_fired: float | None
    p1_right: float | None


def spectra(trials: int, rng: np.random.Generator, d: int = DIM) -> Array:
    """Random clean spectra of mean 1, `(trials, d)`, from the largest; each kind in turn."""
    at = np.arange(1, d + 1)
    rows = []
    for i in range(trials):
        if i % 3 == 0:
            row = at ** -rng.uniform(*EXPONENTS)
        elif i % 3 == 1:
            row = np.where(
                at <= rng.integers(1, d // 2), np.exp(rng.normal(0, 1, d)), 10 ** rng.uniform(-3, -1)
            )
        else:
            row = np.exp(-at / rng.uniform(*SCALES))
        rows.append(np.sort(row / row.mean())[::-1])
    return np.stack(rows)


def measure(n: int, trials: int, aware: bool, stream: Stream) -> Row:
    """The accuracy for `n` measurements, whose mean is known."""
    rng = (stream / "spectra").numpy()
    clean = spectra(trials, rng)
    noise = np.exp(rng.uniform(log(NOISE[0]), log(NOISE[1]), trials))
    kept = mask(rng.integers(1, DIM, trials).astype(float), DIM)
    teacher = Teachers.fitted(clean, noise, bartlett(DIM, n, trials, stream / n / "measured"))
    helps = teacher.distance() > teacher.student(kept, aware)
    simple = plug_in(teacher.values, noise, kept, aware)
    _, shares = Bootstrap.of(teacher.values, n, noise, stream / n).gains(kept, aware)
    sign = decided(simple, shares)
    fired = sufficient(teacher.values, noise, kept)[: 0 if aware else trials]
    return Row(
        n=n,
        student="aware" if aware else "unaware",
        trials=trials,
        helps=_share(helps),
        p0=_share((simple > 0) == helps),
        p2=_share((shares.mean(0) > 0) == helps),
        decided=_share(sign != 0),
        right=_share(((sign > 0) == helps)[sign != 0]),
        p1_fired=_share(fired),
        p1_right=_share(helps[: len(fired)][fired]),
    )


def _share(of: npt.NDArray[np.bool_]) -> float | None:
    return float(of.mean()) if len(of) else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m theory accuracy", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--trials", type=int, default=100, help="random spectra for each number of measurements"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.trials < 1:
        parser.error(f"--trials must be >= 1, got {options.trials}")
    stream = Stream(options.seed) / "accuracy"
    rows = [measure(n, options.trials, aware, stream) for aware in (False, True) for n in SIZES]
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else table(rows))
    return 0


def table(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown."""
    from tabulate import tabulate

    cells = [
        (
            *(r.student, r.n, r.trials),
            *map(_text, (r.helps, r.p0, r.p2, r.decided, r.right, r.p1_fired, r.p1_right)),
        )
        for r in rows
    ]
    return tabulate(cells, HEADERS, "github", disable_numparse=True, colalign=("left", *["right"] * 9))


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
