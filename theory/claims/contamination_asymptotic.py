r"""Of a very broad contamination a normal student keeps little by reverse KL: an asymptotic formula.

For $T = (1-\epsilon) N(0,1) + \epsilon N(0,R^2)$ a step of Fisher scoring from the clean variance moves it by
$E_{p_X}[(x^2 - 1) \log(1 + o q/p_X)]$, with the odds $o = \epsilon/(1-\epsilon)$. The ratio $o q/p_X$ is 1
at $x_*^2 = 2 \log(R/o)$, below which the logarithm is the ratio itself and above which it is linear in $x^2$:
$$v - 1 \approx \frac{2 o}{3 \sqrt{2\pi} R} (2 \log(R/o))^{3/2}.$$
With $\epsilon$ in the place of the odds it is of first order in the share: .003217 at $R = 300$, where
.003472 is kept and the odds give .003356. Forward KL keeps $\epsilon(R^2 - 1)$, some $R^3$ times as much. The
formula is approached slowly, as $1/\log R$.
"""

from __future__ import annotations

from itertools import pairwise
from math import log, pi, sqrt

from theory.claim import OURS, Check, Control, Identity
from theory.line import OBJECTIVES
from theory.quadrature import Mixture, normal
from theory.stationary import stationary

EPSILON = 0.05
WIDTHS = (1e2, 1e4, 1e6, 1e8)
MODERATE, KEPT, FIRST_ORDER = 300.0, 0.003472, 0.003217  # as printed
PRINTED = 2e-4  # of a number of four digits
NEAR = 0.01  # from the second width on
SLOPE = 0.04  # of an exponent, relative: what the logarithm adds


def kept(width: float, forward: bool = False) -> float:
    """The student's variance above the clean one: at the root of the derivative, or by moments."""
    teacher = Mixture((1 - EPSILON, EPSILON), (0.0, 0.0), (1.0, width))
    if forward:
        return teacher.moments[1] - normal(0.0, 1.0).moments[1]
    return stationary(OBJECTIVES["reverse KL, tau = 0"], 0.0, 1.0, teacher, rtol=1e-13).value - 1


def formula(width: float, odds: float = EPSILON / (1 - EPSILON)) -> float:
    """The asymptotic one; with the share in place of the odds, to first order in it."""
    return 2 * odds / (3 * sqrt(2 * pi) * width) * (2 * log(width / odds)) ** 1.5


def evidence(forward: bool) -> tuple[Check, ...]:
    """How near the formula is, that it comes nearer, and the exponent of what forward KL keeps in excess."""
    ratios = {width: kept(width, forward) / formula(width) for width in WIDTHS}
    checks = [Check(f"R={width:g}: over the formula", ratios[width], 1.0, NEAR) for width in WIDTHS[1:]]
    off = [abs(ratios[width] - 1) for width in WIDTHS]
    checks += [Check(f"nearer at {b:g}", off[i + 1], off[i], 0.0, "<=") for i, b in enumerate(WIDTHS[1:])]
    shares = {width: kept(width, forward) / kept(width, forward=True) for width in WIDTHS[1:]}
    for a, b in pairwise(shares):
        exponent = log(shares[b] / shares[a]) / log(b / a)
        checks.append(Check(f"exponent of R from {a:g}", exponent, -3.0, SLOPE))
    checks.append(Check("R=300: kept", kept(MODERATE, forward), KEPT, PRINTED))
    first = formula(MODERATE, EPSILON)
    return *checks, Check("R=300: first order in the share", first, FIRST_ORDER, PRINTED)


CLAIM = Identity(
    statement="A contamination of width R, normal student, reverse KL at level 0: it keeps some "
    "log(R)^1.5 / R of variance, and forward KL R^2.",
    source=OURS,
    evidence=lambda: evidence(forward=False),
    control=Control(
        "forward KL",
        lambda: evidence(forward=True),
        breaks=("R=1*: over the formula", "nearer *", "exponent *", "R=300: kept"),
    ),
    setting="5 % of the mass, 100 to 10^8 times as wide",
)
