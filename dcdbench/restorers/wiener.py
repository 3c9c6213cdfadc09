r"""The best linear estimate, with the signals' mean and covariance learned from the measurements.

Wiener (1949); the moments are those of the Gaussian law under which the measurements are most likely, by
expectation maximisation, as in Rozet et al. (2024), https://arxiv.org/abs/2405.13712, section 3. Small
signals have a covariance of their own for each pair of entries, and posteriors are solved directly, on the
smaller side by Woodbury's identity (1950). Larger images have a stationary law: see `stationary.py`.
"""

from __future__ import annotations

__all__ = ["LARGEST", "LARGEST_FIXED", "Wiener", "moments", "posterior", "unsuited"]

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.restorers.linear import START, matrices, power
from dcdbench.restorers.solvable import Solvable, solvable
from dcdbench.restorers.stationary import StationaryWiener
from dcdbench.streams import Stream

LARGEST = 400  # entries of a signal whose full covariance is learned through operators that differ
LARGEST_FIXED = 1024  # the same where all measurements have one operator, so that one system is solved
NUMBERS = 4_000_000  # of matrices at a time
KEPT = 2**26  # numbers of matrices that are kept from lap to lap: 512 MiB; others are made again in each lap
LEADING = 1000  # measurements of the laps that only lead to the last ones, at least
FEWER, WHOLE = 4, 0.2  # these take a quarter of the measurements; the last fifth of the laps takes all
SLOW = 8.0  # operations of large products that take as long as one on small matrices in double precision


@dataclass(frozen=True)
class Wiener:
    r"""`mu + C A^T (A C A^T + sigma_y^2 I)^-1 (y - A mu)`.

    The covariance is full for signals of at most 400 entries (1024 where all measurements have the same
    operator), and that of a stationary law for larger images. Nothing else can be restored: see `unsuited`.

    Args:
        laps: Steps of expectation maximisation, which starts from white signals with a tenth of the power:
            directions that A all but hides would else be filled with noise.
        most: From how many measurements the full covariance is learned: the last fifth of the laps takes all
            of these, the others a quarter, at least 1000.
        tol: The last laps end early once one changes the covariance by less than this share of it, >= 0.
        stationary: The estimate of larger images.
    """

    laps: int = 20
    most: int = 4000
    tol: float = 1e-3
    stationary: StationaryWiener = field(default_factory=StationaryWiener)

    def operations(self, corruption: Corruption, shape: tuple[int, ...], n: int) -> float:
        """Operations of large matrix products that take about as long as restoring `n` measurements."""
        random = corruption.operator.random
        if not _full(shape, random):
            return self.stationary.operations(corruption, shape, n)
        d, m = math.prod(shape), math.prod(corruption.operator.measured_shape(shape))
        used = min(n, self.most)
        few = min(used, max(LEADING, used // FEWER))
        laps = self.laps * (WHOLE * used + (1 - WHOLE) * few) + n
        solved = laps if random else self.laps + 1
        made = n if random else 1  # once for all laps
        each = 2 * min(m, d) ** 3 + (2 * min(m, d) * d * d if m <= d else 0)
        return SLOW * (made * 2 * m * d * (d + 10) + solved * each + 4 * laps * d * (min(m, d) + d))

    def restore(self, denoiser: Any, problem: Problem, stream: Stream) -> Tensor:
        """One signal per training measurement, `(n, *signal)`.

        Raises:
            ValueError: The signals are neither small nor images.
        """
        m, random = problem.train.to(dtype=torch.float64), problem.corruption.operator.random
        if reason := unsuited(m.shape, random):
            raise ValueError(reason)
        if not _full(m.shape, random):
            return self.stationary.restore(denoiser, problem, stream)
        kept: list[Solvable] = []
        rng = (stream / "moments").rng(m.y.device)
        mean, cov = moments(m[: self.most], not random, self.laps, rng, self.tol, kept)
        used = kept if random else []  # one operator is a piece of all measurements
        parts = [part.posterior(mean, cov)[0] for part in remembered(m, not random, used)]
        return torch.cat(parts).reshape(len(m), *m.shape).to(problem.train.y)


def _full(shape: tuple[int, ...], random: bool) -> bool:
    return math.prod(shape) <= (LARGEST if random else LARGEST_FIXED)


def unsuited(shape: tuple[int, ...], random: bool) -> str | None:
    """The reason why such signals cannot be restored, or None.

    Args:
        shape: That of one signal.
        random: Whether operators differ from measurement to measurement.
    """
    if _full(shape, random) or len(shape) == 3:
        return None
    most = LARGEST if random else LARGEST_FIXED
    return (
        f"wiener needs images, or signals of at most {most} entries: it learns a full covariance, or that of "
        f"a stationary law of images, and these signals have the shape {tuple(shape)}"
    )


def moments(
    m: Measurement,
    same: bool,
    laps: int,
    rng: torch.Generator,
    tol: float = 0.0,
    kept: list[Solvable] | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean `(d,)` and the covariance `(d, d)` of signals, float64.

    Args:
        m: The measurements, of linear operators.
        same: Whether all have the same operator.
        laps: Steps of expectation maximisation, at most.
        rng: For the first guess of the signals' power.
        tol: The relative change of the covariance, by the Frobenius norm, below which a lap is the last.
        kept: Takes the first of the systems, as many as fit in memory, for further use; empty.
    """
    eye = torch.eye(math.prod(m.shape), dtype=torch.float64, device=m.y.device)
    mean, cov = eye.new_zeros(len(eye)), START * power(m, rng) * eye
    kept = [] if kept is None else kept
    few, whole = m[: max(LEADING, len(m) // FEWER)], laps - max(1, round(WHOLE * laps))
    whole = whole if len(few) < len(m) else 0
    for lap in range(laps):
        used = few if lap < whole else m
        first, second = torch.zeros_like(mean), torch.zeros_like(cov)
        for part in remembered(used, same, kept):
            x, left = part.posterior(mean, cov)
            first = first + x.sum(0)
            second = second + x.mT @ x + left.sum(0) * (len(x) / len(left))
        mean, before = first / len(used), cov
        cov = second / len(used) - torch.outer(mean, mean)
        if lap >= whole and float((cov - before).norm()) < tol * float(cov.norm()):
            break
    return mean, cov


def posterior(m: Measurement, A: Tensor, mean: Tensor, cov: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior means `(n, d)` and covariances `(n or 1, d, d)` of signals with a Gaussian law.

    Args:
        m: Measurements.
        A: Their operators, `(n, m, d)`, or `(1, m, d)` where all are the same.
        mean: That of signals, `(d,)`.
        cov: Their covariance, `(d, d)`.
    """
    return solvable(m, A).posterior(mean, cov)


def pieces(m: Measurement, same: bool, first: int = 0) -> Iterator[Solvable]:
    """Measurements from the `first` on with what solving for them needs, in portions that fit in memory."""
    size = max(1, len(m) if same else NUMBERS // (m.y[0].numel() * math.prod(m.shape)))
    for k in range(first, len(m), size):
        part = m[k : k + size]
        yield solvable(part, matrices(part[:1] if same else part))


def remembered(m: Measurement, same: bool, kept: list[Solvable]) -> Iterator[Solvable]:
    """The pieces, of which the first are `kept` from the call before; the others are made again."""
    yield from kept
    room = KEPT - sum(piece.numbers for piece in kept)
    for piece in pieces(m, same, sum(len(piece) for piece in kept)):
        room -= piece.numbers  # never positive again after the first that does not fit: the first are kept
        if room >= 0:
            kept.append(piece)
        yield piece
