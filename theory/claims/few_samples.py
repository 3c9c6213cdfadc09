r"""An aware student needs few samples per mode to be nearer than an ideal sampler of y's law.

From n samples of each of two separated modes the student finds, by expectation and maximisation, their places
and one variance for each, $\hat c$, and has $\hat s^2 = (\hat c - \sigma^2)_+$. Per dimension a mode errs by
$(s^2 + \sigma^2)/n$ in its place, and in its width by
$E(\hat s - s)^2 \approx (s^2+\sigma^2)^2 / 2 s^2 n d$; for an atom,
$s = 0$, by about $\sigma^2/\sqrt{\pi n d}$. The ideal sampler errs by $(\sqrt{s^2+\sigma^2} - s)^2$.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.divergences.estimate import Estimate, t_interval
from theory.estimates import w2_line
from theory.quadrature import Array, normal

S2, NOISE, D, PLACE = 1.0, 1.0, 2, 10.0
REPEATS, MANY, ROUNDS = 4000, 4096, 3
ERRORS = 2.0  # how many half widths of its interval a mean may be off: four standard errors


def fit(y: Array) -> tuple[Array, Array]:
    """Places, `(R, 2, D)`, and variances, `(R, 2)`, of two round modes of samples, `(R, n, D)`, by EM."""
    places = np.stack([y.min(1), y.max(1)], 1)
    variances = np.full((len(y), 2), float(y.var()))
    for _ in range(ROUNDS):
        squares = ((y[:, :, None] - places[:, None]) ** 2).sum(-1)  # (R, n, 2)
        logs = -squares / (2 * variances[:, None]) - 0.5 * D * np.log(variances[:, None])
        shares = np.exp(logs - logs.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        count = shares.sum(1)
        places = np.einsum("rnk,rnd->rkd", shares, y) / count[..., None]
        squares = ((y[:, :, None] - places[:, None]) ** 2).sum(-1)
        variances = (shares * squares).sum(1) / (D * np.maximum(count - 1, 1.0))
    return places, variances


def trained(n: int) -> Estimate:
    """The mean distance per dimension of students, each fitted to n samples of either mode."""
    rng, truth = np.random.default_rng(0), np.array([[-PLACE] * D, [PLACE] * D])
    y = np.repeat(truth, n, 0) + sqrt(S2 + NOISE) * rng.standard_normal((REPEATS, 2 * n, D))
    places, variances = fit(y)
    widths = np.sqrt(np.maximum(variances - NOISE, 0)) - sqrt(S2)
    errors = ((places - truth) ** 2).sum(-1) / D + widths**2
    return t_interval(errors.mean(1).tolist())


def integrated(n: int, s2: float = S2) -> float:
    """The error of a width by quadrature, where the sum of squares is of a chi-squared law."""
    from scipy.stats import chi2

    degrees = (n - 1) * D
    law = chi2(degrees)
    low, high = (float(law.ppf(share)) for share in (1e-12, 1 - 1e-12))
    x = np.linspace(low, high, 200_001)
    spread = np.sqrt(np.maximum((s2 + NOISE) * x / degrees - NOISE, 0))
    return float((x[1] - x[0]) * (law.pdf(x) * (spread - sqrt(s2)) ** 2).sum())


def evidence(n: int) -> Evidence:
    """Per dimension; and the formulas for many samples."""
    far, near = w2_line(normal(0.0, S2 + NOISE), normal(0.0, S2)), trained(n)
    formula = (S2 + NOISE) ** 2 / (2 * S2 * MANY * D)
    atom = NOISE / sqrt(pi * MANY * D)
    half = near.high - near.value
    return Evidence(
        Check.of("teacher", far, (sqrt(S2 + NOISE) - sqrt(S2)) ** 2),
        Check.of("student", near, (S2 + NOISE) / n + integrated(n), 0.0, floor=(ERRORS - 1) * half),
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
    setting="two modes, per dimension of the plane, s = sigma = 1, students fitted to 32 samples of each",
)
