r"""Two modes with something spurious, and a student that has two components and no place for it.

The clean law is $\frac12 N(\pm 3, .5^2)$, the student $\frac12 N(\pm a, v)$ by reverse KL at one level.
Above, a broad component: its share against its width, at level 0. Below, a bridge of narrow components
between the modes: its share against the level.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np

from theory.claim import Evidence
from theory.claims.broad_beside_modes import STARTS, contaminated
from theory.claims.mode_bridge import S2, M, bridged
from theory.panels import Axis, Phase, contrast
from theory.plots import Diagram
from theory.quadrature import STEP, Array, Mixture, kl, pair, w2_squared, w2_transport

CLEAN = pair(M, S2)
COARSE = 1.6  # how much wider the steps of a second rule are
Found = tuple[Mixture, Mixture]
Case = Callable[[float, float], Found]
METRICS = {
    "W2": r"$W_2^2$",
    "X": r"$\mathrm{KL}(\mathrm{clean}\,\|\,\cdot)$",
    "G": r"$\mathrm{KL}(\cdot\,\|\,\mathrm{clean})$",
}


def student(teacher: Mixture, tau: float) -> Mixture:
    """The global minimiser of reverse KL at a level, by descent from modes and from wide laws."""
    from scipy.optimize import minimize

    noisy = teacher.noised(tau)

    def loss(q: Array) -> float:
        law = pair(float(q[0]), float(np.exp(q[1])) + tau)
        return kl(law, noisy, STEP * min(2.0, max(0.2, 2 * noisy.stds[0] / law.stds[0])))

    options = {"xatol": 1e-6, "fatol": 1e-12, "maxiter": 300}
    ends = [minimize(loss, [m, np.log(v)], method="Nelder-Mead", options=options) for m, v in STARTS]
    best = min(ends, key=lambda end: float(end.fun)).x
    return pair(abs(float(best[0])), float(np.exp(best[1])))


@cache
def broad(width: float, share: float) -> Found:
    """Teacher and student for a broad component."""
    teacher = contaminated(width, share)
    return teacher, student(teacher, 0.0)


@cache
def bridge(tau: float, share: float) -> Found:
    """Teacher and student for a bridge."""
    teacher = bridged(share)
    return teacher, student(teacher, tau)


def distance(metric: str, law: Mixture) -> tuple[float, float]:
    """To the clean law, by two rules of quadrature."""
    if metric == "W2":
        return w2_squared(law, CLEAN), w2_transport(law, CLEAN)
    p, q = (CLEAN, law) if metric == "X" else (law, CLEAN)
    step = STEP * min(1.0, min(q.stds) / min(p.stds))
    return kl(p, q, step), kl(p, q, COARSE * step)


def cell(case: Case, metric: str, x: float, share: float) -> Evidence:
    """Both distances at a point."""
    teacher, found = case(x, share)
    return contrast(distance(metric, teacher), distance(metric, found))


SHARE = Axis(r"share $\epsilon$ of the mass", 0.01, 0.6, log=True)
CASES: dict[str, tuple[Case, Axis]] = {
    r"broad, RKL, $\tau=0$": (broad, Axis(r"width $R$, modes at $\pm 3$ with $s=0.5$", 1.0, 30.0, log=True)),
    "bridge, RKL": (bridge, Axis(r"noise variance $\tau$ of the objective", 0.01, 30.0, log=True)),
}
DIAGRAM = Diagram(
    tuple(
        Phase(f"{label}: {title}", axis, SHARE, partial(cell, case, metric))
        for title, (case, axis) in CASES.items()
        for metric, label in METRICS.items()
    ),
    columns=len(METRICS),
    cells=14,
    quick=3,
    claims=("mode_bridge", "broad_beside_modes"),
)
