r"""What the update of SiD does to a linear generator: descent of Fisher divergence, and an expansion.

For exact critics, which the loss takes as constants, with $A = (S + \tau)^{-1}$ and $B = (C + \tau)^{-1}$,
$\dot U = \tau^2 [A^2 - B^2 + (2\alpha - 1)(A - B)^2] U$. At $\alpha = 1/2$ that is half the descent of
$\tau^2 F$; for larger $\alpha$ a term is added that only expands. The loss has the value
$(1 - \alpha) \tau^2 F$, which is no measure of progress. Score identity Distillation:
https://arxiv.org/abs/2404.04057.
"""

from __future__ import annotations

import torch
from torch import Tensor

from theory.claim import OURS, Check, Control, Identity
from theory.distil import reverse_fisher
from theory.generator import TAU, mean_loss, velocity
from theory.spectra import gaussian

C = gaussian([2.0, 0.9, 0.4]).cov
U = torch.tensor([[0.9, 0.1], [-0.3, 0.7], [0.4, 0.5]], dtype=torch.float64)
EYE = torch.eye(3, dtype=torch.float64)
ALPHAS = (0.5, 1.0, 1.2)


def fisher(factor: Tensor) -> Tensor:
    """The Fisher divergence of the student at level tau."""
    return reverse_fisher((factor @ factor.mT + TAU * EYE)[None], (C + TAU * EYE)[None])[0]


def evidence(lag: float) -> tuple[Check, ...]:
    """The distiller's gradients and values, for a critic whose covariance is off by a factor."""
    A, B = (torch.linalg.inv(S + TAU * EYE) for S in (U @ U.T, C))
    checks = []
    for alpha in ALPHAS:
        moved = velocity(alpha, U, C, lambda S: lag * S)
        closed = TAU**2 * (A @ A - B @ B + (2 * alpha - 1) * (A - B) @ (A - B)) @ U
        value = float(mean_loss(alpha, U, C, lag * U @ U.T))
        checks += [
            Check(f"update, alpha={alpha:g}: error", float((moved - closed).norm() / closed.norm()), 0.0),
            Check(f"loss, alpha={alpha:g}", value, (1 - alpha) * TAU**2 * float(fisher(U))),
        ]
    moving = U.clone().requires_grad_()
    slope = -0.5 * TAU**2 * torch.autograd.grad(fisher(moving), moving)[0]
    half = velocity(0.5, U, C, lambda S: lag * S)
    return *checks, Check("alpha=1/2 descends: error", float((half - slope).norm() / slope.norm()), 0.0)


CLAIM = Identity(
    statement="With an exact critic the update of SiD is tau^2 [A^2 - B^2 + (2 alpha - 1)(A - B)^2] U, "
    "and its loss (1 - alpha) tau^2 F.",
    source=OURS,
    evidence=lambda: evidence(1.0),
    control=Control("a critic that lags behind", lambda: evidence(1.1)),
    setting="d=3, k=2, the distiller's own code",
)
