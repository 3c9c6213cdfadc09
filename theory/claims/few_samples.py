r"""An aware student needs few samples per mode to be nearer than an ideal sampler of y's law.

From n samples of a separated mode in d dimensions, the variance of y is known with a relative variance of
$2/nd$, and $\hat s^2 = (\hat c - \sigma^2)_+$ is expected to err by
$E(\hat s - s)^2 \approx (s^2+\sigma^2)^2 / 2 s^2 n d$; for an atom,
$s = 0$, by about $\sigma^2/\sqrt{\pi n d}$. The ideal sampler errs by
$(\sqrt{s^2+\sigma^2} - s)^2$.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.quadrature import normal, w2_squared

S2, NOISE, D = 1.0, 1.0, 2
DRAWS, MANY = 200_000, 4096
ACCURACY = 0.015  # of that many draws, at four standard errors


def simulated(n: int) -> float:
    """The mean of many fits, each to n samples, whose sum of squares is of a chi-squared law."""
    degrees = n * D
    c = (S2 + NOISE) * np.random.default_rng(0).chisquare(degrees, DRAWS) / degrees
    return float(((np.sqrt(np.maximum(c - NOISE, 0)) - sqrt(S2)) ** 2).mean())


def integrated(n: int, s2: float = S2) -> float:
    """The same by quadrature."""
    from scipy.stats import chi2

    law = chi2(n * D)
    low, high = (float(law.ppf(share)) for share in (1e-12, 1 - 1e-12))
    x = np.linspace(low, high, 200_001)
    spread = np.sqrt(np.maximum((s2 + NOISE) * x / (n * D) - NOISE, 0))
    return float((x[1] - x[0]) * (law.pdf(x) * (spread - sqrt(s2)) ** 2).sum())


def evidence(n: int) -> Evidence:
    """Per dimension; and the formulas for many samples."""
    far = w2_squared(normal(0.0, S2 + NOISE), normal(0.0, S2))
    formula = (S2 + NOISE) ** 2 / (2 * S2 * MANY * D)
    atom = NOISE / sqrt(pi * MANY * D)
    return Evidence(
        Check("teacher", far, (sqrt(S2 + NOISE) - sqrt(S2)) ** 2),
        Check("student", simulated(n), integrated(n), ACCURACY),
        (
            Check("many samples", integrated(MANY) / formula, 1.0, 0.01),
            Check("many samples, an atom", integrated(MANY, 0.0) / atom, 1.0, 0.01),
        ),
    )


CLAIM = Claim(
    statement="Separated modes, tens of samples each, ideal sampler of y's law: the aware student is nearer.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(32),
    expects=Verdict.HOLDS,
    control=Control("two samples for each mode", lambda: evidence(2), Verdict.FAILS),
    source=OURS,
    setting="per dimension of the plane, s = sigma = 1",
)
