r"""A broad contamination of a normal law: its share against its width, for each objective in three metrics.

$T = (1-\epsilon) N(0,1) + \epsilon N(0,R^2)$, student $N(0, v)$. In $W_2$ the student is nearer wherever v is
at most the variance of forward KL, by Gelbrich's bound; in KL(. || clean) likewise for forward KL by
Pythagoras; in KL(clean || .) not where there is much of it.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from theory.claim import Evidence
from theory.line import OBJECTIVES, student_variance
from theory.panels import COARSE, Axis, Phase, contrast
from theory.plots import Diagram
from theory.quadrature import Mixture, kl, normal, w2_squared, w2_transport
from theory.stationary import stationary

NAMES = {
    "reverse KL, tau = 0": r"RKL, $\tau=0$",
    "reverse KL, dt": r"RKL, $dt$",
    "reverse KL, dtau": r"RKL, $d\tau$",
    "SiD, EDM levels": "SiD, EDM levels",
    "forward KL": r"FKL, $\tau=0$",
}
METRICS = {
    "W2": r"$W_2^2$",
    "X": r"$\mathrm{KL}(\mathrm{clean}\,\|\,\cdot)$",
    "G": r"$\mathrm{KL}(\cdot\,\|\,\mathrm{clean})$",
}
CLEAN = normal(0.0, 1.0)
Twice = tuple[float, float]


def contaminated(width: float, share: float) -> Mixture:
    """The teacher's law."""
    return Mixture((1 - share, share), (0.0, 0.0), (1.0, width))


@cache
def variances(name: str, width: float, share: float) -> Twice:
    """The student's variance by minimisation, and by a root or in closed form."""
    teacher = contaminated(width, share)
    v = student_variance(name, teacher, 0.7, 1.5 * width**2)
    if name == "forward KL":
        return v, 1 + share * (width**2 - 1)
    return v, stationary(OBJECTIVES[name], 0.0, v, teacher, rtol=COARSE / 100).value


@cache
def far(metric: str, width: float, share: float) -> Twice:
    """The teacher's distance, by two rules of quadrature."""
    teacher = contaminated(width, share)
    if metric == "W2":
        return w2_squared(teacher, CLEAN, 0.004), w2_transport(teacher, CLEAN)
    p, q = (CLEAN, teacher) if metric == "X" else (teacher, CLEAN)
    return kl(p, q), kl(p, q, 0.08)


def near(metric: str, v: float) -> float:
    """The student's, in closed form."""
    if metric == "W2":
        return float((np.sqrt(v) - 1) ** 2)
    return float(0.5 * (1 / v - 1 + np.log(v)) if metric == "X" else 0.5 * (v - 1 - np.log(v)))


def cell(metric: str, name: str, width: float, share: float) -> Evidence:
    """Both distances at a point."""
    first, second = variances(name, width, share)
    return contrast(far(metric, width, share), (near(metric, first), near(metric, second)))


WIDTH = Axis("width $R$ / clean width", 1.5, 30.0, log=True)
SHARE = Axis(r"share $\epsilon$ of the mass", 0.01, 0.6, log=True)
DIAGRAM = Diagram(
    tuple(
        Phase(f"{label}: {title}", WIDTH, SHARE, partial(cell, metric, name))
        for metric, label in METRICS.items()
        for name, title in NAMES.items()
    ),
    columns=len(NAMES),
    cells=12,
    quick=3,
    claims=("contamination_w2", "contamination_kl", "contamination_at_zero", "contamination_order"),
)
