"""Students under weights on noise levels, objectives over all levels, and what updates do on the way."""

from __future__ import annotations

__all__ = [
    "ORDERS",
    "early_stopping",
    "isotropic_student",
    "kl_large_noise",
    "practical_start",
    "probability_flow",
    "sid_repelling_point",
    "umegaki",
]

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dcdbench.linalg import eigh_psd
from theory.levels import flow as probability_flow

ORDERS = {"reverse KL": -1, "reverse Fisher": -2, "forward KL": 1, "forward Fisher": 1}


def isotropic_student(c: Sequence[float], tau: float, objective: str = "reverse KL") -> float:
    r"""The `v` of $N(0, vI)$ at a level: $v + \tau$ is a power mean of $c_i + \tau$, of `ORDERS` (A7.5)."""
    order = ORDERS[objective]
    return (math.fsum((value + tau) ** order for value in c) / len(c)) ** (1 / order) - tau


def umegaki(s: Tensor, c: Tensor) -> float:
    r"""$\int_0^\infty KL_\tau d\tau = \frac12 \operatorname{tr}[S \log S - S \log C - S + C]$ (A7.2).

    Args:
        s: The student's covariance, `(d, d)`, or its variances, `(d,)`, along the axes of the teacher's.
        c: The teacher's, of the same shape. Where it is singular, the student must be too.
    """
    s, c = (torch.as_tensor(a, dtype=torch.float64) for a in (s, c))
    s, c = (a.diag() if a.ndim == 1 else a for a in (s, c))
    (own, axes), (other, others) = eigh_psd(s), eigh_psd(c)
    overlap = own[:, None] * (axes.mT @ others).square()  # (d, d), of squared cosines times variances
    if (overlap[:, other == 0].sum() > 1e-12 * own.sum()).item():
        return math.inf
    entropy = torch.special.xlogy(own, own).sum() - (overlap * other.clamp_min(1e-300).log()).sum()
    return 0.5 * (entropy - own.sum() + other.sum()).item()


def kl_large_noise(s: Tensor, c: Tensor, shift: Tensor, tau: float) -> float:
    r"""$|\Delta\mu|^2/2\tau + \|S - C\|_F^2/4\tau^2$, first terms of $KL_\tau$ at large $\tau$ (A7.4)."""
    return (shift.square().sum() / (2 * tau) + (s - c).square().sum() / (4 * tau**2)).item()


def sid_repelling_point(c: float, tau: float, alpha: float = 1.2) -> float:
    r"""The v beyond which SiD's update diverges: $v + \tau = \frac\alpha{\alpha - 1} (c + \tau)$ (A8)."""
    return alpha / (alpha - 1) * (c + tau) - tau if alpha > 1 else math.inf


def early_stopping(s: float, c: float, start: float) -> float:
    r"""The student's variance at time s of gradient flow: $v(s) = c (v_0/c)^{e^{-2s}}$ (Theorem 14)."""
    return c * (start / c) ** math.exp(-2 * s)


def practical_start(c: float, level: float = 6.25) -> float:
    r"""The variance of $D(t_0 z; t_0)$: $\tau_0 c^2/(c + \tau_0)^2$, `level` being $\tau_0$ (Theorem 14)."""
    return level * c**2 / (c + level) ** 2
