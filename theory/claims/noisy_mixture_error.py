r"""The error of the sampler of y's law for a mixture is at most that of its components.

For components of standard deviation s, $W_2^2(p_X, p_X * N_\sigma) \le (\sqrt{s^2+\sigma^2} - s)^2$ (on the
line; MW2 of Delon and Desolneux, 2020, https://arxiv.org/abs/1907.05254), d times that in d dimensions, with
equality for one component
or in the limit of separated ones, and at least the distance of the normal laws with the same moments.
"""

from __future__ import annotations

from math import sqrt

from theory.claim import Check, Control, Identity
from theory.claims.sampled_w2 import law
from theory.divergences.bounds import mw2, product_law
from theory.quadrature import pair, w2_squared

S2, NOISE = 1.0, 1.0
COMPONENTS = (sqrt(S2 + NOISE) - sqrt(S2)) ** 2
TOGETHER, APART, BETWEEN = 0.0, 12.0, (1.0, 2.0, 4.0)
DIMENSIONS = (2, 4)


def distance(m: float) -> float:
    """Of clean and noisy data, for two modes at `-m` and `m`."""
    return w2_squared(pair(m, S2), pair(m, S2 + NOISE))


def bounded() -> tuple[Check, ...]:
    """Equality at both ends; between, the bound from above and Gelbrich's from below."""
    checks = [Check(f"modes at {m}", distance(m), COMPONENTS) for m in (TOGETHER, APART)]
    for m in BETWEEN:
        moments = (sqrt(m**2 + S2 + NOISE) - sqrt(m**2 + S2)) ** 2
        checks.append(Check(f"modes at {m}, above", distance(m), COMPONENTS, relation="<="))
        checks.append(Check(f"modes at {m}, below", distance(m), moments, relation=">="))
    for d in DIMENSIONS:  # products: distances add up over coordinates
        clean, noisy = (product_law([law(pair(BETWEEN[0], v))] * d) for v in (S2, S2 + NOISE))
        plans = mw2(noisy, clean)
        checks.append(Check(f"d={d}: plans between components", plans, d * COMPONENTS))
        checks.append(Check(f"d={d}, above", d * distance(BETWEEN[0]), plans, 0.0, "<="))
    return tuple(checks)


CLAIM = Identity(
    statement="The sampler of y's law is at most as far as its components, as far for separated modes.",
    source="Delon and Desolneux, arXiv 1907.05254",
    evidence=bounded,
    control=Control(
        "equality for modes that overlap",
        lambda: tuple(Check(f"modes at {m}", distance(m), COMPONENTS) for m in BETWEEN),
        breaks=("*",),
    ),
    setting="the line, two modes, s = sigma = 1",
)
