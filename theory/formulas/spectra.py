r"""Teachers and students of low rank, from the clean eigenvalues $\lambda_i$ and the noise $\sigma$.

The teacher T-Y samples $c_i = \lambda_i + \sigma^2$. Students of rank k keep the largest $c_i$ if unaware,
and the largest $\lambda_i$ if aware, for all four objectives and all weights (Theorems 1 to 4).
"""

from __future__ import annotations

__all__ = [
    "best_rank",
    "gain",
    "gain_lower_bound",
    "is_gain_certain",
    "kl_on_subspace",
    "kl_threshold",
    "rank_gain",
    "subspace_fisher",
    "subspace_kl",
    "threshold",
    "w2_aware",
    "w2_misspecified",
    "w2_subspace",
    "w2_teacher",
    "w2_truncated",
    "w2_unaware",
]

import math
from collections.abc import Sequence
from statistics import fmean


def _gap(clean: float, sigma: float) -> float:
    r"""$\sqrt{\lambda + \sigma^2} - \sqrt\lambda$, without cancellation."""
    return sigma**2 / (math.sqrt(clean + sigma**2) + math.sqrt(clean)) if sigma else 0.0


def _sorted(spectrum: Sequence[float], rank: int) -> list[float]:
    if not 0 <= rank <= len(spectrum):
        raise ValueError(f"rank must be from 0 to {len(spectrum)}, got {rank}")
    return sorted(spectrum, reverse=True)


def w2_teacher(spectrum: Sequence[float], sigma: float) -> float:
    r"""Of T-Y: $\sum_i (\sqrt{\lambda_i + \sigma^2} - \sqrt{\lambda_i})^2$ (A2, A3)."""
    return math.fsum(_gap(clean, sigma) ** 2 for clean in spectrum)


def w2_truncated(spectrum: Sequence[float], sigma: float) -> float:
    r"""Of T-trunc, $E[x|y]$: $\sum_i \frac{\lambda_i}{c_i} (\sqrt{c_i} - \sqrt{\lambda_i})^2$ (A2)."""
    return math.fsum(
        clean / (clean + sigma**2) * _gap(clean, sigma) ** 2 for clean in spectrum if clean + sigma**2 > 0
    )


def w2_unaware(spectrum: Sequence[float], sigma: float, rank: int) -> float:
    r"""Of the unaware student: $c_i$ kept up to the rank, $\lambda_i$ lost beyond (A2, A3)."""
    ordered = _sorted(spectrum, rank)
    return w2_teacher(ordered[:rank], sigma) + math.fsum(ordered[rank:])


def w2_aware(spectrum: Sequence[float], rank: int) -> float:
    r"""Of the aware student: $\sum_{i>k} \lambda_i$ (A4)."""
    return math.fsum(_sorted(spectrum, rank)[rank:])


def w2_misspecified(spectrum: Sequence[float], sigma: float, assumed: float) -> float:
    r"""Of the aware student of full rank told of the noise `assumed`: $v = (c - \hat\sigma^2)_+$ (A4)."""
    return math.fsum(
        (math.sqrt(max(clean + sigma**2 - assumed**2, 0.0)) - math.sqrt(clean)) ** 2 for clean in spectrum
    )


def w2_subspace(r: int, d: int, sigma: float, rank: int) -> float:
    """Of the unaware student of clean data that are white on `r` of `d` dimensions (A2, with any rank)."""
    return w2_unaware([1.0] * r + [0.0] * (d - r), sigma, rank)


def gain(clean: float, sigma: float) -> float:
    r"""Of dropping a direction, $g(\lambda) = \lambda + \sigma^2 - 2\sqrt{\lambda c}$ (A3)."""
    return _gap(clean, sigma) ** 2 - clean


def rank_gain(spectrum: Sequence[float], sigma: float, rank: int) -> float:
    r"""$G_k = \sum_{i>k} g(\lambda_i)$, of the unaware student over T-Y (A3)."""
    return math.fsum(gain(clean, sigma) for clean in _sorted(spectrum, rank)[rank:])


def gain_lower_bound(spectrum: Sequence[float], sigma: float, rank: int) -> float:
    r"""$(d - k) g(\bar\lambda_{tail}) \le G_k$ (A3 v)."""
    tail = _sorted(spectrum, rank)[rank:]
    return len(tail) * gain(fmean(tail), sigma) if tail else 0.0


def threshold(sigma: float) -> float:
    r"""Where $g$ changes its sign: dropping helps if and only if $\lambda < \sigma^2/3$ (A3 i)."""
    return sigma**2 / 3


def best_rank(spectrum: Sequence[float], sigma: float) -> int:
    r"""$k^* = \#\{\lambda_i \ge \sigma^2/3\}$ (A3 iii)."""
    return sum(clean >= threshold(sigma) for clean in spectrum)


def is_gain_certain(spectrum: Sequence[float], sigma: float, rank: int) -> bool:
    r"""Whether the mean of the dropped $\lambda_i$ is below $\sigma^2/3$, which suffices (A3 iv)."""
    tail = _sorted(spectrum, rank)[rank:]
    return bool(tail) and fmean(tail) < threshold(sigma)


def kl_on_subspace(r: int, sigma: float) -> tuple[float, float]:
    """Of the student of rank r of white data there: KL(student || clean) and KL(clean || student) (A2)."""
    noise = sigma**2
    return r / 2 * (noise - math.log1p(noise)), r / 2 * (math.log1p(noise) - noise / (1 + noise))


def kl_threshold(sigma: float, smoothing: float, *, clean_first: bool) -> float:
    r"""The $\lambda$ below which dropping a direction helps in KL of laws smoothed by $N(0, \tau_e)$ (A3).

    Args:
        sigma: The noise.
        smoothing: $\tau_e > 0$.
        clean_first: Whether it is KL(clean || generated), not KL(generated || clean).
    """
    from scipy.optimize import brentq

    def excess(ratio: float) -> float:
        return ratio - 1 - math.log(ratio)

    def lead(log_clean: float) -> float:
        a = math.exp(log_clean) + smoothing
        c = a + sigma**2
        pair = (a / smoothing, a / c) if clean_first else (smoothing / a, c / a)
        return excess(pair[0]) - excess(pair[1])

    top = math.log(4 * sigma**2)
    return math.exp(float(brentq(lead, top - 80.0, top, xtol=1e-15, rtol=1e-14)))


def subspace_kl(d: int, r: int, sigma: float, tau: float) -> float:
    r"""The least reverse KL, $\frac{d-r}2 [\tau/s - 1 - \log(\tau/s)]$, over laws on subspaces (A5).

    With $s = \sigma^2 + \tau$, for any clean law on a subspace of `r` of `d` dimensions.
    """
    ratio = tau / (sigma**2 + tau)
    return (d - r) / 2 * (ratio - 1 - math.log(ratio))


def subspace_fisher(d: int, r: int, sigma: float, tau: float) -> float:
    r"""The same for reverse Fisher: $(d - r)(s - \tau)^2 / (\tau s^2)$ (A5)."""
    return (d - r) * sigma**4 / (tau * (sigma**2 + tau) ** 2)
