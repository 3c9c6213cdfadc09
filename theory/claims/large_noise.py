r"""At large noise every objective matches moments: the student's freedom to choose modes is gone.

$KL_\tau = |\Delta\mu|^2/2\tau + O(\tau^{-2})$, and with equal means
$KL_\tau = \|S - C\|_F^2/4\tau^2 + O(\tau^{-3})$, for laws that need not be Gaussian.
"""

from __future__ import annotations

import torch

from dcdbench.analytic import GaussianMixture, kl_gaussian
from theory.claim import OURS, Check, Control, Identity
from theory.distil import OBJECTIVES
from theory.spectra import gaussian


def pair(tau: float) -> tuple[Check, ...]:
    """Gaussians of equal means: all four objectives, relative to their limits."""
    s, c = gaussian([2.0, 0.3], seed=1).cov, gaussian([1.0, 0.6]).cov
    noise = tau * torch.eye(2, dtype=torch.float64)
    square = float((s - c).square().sum())
    limits = {name: square / (4 * tau**2) if "KL" in name else square / tau**3 for name in OBJECTIVES}
    found = {name: float(of((s + noise)[None], (c + noise)[None])) for name, of in OBJECTIVES.items()}
    return tuple(Check(name, found[name] / limits[name], 1.0, 0.02) for name in OBJECTIVES)


def shifted(tau: float) -> Check:
    """Gaussians of unequal means."""
    law = gaussian([1.0, 0.6])
    other = law.affine(torch.eye(2), torch.tensor([0.5, 0.2]))
    found = kl_gaussian(law.noised(tau**0.5), other.noised(tau**0.5))
    return Check("unequal means", found / (0.29 / (2 * tau)), 1.0, 0.02)


def modes(tau: float) -> Check:
    """Two modes against one, with equal means: only the variances count."""
    means = torch.tensor([[-1.5], [1.5]], dtype=torch.float64)
    p = GaussianMixture(torch.full((2,), 0.5), means, torch.full((2, 1, 1), 0.25, dtype=torch.float64))
    q = gaussian([1.5])
    x = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None] * (2.5 + tau) ** 0.5
    log_p, log_q = p.log_prob(x, tau**0.5), q.log_prob(x, tau**0.5)
    kl = float((log_p.exp() * (log_p - log_q)).sum() * (x[1] - x[0]))
    return Check("two modes against one", kl / (1.0 / (4 * tau**2)), 1.0, 0.02)


def evidence(tau: float) -> tuple[Check, ...]:
    """Divergences, each divided by its limit."""
    return *pair(tau), shifted(tau), modes(tau)


CLAIM = Identity(
    statement="At large noise all objectives depend on means and covariances alone: KL is "
    "|S - C|_F^2/(4 tau^2), and with unequal means |mu|^2/(2 tau).",
    source=OURS,
    evidence=lambda: evidence(1000.0),
    control=Control("noise below the scale of the data", lambda: evidence(0.1), breaks=("*",)),
    setting="tau=1000; Gaussians in the plane, two modes on the line",
)
