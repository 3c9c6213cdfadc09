r"""What measurements determine: ranks of the maps from moments of signals to moments of measurements.

For a linear `A` with a known draw per sample, means of signals are determined if `E[A^T A]` has full
rank, and covariances if `S -> E[A^T A S A^T A]` has full rank on symmetric matrices. The first does not
imply the second: a mask that shows one entry at a time shows no pair. Each draw's part lies in the range
of the mean, so that the rank of an average over draws only grows with their number.
"""

from __future__ import annotations

__all__ = ["Ranks", "explain", "fits", "mean_has_full_rank", "moment_ranks", "small"]

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.protocols import OperatorLaw
from dcdbench.streams import Stream

RTOL = 1e-9  # eigenvalues below this share of the greatest count as zero
SMALL = 16  # entries of signals whose ranks are cheap
FIXED = 256  # the same where all samples share one operator
CHUNK = 4096  # signals that are measured at once
GROWTH = 4  # by this factor the number of draws grows
MOST = 4096  # draws
PATIENCE = 2  # times that it grows and the ranks do not, after which they have settled


@dataclass(frozen=True)
class Ranks:
    """Ranks of the maps of moments, each with the rank it would have if it determined everything.

    Args:
        mean: That of `E[A^T A]`, of `d`.
        second: That of `S -> E[A^T A S A^T A]` on symmetric matrices, of `d (d + 1) / 2`.
        settled: Whether they are full or had stopped growing with the number of draws. Else they are
            bounds from below, as for masks that hardly ever show two entries.
    """

    mean: tuple[int, int]
    second: tuple[int, int]
    settled: bool = True


def moment_ranks(
    law: OperatorLaw, shape: tuple[int, ...], draws: int = 64, rng: torch.Generator | None = None
) -> Ranks:
    """The ranks for signals of `shape`, by Monte Carlo over draws of a linear law.

    Memory grows with the fourth power of the number of entries: up to 36 of them take a second.

    Args:
        law: A law over linear operators.
        shape: The shape of one signal.
        draws: How many draws at first; more until the ranks have stopped growing.
        rng: Where draws come from; by default the same ones at every call.
    """
    if not law.linear:
        raise ValueError(f"ranks are those of linear operators, and {type(law).__name__} is not linear")
    d = math.prod(shape)
    full = d, d * (d + 1) // 2
    found: list[tuple[int, int]] = []
    for normal in _growing(law, shape, draws, rng or Stream(0).rng()):
        found.append(_ranks(normal))
        settled = found[-1] == full or found[-1 - PATIENCE :].count(found[-1]) > PATIENCE
        if settled or not law.random:
            break
    (mean, second), settled = found[-1], settled or not law.random
    return Ranks((mean, full[0]), (second, full[1]), settled)


def _growing(law: OperatorLaw, shape: tuple[int, ...], draws: int, rng: torch.Generator) -> Iterator[Tensor]:
    """`A^T A` of all draws so far, `(n, d, d)`, more each time."""
    normal = _normal(law, shape, draws if law.random else 1, rng)
    yield normal
    while len(normal) < MOST:
        more = min(GROWTH * len(normal), MOST) - len(normal)
        normal = torch.cat([normal, _normal(law, shape, more, rng)])
        yield normal


def _normal(law: OperatorLaw, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Tensor:
    """`A^T A` of `n` draws, `(n, d, d)`."""
    A, d = law.draw(shape, n, rng).to(dtype=torch.float64), math.prod(shape)
    basis = torch.eye(d, dtype=torch.float64, device=rng.device).reshape(d, *shape)
    parts = []
    for part in torch.arange(n, device=rng.device).split(max(1, CHUNK // d)):
        each = A[part.repeat_interleave(d)]
        columns = each.adjoint(each(basis.repeat(len(part), *(1,) * len(shape))))
        parts.append(columns.reshape(len(part), d, d).mT)
    return torch.cat(parts)


def _ranks(normal: Tensor) -> tuple[int, int]:
    """The ranks of the mean of `P`, and of `S -> mean of P S P`, for `P` of shape `(n, d, d)`.

    The second is found for `M^{-1/2} P M^{-1/2}` with the mean `M`, in the range of `M`: the same rank,
    but independent of how well each `P` is conditioned.
    """
    values, vectors = torch.linalg.eigh(normal.mean(0))
    kept = values > RTOL * values[-1].clamp(min=1e-300)
    rank = int(kept.sum())
    if rank == 0:
        return 0, 0
    whitening = vectors[:, kept] / values[kept].sqrt()
    white = (whitening.mT @ normal @ whitening).flatten(1)
    products = (white.mT @ white / len(white)).reshape(rank, rank, rank, rank)  # P_ac P_bd as acbd
    squares = products.permute(0, 2, 1, 3).reshape(rank**2, rank**2)
    basis = _symmetric_basis(rank).to(normal)
    eigenvalues = torch.linalg.eigvalsh(basis.mT @ squares @ basis)
    return rank, int((eigenvalues > RTOL * eigenvalues[-1]).sum())


def _symmetric_basis(d: int) -> Tensor:
    """An orthonormal basis of symmetric matrices, `(d * d, d (d + 1) / 2)`."""
    rows, columns = torch.triu_indices(d, d)
    count = torch.arange(len(rows))
    basis = torch.zeros(d, d, len(rows), dtype=torch.float64)
    scale = torch.where(rows == columns, 1.0, 0.5**0.5).double()
    basis[rows, columns, count] = scale
    basis[columns, rows, count] = scale
    return basis.reshape(d * d, -1)


def small(law: OperatorLaw, shape: tuple[int, ...], entries: int = SMALL) -> tuple[int, ...] | None:
    """The largest shape that fits the law, cut from `shape` to at most so many entries; None if none fits."""
    if math.prod(shape) <= entries:
        return shape
    kept, space = (shape[0],) if len(shape) > 1 else (), shape[1:] if len(shape) > 1 else shape
    for size in range(max(space), 0, -1):
        cut = (*kept, *(min(size, s) for s in space))
        if math.prod(cut) <= entries and fits(law, cut):
            return cut
    return None


def fits(law: OperatorLaw, shape: tuple[int, ...]) -> bool:
    """Whether the law takes signals of this shape: a ValueError says that it does not."""
    try:
        law.measured_shape(shape)
        law.draw(shape, 1, Stream(0).rng())
    except ValueError:
        return False
    return True


def mean_has_full_rank(law: OperatorLaw, shape: tuple[int, ...]) -> bool:
    """Whether `E[A^T A]` has full rank, by draws, on a small version of large shapes.

    For laws that do not know it in closed form. False where no small version fits.
    """
    cut = small(law, shape, SMALL if law.random else FIXED)
    if cut is None:
        return False
    total = torch.zeros(math.prod(cut), math.prod(cut), dtype=torch.float64)
    rng, seen, draws = Stream(0).rng(), 0, 64 if law.random else 1
    while seen < (MOST if law.random else 1):
        total += _normal(law, cut, draws, rng).sum(0)
        values = torch.linalg.eigvalsh(total)
        if bool((values > RTOL * values[-1].clamp(min=1e-300)).all()):
            return True
        seen, draws = seen + draws, GROWTH * draws
    return False


def explain(law: OperatorLaw, shape: tuple[int, ...]) -> str | None:
    """Why the law of signals cannot be learned from such measurements; None if no reason is known.

    Second moments are looked at for signals of at most 16 entries, such as are cut from larger ones.
    """
    if not law.identifiable(shape):
        if not law.linear:
            return "A is not injective, so that signals which differ are measured alike"
        return "E[A^T A] is singular, so that parts of the signal are never measured"
    cut = small(law, shape) if law.linear and law.random else None
    if cut is None or not law.identifiable(cut):
        return None
    ranks = moment_ranks(law, cut)
    rank, full = ranks.second
    if rank == full or not ranks.settled:
        return None
    where = "" if cut == tuple(shape) else f" for signals of shape {cut}"
    return (
        f"S -> E[A^T A S A^T A] has rank {rank} of {full}{where}, so that not all covariances are determined"
    )
