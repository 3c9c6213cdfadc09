r"""W2 from samples: the whole recipe, which covers in at most two dimensions, and its parts, which do not.

The distance of two samples of size n is biased by $n^{-2/d}$. The recipe: points stratified over modes,
scrambled Sobol points within, the same latents for teacher and student and the same clean points, own
distances taken off, $W(p, q) - \frac12 W(p, p') - \frac12 W(q, q')$, Student's interval over independent
blocks, and a margin $|D_m - D_{m/2}| r / (1 - r)$, $r = 2^{-2/\max(d, 2)}$, for the bias that is left. In
higher dimensions no such interval covers, and none is returned.
"""

from __future__ import annotations

__all__ = ["debiased", "plain", "plug_in", "w2_difference", "w2_interval"]

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, Law, frechet
from dcdbench.linalg import distances
from theory.divergences.estimate import Estimate, Kind, t_interval
from theory.divergences.samples import latents, spread
from theory.divergences.transport import transport

MOST_DIM = 2
Weighted = tuple[Tensor, Tensor]


def _w2(p: Weighted, q: Weighted) -> float:
    return transport(p[0], q[0], distances(p[1], q[1]).square())


def _even(x: Tensor) -> Weighted:
    return torch.full((len(x),), 1 / len(x), dtype=torch.float64), x.double()


def plain(x: Tensor, y: Tensor) -> float:
    """W2 (squared) of two samples, `(n, d)` and `(m, d)`; that of their laws it overestimates."""
    return _w2(_even(x), _even(y))


def debiased(x: Tensor, x2: Tensor, y: Tensor, y2: Tensor) -> float:
    """The same, less half of the distances between independent samples of each law."""
    return plain(x, y) - (plain(x, x2) + plain(y, y2)) / 2


def plug_in(x: Tensor, y: Tensor) -> float:
    """The Bures distance of sample moments: it estimates Gelbrich's lower bound, a metric of its own."""
    p, q = (Gaussian(z.double().mean(0), torch.cov(z.double().mT)) for z in (x, y))
    return frechet(p, q)


def _blocks(
    draw: Callable[[], tuple[Tensor, ...]],
    distance: Callable[[tuple[Tensor, ...]], float],
    dim: int,
    blocks: int,
    margin: bool,
) -> Estimate:
    """The interval from `distance` of the latents in each block, and of the first half of them."""
    drawn = [draw() for _ in range(blocks)]
    whole = [distance(z) for z in drawn]
    if dim > MOST_DIM:
        return Estimate.undecided(sum(whole) / blocks)
    if not margin:
        return replace(t_interval(whole), kind=Kind.SPREAD)
    half = [distance(tuple(part[:, : part.shape[1] // 2] for part in z)) for z in drawn]
    r = 2 ** (-2 / max(dim, 2))
    return t_interval(whole, abs(sum(whole) - sum(half)) / blocks * r / (1 - r))


def w2_interval(
    p: Law, q: Law, rng: torch.Generator, *, size: int = 128, blocks: int = 8, margin: bool = True
) -> Estimate:
    """W2 (squared) between laws of at most two dimensions; beyond, a value without bounds.

    Args:
        p: A law to draw from.
        q: Another one.
        rng: Randomness.
        size: Points for each component; a power of 2, as Sobol points should be.
        blocks: Independent repetitions.
        margin: Whether the interval is widened by the bias that is left; without, it is of kind `SPREAD`.
    """
    modes = max(len(law.components[0]) for law in (p, q))

    def draw() -> tuple[Tensor, ...]:
        return tuple(latents(modes, size, p.dim, rng) for _ in range(4))

    def distance(z: tuple[Tensor, ...]) -> float:
        a, a2, b, b2 = (spread(law, part) for law, part in zip((p, p, q, q), z, strict=True))
        return _w2(a, b) - (_w2(a, a2) + _w2(b, b2)) / 2

    return _blocks(draw, distance, p.dim, blocks, margin)


def w2_difference(
    student: Law,
    teacher: Law,
    clean: Law,
    rng: torch.Generator,
    *,
    size: int = 128,
    blocks: int = 8,
    margin: bool = True,
) -> Estimate:
    """`W2(student, clean) - W2(teacher, clean)`, squared, in at most two dimensions.

    Args:
        student: A law to draw from.
        teacher: The one to compare with; it gets the student's latents.
        clean: The law of clean data; both are compared with the same points of it.
        rng: Randomness.
        size: Points for each component; a power of 2.
        blocks: Independent repetitions.
        margin: Whether the interval is widened by the bias that is left; without, it is of kind `SPREAD`.
    """
    modes = max(len(law.components[0]) for law in (student, teacher, clean))

    def draw() -> tuple[Tensor, ...]:
        return tuple(latents(modes, size, clean.dim, rng) for _ in range(3))

    def distance(z: tuple[Tensor, ...]) -> float:
        x = spread(clean, z[2])
        (s, s2), (t, t2) = ((spread(law, z[0]), spread(law, z[1])) for law in (student, teacher))
        return _w2(s, x) - _w2(t, x) - (_w2(s, s2) - _w2(t, t2)) / 2  # that of clean data drops out

    return _blocks(draw, distance, clean.dim, blocks, margin)
