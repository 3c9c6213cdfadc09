r"""With laws smoothed by $N(0, \tau_e)$ a KL has another threshold than W2, and no fixed one.

A dropped direction has variance $\tau_e$, a kept one $c = \lambda + \sigma^2 + \tau_e$, and a clean one
$a = \lambda + \tau_e$. With $f(x) = x - 1 - \log x$ dropping helps in KL(clean || .) where
$f(a/\tau_e) < f(a/c)$, and in KL(. || clean) where $f(\tau_e/a) < f(c/a)$. As $\tau_e \to \infty$ both are
squares of what is missed, $\lambda^2$ against $\sigma^4$, with the threshold $\sigma^2$. As $\tau_e \to 0$
both thresholds vanish, the first like $\tau_e (\log(\sigma^2/\tau_e) - 1)$, the other slowly. In W2 it is
$\sigma^2/3$ for the laws themselves.
"""

from __future__ import annotations

from functools import cache
from math import log

from dcdbench.analytic import Gaussian, kl_gaussian
from theory.claim import OURS, Check, Control, Identity
from theory.distil import distil
from theory.spectra import gaussian

NOISE, KEPT = 1.0, 4.0
SMALL, MIDDLE, LARGE = 1e-6, (0.01, 0.1, 1.0), 1e3
METRICS = {"KL(clean || .)": True, "KL(. || clean)": False}


@cache
def laws(clean: float) -> tuple[Gaussian, Gaussian, Gaussian]:
    """Clean law, teacher, and the student of rank 1 by minimisation."""
    law = gaussian([KEPT, clean])
    teacher = law.noised(NOISE**0.5)
    return law, teacher, distil(teacher, 1)


def distances(clean: float, smoothing: float, first: bool) -> tuple[float, float]:
    """Of teacher and student; `first` is whether the clean law comes first."""
    x, teacher, student = (law.noised(smoothing**0.5) for law in laws(clean))
    return tuple(kl_gaussian(x, q) if first else kl_gaussian(q, x) for q in (teacher, student))  # type: ignore[return-value]


def closed(clean: float, smoothing: float, first: bool) -> tuple[float, float]:
    """The same by the formula, in the direction that is dropped."""

    def f(ratio: float) -> float:
        return 0.5 * (ratio - 1 - log(ratio))

    a, c = clean + smoothing, clean + NOISE + smoothing
    return (f(a / c), f(a / smoothing)) if first else (f(c / a), f(smoothing / a))


def threshold(smoothing: float, first: bool, formula: bool) -> float:
    """The variance at which dropping a direction neither helps nor harms."""
    from scipy.optimize import brentq

    def lead(clean: float) -> float:
        teacher, student = (closed if formula else distances)(clean, smoothing, first)
        return student - teacher

    low, high = (1e-9, 3.0) if formula else (0.5 * expected(smoothing, first), 2 * expected(smoothing, first))
    return float(brentq(lead, low, high, xtol=1e-10))


@cache
def expected(smoothing: float, first: bool) -> float:
    """By the formula."""
    return threshold(smoothing, first, formula=True)


def evidence(constant: bool) -> tuple[Check, ...]:
    """By minimisation, against the formula or the constant of W2; and the limits."""
    checks = [
        Check(
            f"{name}, tau_e={smoothing:g}",
            threshold(smoothing, first, formula=False),
            NOISE / 3 if constant else expected(smoothing, first),
        )
        for name, first in METRICS.items()
        for smoothing in MIDDLE
    ]
    limit = SMALL * (log(NOISE / SMALL) - 1)
    found = {
        (first, t): threshold(t, first, formula=False) for first in (True, False) for t in (SMALL, LARGE)
    }
    checks.append(Check("KL(clean || .), little smoothing", found[True, SMALL] / limit, 1.0, 0.01))
    for name, first in METRICS.items():
        checks.append(Check(f"{name}, much smoothing", found[first, LARGE], NOISE, 0.01))
        checks.append(Check(f"{name}, less smoothing", found[first, SMALL], expected(0.01, first), 0, "<="))
    return tuple(checks)


CLAIM = Identity(
    statement="All laws smoothed by N(0, tau_e): dropping a direction helps in KL below a variance that "
    "grows from 0 to sigma^2 with tau_e.",
    source=OURS,
    evidence=lambda: evidence(constant=False),
    control=Control(
        "the threshold of W2, sigma^2/3", lambda: evidence(constant=True), breaks=("*, tau_e=*",)
    ),
    setting="d=2, k=1, sigma^2=1",
)
