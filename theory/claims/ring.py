r"""Fewer aware components than modes help where the modes that one stands for are close, beside the noise.

Eight modes of standard deviation s on a ring, four components or other numbers, reverse KL at level 0.
Distances are known by bounds: from above by plans between components, which for the sampler of y's law is
$2(\sqrt{s^2+\sigma^2} - s)^2$; from below by sums over two axes. The verdict is that of the bounds which
speak against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import pi, sin, sqrt

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.estimates import ROUNDING, repeated
from theory.plane import Rounds, along_axes, ring, student, w2_bounds
from theory.quadrature import UNIT_STEP, w2_squared, w2_transport

MODES, S = 8, 0.3
TURNS = 0.0, pi / MODES, 2 * pi / MODES  # of the axes


def above(name: str, laws: Sequence[Rounds], clean: Rounds, closed: float) -> Check:
    """The upper bound, which an explicit plan attains, of a law, or of one that was found several times."""
    bounds = [w2_bounds(law, clean)[1] for law in laws]
    return Check.of(name, repeated([*bounds, bounds[0]], ROUNDING), closed)


def below(name: str, law: Rounds, clean: Rounds) -> Check:
    """The lower bound along the best two axes of some, by two rules of quadrature."""

    def along(turn: float, step: float = UNIT_STEP) -> float:
        return along_axes(law, clean, turn, partial(w2_squared, step=step))

    turn = max(TURNS, key=along)
    found = repeated([along(turn), along(turn, 2 * UNIT_STEP)])
    return Check.of(name, found, along_axes(law, clean, turn, w2_transport), 1e-3)


def merged(count: int) -> float:
    """The root mean square distance of modes from the mean of their group, over the radius."""
    n = MODES // count
    return sqrt(max(0.0, 1 - (sin(n * pi / MODES) / (n * sin(pi / MODES))) ** 2))


def fitted(count: int, radius: float, sigma: float, aware: bool = True) -> Rounds:
    """The student, from components at the means of groups of modes and from components at modes."""
    apart = merged(count) * radius
    middles = ring(count, sqrt(radius**2 - apart**2), S**2 + apart**2 / 2, (MODES / count - 1) * pi / MODES)
    starts = [middles, ring(count, 0.97 * radius, S**2)]
    return student(ring(MODES, radius, S**2 + sigma**2), starts, aware=sigma**2 if aware else 0.0)


def again(found: Rounds, radius: float, sigma: float, aware: bool = True) -> Rounds:
    """The student from components beside those that were found."""
    beside = Rounds(1.01 * found.means, 1.02 * found.variance)
    return student(ring(MODES, radius, S**2 + sigma**2), [beside], aware=sigma**2 if aware else 0.0)


def evidence(count: int, radius: float, sigma: float, nearer: bool) -> Evidence:
    """Bounds against what is expected: that the student is nearer, or is not."""
    clean, teacher = ring(MODES, radius, S**2), ring(MODES, radius, S**2 + sigma**2)
    found = fitted(count, radius, sigma)
    if nearer:
        places = float(((found.means[:, None] - clean.means) ** 2).sum(-1).min(0).mean())
        both = [found, again(found, radius, sigma)]
        closed = places + 2 * (sqrt(found.variance) - S) ** 2  # each mode to the next component
        return Evidence(
            below("teacher, at least", teacher, clean),
            above("student, at most", both, clean, closed),
        )
    most = 2 * (sqrt(S**2 + sigma**2) - S) ** 2
    return Evidence(
        above("teacher, at most", [teacher], clean, most), below("student, at least", found, clean)
    )


CLAIM = Claim(
    statement="A ring of eight modes, sampler of y's law: four aware components are nearer.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(4, 2.0, 0.5, nearer=False),
    expects=Verdict.FAILS,
    control=Control(
        "half the radius, twice the noise", lambda: evidence(4, 1.0, 1.0, nearer=True), Verdict.HOLDS
    ),
    source=OURS,
    setting="the plane, radius 2, s = .3, sigma = .5",
)
