r"""The dimension helps reverse KL to discard a broad contamination, and does not help forward KL.

$T = (1-\epsilon) N(0,I) + \epsilon N(0,R^2 I)$, student $N(0, vI)$. At level 0 both parts are told apart but
for a probability that falls like $e^{-d (\log R - 1/2 - \log(2 \log R)/2)}$, and $v - 1$ with it. At
$\tau = u \sqrt d$ the logarithm of their ratio has the law $N(-m^2/2, m^2)$ under the student, for
$m = (R^2 - 1)/(\sqrt 2 u)$: under $d\tau$
$$(v - 1) \sqrt d \to \sqrt 2 \int_0^\infty E\Big[\frac{r}{1+r}\Big] dm, \quad r = o e^{mz - m^2/2},
  \quad o = \frac{\epsilon}{1-\epsilon},$$
whatever R. Forward KL has $v - 1 = \epsilon (R^2 - 1)$ in every dimension.
"""

from __future__ import annotations

from functools import cache
from math import lgamma, log, sqrt

import numpy as np
from scipy.special import expit

from theory.claim import OURS, Check, Control, Identity
from theory.line import NORMAL, OBJECTIVES, Z
from theory.quadrature import Array, Mixture, minimum
from theory.stationary import stationary

EPSILON, R = 0.05, 10.0
FEW, MANY = (1, 4, 8, 16), (256, 1024, 4096)
LOG_TAU = np.linspace(-30.0, 20.0, 101)
ALL = np.exp(LOG_TAU), np.exp(LOG_TAU) * (LOG_TAU[1] - LOG_TAU[0])
ZERO = np.zeros(1), np.ones(1)
Levels = tuple[Array, Array]
NEAR, RATE = 0.03, 0.1  # of limits, at the largest dimensions: errors fall like d^-1/2 and 1/d


@cache
def radii(d: int) -> Levels:
    """Squared lengths of a standard normal vector, with their probabilities."""
    r = np.linspace(max(0.0, sqrt(d) - 10), sqrt(d) + 10, 401)
    logs = (d - 1) * np.log(np.maximum(r, 1e-300)) - r**2 / 2 - (d / 2 - 1) * log(2) - lgamma(d / 2)
    weights = np.exp(logs) * (r[1] - r[0])
    weights[0] *= 0.5
    return r**2, weights


def kept(d: int, levels: Levels) -> float:
    """The student's variance above the clean one, at the root of the derivative."""
    from scipy.optimize import brentq

    (tau, weights), (squares, chances) = levels, radii(d)
    low, high = 1 + tau[:, None], R**2 + tau[:, None]

    def slope(v: float) -> float:
        spread = (v + tau)[:, None]
        gap = 0.5 * spread * squares * (1 / low - 1 / high) - 0.5 * d * np.log(high / low)
        broad = expit(gap + log(EPSILON / (1 - EPSILON)))
        precision = (1 - broad) / low + broad / high
        return float(weights @ ((squares * precision) @ chances - d / spread[:, 0]))

    return float(brentq(slope, 1 - 1e-9, 1 + EPSILON * R**2, xtol=1e-14)) - 1


def limit() -> float:
    """Of `(v - 1) sqrt(d)` under d tau."""
    from scipy.integrate import quad

    def mean(m: float) -> float:
        return float(NORMAL @ expit(m * Z - 0.5 * m**2 + log(EPSILON / (1 - EPSILON))))

    return sqrt(2) * float(quad(mean, 0, 40, limit=200)[0])


def forward(d: int) -> float:
    """What forward KL keeps: the variance that minimises the cross-entropy, less that of the clean law."""
    squares, chances = radii(d)
    shells = [(share, width**2 * squares) for share, width in ((1 - EPSILON, 1.0), (EPSILON, R))]

    def loss(v: float) -> float:
        return log(v) + sum(share * float((lengths / (d * v)) @ chances) for share, lengths in shells)

    return minimum(loss, 0.5, 2 * R**2) - 1


def evidence(reverse: bool) -> tuple[Check, ...]:
    """On the line as elsewhere, the rate at level 0, and the limit under d tau."""
    levels = {"reverse KL, tau = 0": ZERO, "reverse KL, dtau": ALL}
    line = Mixture((1 - EPSILON, EPSILON), (0.0, 0.0), (1.0, R))
    checks = []
    for name, each in levels.items():
        near = kept(1, each)
        checks.append(
            Check(f"d=1, {name}", near, stationary(OBJECTIVES[name], 0.0, 1 + near, line).value - 1)
        )
    at_zero = {d: kept(d, ZERO) if reverse else forward(d) for d in FEW}
    rate = log(at_zero[8] / at_zero[16]) / 8
    checks.append(Check("level 0: rate", rate, log(R) - 0.5 - 0.5 * log(2 * log(R)), RATE))
    ratios = [(kept(d, ALL) if reverse else forward(d)) * sqrt(d) / limit() for d in MANY]
    checks.append(Check(f"d={MANY[-1]}: v - 1 over its limit", ratios[-1], 1.0, NEAR))
    off = [abs(ratio - 1) for ratio in ratios]
    checks += [Check(f"nearer at d={d}", off[i + 1], off[i], 0.0, "<=") for i, d in enumerate(MANY[1:])]
    checks += [Check(f"d={d}: forward KL", forward(d), EPSILON * (R**2 - 1)) for d in FEW]
    return tuple(checks)


CLAIM = Identity(
    statement="Broad contamination in d dimensions, reverse KL: what a normal student keeps falls "
    "exponentially in d at level 0, and like d^-1/2 under d tau.",
    source=OURS,
    evidence=lambda: evidence(reverse=True),
    control=Control(
        "forward KL, which keeps the same in every dimension",
        lambda: evidence(reverse=False),
        breaks=(
            "level 0: rate",
            "d=4096: v - 1 over its limit",
            "nearer at *",
        ),
    ),
    setting="5 % of the mass, ten times as wide",
)
