r"""De Bruijn: $\partial_\tau KL(p_\tau \| q_\tau) = -\tfrac12 F_\tau$, the Fisher divergence.

With $W(\tau) = \int_0^\tau w$ it follows that $\int w KL_\tau d\tau = \tfrac12 \int W F_\tau d\tau$, if
$W KL_\tau$ vanishes at both ends. So reverse KL with $w = 1$ is reverse Fisher with $W = \tau$: the two
are one functional, under different weights. The identity for two laws is of Lyu (2009),
https://arxiv.org/abs/1205.2629; the weights follow by integrating by parts.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from dcdbench.analytic import GaussianMixture
from theory.claim import Check, Control, Identity
from theory.distil import reverse_fisher, reverse_kl
from theory.spectra import gaussian

P, Q = gaussian([2.0, 0.3, 0.7], seed=1).cov, gaussian([1.0, 0.5, 1.5]).cov  # with different axes
NODES, REACH = 4000, 20.0  # of log tau


def mixture(weight: float, means: list[float], sd: float) -> GaussianMixture:
    """Two modes on the line."""
    weights = torch.tensor([weight, 1 - weight], dtype=torch.float64)
    places = torch.tensor(means, dtype=torch.float64)[:, None]
    return GaussianMixture(weights, places, torch.full((2, 1, 1), sd**2, dtype=torch.float64))


def slope() -> Check:
    """The derivative of KL between two mixtures, by a difference, against half their Fisher divergence.

    The first by a trapezoid rule, the second by adaptive quadrature.
    """
    from scipy.integrate import quad

    p, q = mixture(0.3, [-1.0, 1.5], 0.5), mixture(0.5, [-1.5, 1.0], 0.7)
    x = torch.linspace(-25, 25, 8001, dtype=torch.float64)[:, None]

    def kl(tau: float) -> float:
        gap = p.log_prob(x, tau**0.5) - q.log_prob(x, tau**0.5)
        return float((p.log_prob(x, tau**0.5).exp() * gap).sum() * (x[1] - x[0]))

    def fisher(place: float) -> float:
        at = torch.tensor([[place]], dtype=torch.float64)
        gap = p.score(at, tau**0.5) - q.score(at, tau**0.5)
        return float(p.log_prob(at, tau**0.5).exp() * gap.square().sum())

    tau, step = 0.6, 1e-3
    half = quad(fisher, -25, 25, points=[-1.5, 0.0, 1.5], limit=200, epsabs=1e-10)[0] / 2
    return Check("slope of KL", (kl(tau + step) - kl(tau - step)) / (2 * step), -half, 1e-5)


def integrals(highest: float) -> tuple[Check, ...]:
    """Both sides for two weights, over levels up to `highest`: by a trapezoid rule, and adaptively."""
    from scipy.integrate import quad_vec

    t = torch.linspace(-REACH, math.log(highest), NODES, dtype=torch.float64)
    tau, step = t.exp(), t[1] - t[0]
    noise = tau[:, None, None] * torch.eye(3, dtype=torch.float64)
    kl = reverse_kl(P + noise, Q + noise) * tau * step

    def fisher(log_tau: float) -> NDArray[np.float64]:
        t = math.exp(log_tau)
        value = float(reverse_fisher(*(each + t * torch.eye(3, dtype=torch.float64) for each in (P, Q))))
        return np.array([t, -math.expm1(-t)]) * t * value / 2

    found = quad_vec(fisher, -REACH, math.log(highest), epsabs=1e-10, epsrel=1e-9)[0]
    weights = {"w = 1": torch.ones_like(tau), "w = exp(-tau)": (-tau).exp()}
    return tuple(
        Check(name, float((w * kl).sum()), float(closed))
        for (name, w), closed in zip(weights.items(), found, strict=True)
    )


def evidence(highest: float) -> tuple[Check, ...]:
    """The derivative, and its integrals."""
    return slope(), *integrals(highest)


CLAIM = Identity(
    statement="KL weighted by w over noise variances is half the Fisher divergence weighted by "
    "the integral of w.",
    source="Lyu, arXiv 1205.2629",
    evidence=lambda: evidence(math.exp(REACH)),
    control=Control(
        "levels up to 1 only, where the divergence has not vanished", lambda: evidence(1.0), breaks=("w = *",)
    ),
    setting="Gaussians that do not commute, d=3; two mixtures on the line",
)
