r"""The distillers themselves, on random masks: they compare seen entries alone, and no student is narrow.

Each mask M compares the law $M S M + \tau M$ of seen fakes with that of seen data. For SiD the update is
$\sum_M p_M \tau^2 M [P_M^2 - Q_M^2 + (2\alpha - 1)(P_M - Q_M)^2] M U$ with the precisions $P_M$ of noisy
fakes and $Q_M$ of noisy data, for DMD $\sum_M p_M \tau M (P_M - Q_M) M U$, but for the division by the
teacher's error. It vanishes at $S = \Sigma$, and from a narrow start it ends there if masks show all pairs
at times. Neither the comparison of seen entries, nor the division by the teacher's error, nor $\alpha$
makes a student narrow whose teacher and critic are exact.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from dcdbench.distillers.dmd import DMD
from dcdbench.protocols import Distiller
from theory.claim import OURS, Check, Control, Identity
from theory.generator import LEVEL, TAU, Corrupted, sid, velocity

KEEP = 0.5
RATE, STEPS, CLOSE = 0.5, 100, 1e-4  # of descent, and what is left after it
COV = torch.tensor([[1.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
NARROW = 0.7 * torch.tensor([[1.0, 0.1], [0.0, 0.7]], dtype=torch.float64)
Masks = list[tuple[int, ...]]
ALL: Masks = [mask for mask in product((0, 1), repeat=2) if any(mask)]
ONE: Masks = [(0, 1), (1, 0)]
DISTILLERS: dict[str, tuple[Distiller, float]] = {  # with twice alpha - 1
    "SiD": (sid(0.75), 0.5),
    "SiD, alpha 1.2": (sid(1.2), 1.4),
    "DMD": (DMD(**LEVEL), 0.0),
}


def share(mask: tuple[int, ...]) -> float:
    """How often entries are seen like this."""
    return float(KEEP ** sum(mask) * (1 - KEEP) ** (len(mask) - sum(mask)))


def update(distiller: Distiller, U: Tensor, masks: Masks, *, divided: bool) -> Tensor:
    """The mean update over masks, `divided` by the teacher's error or not; what shows nothing gives none."""
    moved = torch.zeros_like(U)
    for mask in masks:
        seen = Corrupted(torch.diag(torch.tensor(mask, dtype=torch.float64)), 0.0)
        force = velocity(distiller, U, seen.covariance(COV), corrupted=seen, scaled=not divided)
        moved += share(mask) * force
    return moved


def closed(name: str, U: Tensor, masks: Masks) -> Tensor:
    """The update by the formula."""
    moved, noise = torch.zeros_like(U), TAU * torch.eye(len(U), dtype=torch.float64)
    for mask in masks:
        M = torch.diag(torch.tensor(mask, dtype=torch.float64))
        P, Q = (torch.linalg.inv(M @ S @ M + noise) for S in (U @ U.mT, COV))
        gap = P - Q
        force = TAU * gap if name == "DMD" else TAU**2 * (P @ P - Q @ Q + DISTILLERS[name][1] * gap @ gap)
        moved += share(mask) * M @ force @ M @ U
    return moved


def ended(distiller: Distiller, masks: Masks) -> Tensor:
    """The student's covariance, from a narrow start."""
    U = NARROW
    for _ in range(STEPS):
        U = U + RATE * update(distiller, U, masks, divided=True)
    return U @ U.mT


def evidence(masks: Masks) -> tuple[Check, ...]:
    """Whether updates vanish at the truth, and where they end."""
    truth, checks = torch.linalg.cholesky(COV), []
    for name, (each, _) in DISTILLERS.items():
        theory = closed(name, NARROW, masks)
        off = float((update(each, NARROW, masks, divided=False) - theory).norm() / theory.norm())
        checks.append(Check(f"{name}, update: error", off, 0.0))
        for divided in (True, False):
            at = "divided by the teacher's error" if divided else "undivided"
            size = float(update(each, truth, masks, divided=divided).norm())
            checks.append(Check(f"{name}, update at the clean law, {at}", size, 0.0))
        error = float((ended(each, masks) - COV).norm())
        checks.append(Check(f"{name}, from a narrow start: error", error, 0.0, floor=CLOSE))
    return tuple(checks)


CLAIM = Identity(
    statement="SiD and DMD, on fakes that are seen through random masks, end in the clean covariance from a "
    "narrow start, if masks show all pairs at times.",
    source=OURS,
    evidence=lambda: evidence(ALL),
    control=Control(
        "masks of one coordinate",
        lambda: evidence(ONE),
        breaks=("*narrow start*",),
    ),
    setting="d=2, correlation 0.85, each entry seen with probability 1/2, tau=0.25, exact critics, "
    "the distillers' own code",
)
