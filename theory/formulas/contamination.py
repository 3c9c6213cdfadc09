r"""Normal students of a contaminated teacher, $T = (1-\epsilon) N(0, 1) + \epsilon N(0, R^2)$ on the line."""

from __future__ import annotations

__all__ = [
    "contamination_asymptotic",
    "contamination_forward",
    "contamination_level",
    "contamination_student",
    "spurious_mass",
]

import math
from itertools import pairwise

import numpy as np

from theory.line import OBJECTIVES, Levels, Objective, student_variance
from theory.quadrature import Mixture
from theory.stationary import stationary

NODES = 61  # of a scan for all minima


def spurious_mass(eps: float) -> float:
    r"""$b(\epsilon)$: a student of reverse KL has at most this mass where only the contamination is (B4 iii).

    The larger root of $kl(b \| \epsilon) = \log 1/(1-\epsilon)$, and 1 from $\epsilon = 1/2$ on;
    $b/\epsilon \to e$.
    """
    from scipy.optimize import brentq

    if not 0 <= eps <= 1:
        raise ValueError(f"eps must be in [0, 1], got {eps}")
    if eps == 0 or eps >= 0.5:
        return float(eps > 0)

    def excess(ratio: float) -> float:
        rest = 1 - ratio * eps
        tail = rest * (math.log1p(-ratio * eps) - math.log1p(-eps)) if rest > 0 else 0.0
        return ratio * math.log(ratio) + (tail + math.log1p(-eps)) / eps

    return eps * float(brentq(excess, 1.0, 1 / eps, xtol=1e-15, rtol=1e-14))


def _teacher(eps: float, width: float) -> Mixture:
    return Mixture((1 - eps, eps), (0.0, 0.0), (1.0, width))


def contamination_level(eps: float, width: float, tau: float = 0.0) -> float:
    r"""The student's variance by reverse KL at one level, the global minimum (B4, B5).

    Args:
        eps: The share of the contamination.
        width: Its standard deviation `R`, over that of the clean law.
        tau: The noise variance of the level.
    """
    return _best(Objective(False, Levels(low=float(tau))), _teacher(eps, width))


def _best(objective: Objective, teacher: Mixture) -> float:
    """The best of all minima of an objective of reverse KL, at roots of its derivative."""
    from scipy.optimize import brentq

    def slope(v: float) -> float:
        return objective.slopes(0.0, v, teacher)[1]

    widest = max(teacher.moments[1], 1.0, float(teacher.parts[2].max()) ** 2)
    scan = np.exp(np.linspace(math.log(0.5), math.log(2 * widest), NODES))
    found = [
        float(brentq(slope, low, high, xtol=1e-14, rtol=1e-14))
        for (low, before), (high, after) in pairwise([(v, slope(v)) for v in scan.tolist()])
        if before < 0 <= after
    ]
    return min(found, key=lambda v: objective(0.0, v, teacher))


def contamination_student(eps: float, width: float, objective: str = "reverse KL, dtau") -> float:
    """The student's variance by one of `theory.line.OBJECTIVES`, or `forward KL` (B4, B5).

    The global minimum is found by a fixed rule, and its digits by adaptive quadrature.
    """
    teacher = _teacher(eps, width)
    if objective == "forward KL":
        return student_variance(objective, teacher, 0.5, 2 * max(width, 1.0) ** 2)
    found = OBJECTIVES[objective]
    if found.fisher:
        near = student_variance(objective, teacher, 0.5, 2 * max(width, 1.0) ** 2)
    else:
        near = _best(found, teacher)
    return stationary(found, 0.0, near, teacher).value


def contamination_asymptotic(eps: float, width: float) -> float:
    r"""RKL at 0: $v - 1 \approx \frac{2\epsilon}{3\sqrt{2\pi} R} (2 \log(R/\epsilon))^{3/2}$ (B4)."""
    return 2 * eps / (3 * math.sqrt(2 * math.pi) * width) * (2 * math.log(width / eps)) ** 1.5


def contamination_forward(eps: float, width: float) -> float:
    r"""$v - 1 = \epsilon (R^2 - 1)$, of forward KL, and of any objective at large noise (B4)."""
    return eps * (width**2 - 1)
