r"""De Bruijn: $\partial_\tau KL(p_\tau \| q_\tau) = -\tfrac12 F_\tau$, the Fisher divergence.

With $W(\tau) = \int_0^\tau w$ it follows that $\int w KL_\tau d\tau = \tfrac12 \int W F_\tau d\tau$, if
$W KL_\tau$ vanishes at both ends. So reverse KL with $w = 1$ is reverse Fisher with $W = \tau$: the two
are one functional, under different weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dcdbench.analytic import GaussianMixture
from theory.claim import OURS, Check, Control, Identity
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
    """The derivative of KL between two mixtures, by a difference, against half their Fisher divergence."""
    p, q = mixture(0.3, [-1.0, 1.5], 0.5), mixture(0.5, [-1.5, 1.0], 0.7)
    x = torch.linspace(-25, 25, 8001, dtype=torch.float64)[:, None]

    def mean(values: Tensor, tau: float) -> float:
        return float((p.log_prob(x, tau**0.5).exp() * values).sum() * (x[1] - x[0]))

    def kl(tau: float) -> float:
        return mean(p.log_prob(x, tau**0.5) - q.log_prob(x, tau**0.5), tau)

    tau, step = 0.6, 1e-3
    gap = (p.score(x, tau**0.5) - q.score(x, tau**0.5)).square().sum(1)
    return Check("slope of KL", (kl(tau + step) - kl(tau - step)) / (2 * step), -mean(gap, tau) / 2, 1e-5)


def integrals(highest: float) -> tuple[Check, ...]:
    """Both sides for two weights, over levels up to `highest`."""
    t = torch.linspace(-REACH, math.log(highest), NODES, dtype=torch.float64)
    tau, step = t.exp(), t[1] - t[0]
    noise = tau[:, None, None] * torch.eye(3, dtype=torch.float64)
    kl, fisher = (of(P + noise, Q + noise) * tau * step for of in (reverse_kl, reverse_fisher))
    weights = {"w = 1": (torch.ones_like(tau), tau), "w = exp(-tau)": ((-tau).exp(), -torch.expm1(-tau))}
    return tuple(
        Check(name, float((w * kl).sum()), float((W * fisher).sum() / 2)) for name, (w, W) in weights.items()
    )


def evidence(highest: float) -> tuple[Check, ...]:
    """The derivative, and its integrals."""
    return slope(), *integrals(highest)


CLAIM = Identity(
    statement="KL weighted by w over noise variances is half the Fisher divergence weighted by "
    "the integral of w.",
    source=OURS,
    evidence=lambda: evidence(math.exp(REACH)),
    control=Control(
        "levels up to 1 only, where the divergence has not vanished", lambda: evidence(1.0), breaks=("w = *",)
    ),
    setting="Gaussians that do not commute, d=3; two mixtures on the line",
)
