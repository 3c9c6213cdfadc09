r"""Where the family cannot match the teacher, objectives differ: isotropic students are power means.

At level $\tau$ the best $N(0, vI)$ has $v + \tau$ equal to the power mean of $c_i + \tau$ of order -1 for
reverse KL, -2 for reverse Fisher and +1 for both forward ones. All tend to the mean of $c_i$ as $\tau$
grows.
"""

from __future__ import annotations

import torch
from scipy.optimize import minimize_scalar

from theory.claim import OURS, Check, Control, Identity
from theory.distil import OBJECTIVES
from theory.spectra import gaussian

SPECTRUM = [3.0, 1.0, 0.4]
ORDERS = {"reverse KL": -1, "reverse Fisher": -2, "forward KL": 1, "forward Fisher": 1}
LEVELS = (0.1, 1.0)
TINY = 1e-5  # the accuracy of a minimum found without derivatives


def best(name: str, tau: float) -> float:
    """The variance that minimises an objective at one level."""
    eye = torch.eye(len(SPECTRUM), dtype=torch.float64)
    c = (gaussian(SPECTRUM).cov + tau * eye)[None]

    def loss(v: float) -> float:
        return float(OBJECTIVES[name]((v + tau) * eye[None], c))

    found = minimize_scalar(loss, bounds=(1e-3, 5.0), method="bounded", options={"xatol": 1e-9})
    return float(found.x)


def power_mean(order: int, tau: float) -> float:
    """Of the teacher's variances at one level, less the level."""
    values = [(v + tau) ** order for v in SPECTRUM]
    return (sum(values) / len(values)) ** (1 / order) - tau


def evidence(orders: dict[str, int]) -> tuple[Check, ...]:
    """The four objectives at two levels, and far above."""
    checks = [
        Check(f"{name}, tau={tau:g}", best(name, tau), power_mean(order, tau), TINY)
        for name, order in orders.items()
        for tau in LEVELS
    ]
    mean = sum(SPECTRUM) / len(SPECTRUM)
    return *checks, *(Check(f"{name}, tau=1000", best(name, 1e3), mean, 5e-3) for name in orders)


CLAIM = Identity(
    statement="The isotropic student's variance at a noise level is the power mean of the teacher's, "
    "of order -1, -2, 1, 1 for reverse KL, reverse Fisher, forward KL, forward Fisher.",
    source=OURS,
    evidence=lambda: evidence(ORDERS),
    control=Control(
        "one order for all objectives",
        lambda: evidence(dict.fromkeys(ORDERS, 1)),
        breaks=(
            "reverse *, tau=0.1",
            "reverse *, tau=1",
        ),
    ),
    setting="d=3, tau=0.1, 1, 1000",
)
