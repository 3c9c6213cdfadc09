r"""SiD keeps the leading directions for $\alpha \ge 1/2$: others die out of a column that holds a larger one.

A column of U along axis i with variance $c_i$ is stationary. With $\kappa = c/(c + \tau)$ a small part
along axis j grows at the rate $2(\kappa_j - \kappa_i)(1 - \kappa_i/2 + (\alpha - 1)\kappa_j)$, times a
positive number. Its sign is that of $c_j - c_i$ for $\alpha \ge 1/2$; for $\alpha = 0$ it can be reversed.
"""

from __future__ import annotations

import math
from itertools import permutations

import torch

from theory.claim import OURS, Check, Control, Identity
from theory.generator import TAU, sid, velocity

SPECTRUM = [4.0, 1.0, 0.3]
SMALL = 1e-6


def growth(i: int, j: int, alpha: float) -> float:
    """The rate at which a small part along j grows in a column along i."""
    U = torch.zeros(len(SPECTRUM), 1, dtype=torch.float64)
    U[i], U[j] = math.sqrt(SPECTRUM[i]), SMALL
    return float(velocity(sid(alpha), U, torch.diag(torch.tensor(SPECTRUM, dtype=torch.float64)))[j]) / SMALL


def closed(i: int, j: int, alpha: float) -> float:
    """The rate of theory."""
    kept, other = (c / (c + TAU) for c in (SPECTRUM[i], SPECTRUM[j]))
    return 2 * (other - kept) * (1 - kept / 2 + (alpha - 1) * other)


def evidence(alphas: tuple[float, ...]) -> tuple[Check, ...]:
    """The rates of all pairs, and their signs."""
    checks = []
    for alpha in alphas:
        for i, j in permutations(range(len(SPECTRUM)), 2):
            rate, name = growth(i, j, alpha), f"alpha={alpha:g}, {j + 1} in {i + 1}"
            sign = 1.0 if SPECTRUM[j] > SPECTRUM[i] else -1.0
            checks += [
                Check(f"rate, {name}", rate, closed(i, j, alpha)),
                Check(f"sign, {name}", math.copysign(1.0, rate), sign),
            ]
    return tuple(checks)


CLAIM = Identity(
    statement="Under SiD with alpha >= 1/2 a direction grows in a generator's column if and only if "
    "the teacher's variance along it is larger than the column's.",
    source=OURS,
    evidence=lambda: evidence((0.5, 1.0, 1.2)),
    control=Control(
        "alpha = 0",
        lambda: evidence((0.0,)),
        breaks=(
            "sign, alpha=0, 2 in 1",
            "sign, alpha=0, 3 in 1",
            "sign, alpha=0, 1 in *",
            "sign, alpha=0, 2 in 3",
        ),
    ),
    setting="d=3, tau=0.25, the distiller's own code",
)
