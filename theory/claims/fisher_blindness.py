r"""At noise level 0 the Fisher divergence does not see the weights of separated modes.

It is linear in the student's weights: $F_0 = \sum_k w_k F_k$, with $F_k = (c_k - \rho^2)^2 / (c_k^2
\rho^2)$ for components of width $\rho$ on ones of variance $c_k$. Where shapes match it is 0 for any
weights, while $KL = \sum_k w_k \log(w_k/\pi_k)$ and W2 are not. It sees them again at levels from a tenth to
a quarter of the squared distance. Where they do not match it puts all mass on the mode that fits best.
That scores are blind to weights: Wenliang and Kanagawa (2020), https://arxiv.org/abs/2008.10087.
"""

from __future__ import annotations

from math import log

from theory.claim import Check, Control, Identity
from theory.quadrature import Mixture, fisher, kl, pair, w2_squared, w2_transport

M, WEIGHT = 6.0, 0.9
LEVEL = (2 * M) ** 2 / 10
OVERLAP = 1e-7  # what is left of the divergence as modes are not infinitely far
TEACHER, STUDENT = pair(M, 1.0), pair(M, 1.0, WEIGHT)
UNEVEN, RHO = Mixture((0.5, 0.5), (-M, M), (1.0, 0.25)), 0.25
PRINTED = {0.01: 13.92, 0.5: 7.03, 0.99: 0.141}  # by the weight of the mode that fits
SMALL, KL, FAR = 4.54e-8, 0.368, 46.9  # of weights of .9 and .1: Fisher, reverse KL, W2^2
ROUNDED = 4e-3  # of numbers of three digits
SEEN = 1e-3  # what can be seen of weights


def weighted(tau: float) -> tuple[Check, ...]:
    """Weights of .9 and .1 for .5 and .5, at one level."""
    divergence = WEIGHT * log(WEIGHT / 0.5) + (1 - WEIGHT) * log((1 - WEIGHT) / 0.5)
    checks = [
        Check("reverse Fisher", fisher(STUDENT.noised(tau), TEACHER.noised(tau)), 0.0, floor=OVERLAP),
        Check("reverse KL at level 0", kl(STUDENT, TEACHER), divergence),
        Check("W2^2", w2_squared(STUDENT, TEACHER), w2_transport(STUDENT, TEACHER)),
        Check("W2^2, from means", w2_squared(STUDENT, TEACHER), (2 * WEIGHT - 1) ** 2 * M**2, relation=">="),
    ]
    parts = [(s**2 - RHO**2) ** 2 / (s**4 * RHO**2) for s in UNEVEN.stds]
    for weight, printed in PRINTED.items():
        found = fisher(pair(M, RHO**2, weight), UNEVEN)
        checks.append(Check(f"weight {weight}, as printed", found, printed, ROUNDED))
        checks.append(Check(f"weight {weight}", found, (1 - weight) * parts[0] + weight * parts[1]))
    near = fisher(STUDENT.noised(LEVEL), TEACHER.noised(LEVEL))
    checks += [
        Check("Fisher, as printed", fisher(STUDENT, TEACHER), SMALL, ROUNDED),
        Check("reverse KL, as printed", kl(STUDENT, TEACHER), KL, ROUNDED),
        Check("W2^2, as printed", w2_squared(STUDENT, TEACHER), FAR, ROUNDED),
        Check("at a tenth of the squared distance", near, SEEN, 0.0, ">="),
    ]
    return tuple(checks)


CLAIM = Identity(
    statement="Separated modes: the reverse Fisher divergence at level 0 is the same for all weights.",
    source="Wenliang and Kanagawa, arXiv 2008.10087",
    evidence=lambda: weighted(0.0),
    control=Control(
        "a level of a quarter of the squared distance", lambda: weighted(M**2), breaks=("reverse Fisher",)
    ),
    setting="the line, modes at -6 and 6",
)
