"""Students of mixtures with well separated modes, and one component for two modes."""

from __future__ import annotations

__all__ = [
    "aware_mode_error",
    "critical_separation",
    "dropped_modes_loss",
    "mode_kl",
    "mode_weights",
    "w2_atoms",
    "w2_modes",
]

import math
from collections.abc import Sequence
from functools import cache


def w2_modes(generated: float, clean: float, d: int = 1) -> float:
    r"""$d (\rho - s)^2$, of modes of another width; T-Y has $\rho = \sqrt{s^2 + \sigma^2}$ (B2, B3).

    An upper bound of W2, by the plan that moves each mode to its own (MW2), sharp for separated modes.

    Args:
        generated: Their standard deviation.
        clean: That of the data.
        d: The dimension.
    """
    return d * (generated - clean) ** 2


def w2_atoms(m: float, clean: float, place: float) -> float:
    r"""Of atoms at `-place` and `place` from $\frac12 N(\pm m, s^2)$: exact, $E(|x| - a)^2$ (B3).

    For separated modes and atoms in their middle it is $s^2$, better than T-Y if $s^2 < \sigma^2/3$.
    """
    z = m / clean / math.sqrt(2) if clean else math.inf
    mean = m * math.erf(z) + clean * math.sqrt(2 / math.pi) * math.exp(-(z**2))
    return (place - mean) ** 2 + m**2 + clean**2 - mean**2


def aware_mode_error(clean: float, sigma: float, n: int, d: int = 1) -> float:
    r"""$E(\hat s - s)^2$ of an aware student from n samples of a separated mode (B3), for large `n`."""
    if clean == 0:
        return sigma**2 / math.sqrt(math.pi * n * d)
    return (clean**2 + sigma**2) ** 2 / (2 * clean**2 * n * d)


def dropped_modes_loss(kept: Sequence[float]) -> float:
    r"""Reverse KL at level 0 of a student of separated modes with weights `kept`: $\log 1/\sum\pi$ (B3)."""
    return -math.log(math.fsum(kept))


def mode_kl(width: float, c: float, d: int = 1) -> float:
    r"""$KL_k = \frac d2 (\rho^2/c_k - 1 - \log(\rho^2/c_k))$, `c` a variance, `width` $\rho$ (B4)."""
    ratio = width**2 / c
    return d / 2 * (ratio - 1 - math.log(ratio))


def mode_weights(weights: Sequence[float], kls: Sequence[float]) -> list[float]:
    r"""$w_k \propto \pi_k e^{-KL_k}$, of reverse KL with fixed shapes (B4); forward KL keeps $\pi$."""
    least = min(kls)
    moved = [pi * math.exp(least - kl) for pi, kl in zip(weights, kls, strict=True)]
    return [w / math.fsum(moved) for w in moved]


@cache
def critical_separation() -> float:
    r"""$\mu_c$: one component for $\frac12 N(\pm\mu, 1)$ covers both modes up to here, by reverse KL (B7)."""
    from scipy.optimize import brentq

    from theory.line import single_student
    from theory.quadrature import pair

    def lead(mu: float) -> float:
        teacher = pair(mu, 1.0)
        cover, seek = single_student(teacher, 0.0, 1 + mu**2), single_student(teacher, mu, 1.0)
        return cover[1] - seek[1]

    return float(brentq(lead, 2.7, 2.9, xtol=1e-11))
