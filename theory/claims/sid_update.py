r"""What the update of SiD does to a linear generator: descent of Fisher divergence, and an expansion.

For exact critics, which the loss takes as constants, with $A = (S + \tau)^{-1}$ and $B = (C + \tau)^{-1}$,
$\dot U = \tau^2 [A^2 - B^2 + (2\alpha - 1)(A - B)^2] U$. At $\alpha = 1/2$ that is half the descent of
$\tau^2 F$; for larger $\alpha$ a term is added that only expands. The loss has the value
$(1 - \alpha) \tau^2 F$, which is no measure of progress. Score identity Distillation:
https://arxiv.org/abs/2404.04057. Score implicit matching, https://arxiv.org/abs/2410.16794, has the update of
$\alpha = 1$ by the squared distance, and by the pseudo-Huber one where its constant c is large, over c.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dcdbench.distillers.sim import SiM
from theory.claim import OURS, Check, Control, Identity
from theory.distil import reverse_fisher
from theory.generator import LEVEL, TAU, Linear, mean_loss, sid, velocity
from theory.spectra import gaussian

C = gaussian([2.0, 0.9, 0.4]).cov
U = torch.tensor([[0.9, 0.1], [-0.3, 0.7], [0.4, 0.5]], dtype=torch.float64)
EYE = torch.eye(3, dtype=torch.float64)
ALPHAS = (0.5, 1.0, 1.2)
HUBER = 1e4  # far above gaps of denoisers, in units of `sigma_data`


def fisher(factor: Tensor) -> Tensor:
    """The Fisher divergence of the student at level tau."""
    return reverse_fisher((factor @ factor.mT + TAU * EYE)[None], (C + TAU * EYE)[None])[0]


def off(found: Tensor, expected: Tensor) -> float:
    """The relative error of an update."""
    return float((found - expected).norm() / expected.norm())


def closed(alpha: float) -> Tensor:
    """The update by the formula."""
    A, B = (torch.linalg.inv(S + TAU * EYE) for S in (U @ U.T, C))
    return TAU**2 * (A @ A - B @ B + (2 * alpha - 1) * (A - B) @ (A - B)) @ U


def implicit(lag: float) -> tuple[Check, ...]:
    """Score implicit matching, by either distance."""
    square = velocity(SiM(**LEVEL, huber=None), U, C, lambda S: lag * S)
    huber = velocity(SiM(**LEVEL, huber=HUBER), U, C, lambda S: lag * S, scaled=False)
    huber = huber * HUBER * Linear.sigma_data
    return tuple(
        Check(f"SiM, {name}: error", off(found, closed(1.0)), 0.0, floor=HUBER**-2)
        for name, found in (("squared", square), ("pseudo-Huber", huber))
    )


def evidence(lag: float) -> tuple[Check, ...]:
    """The distillers' gradients and values, for a critic whose covariance is off by a factor."""
    checks = []
    for alpha in ALPHAS:
        moved = velocity(sid(alpha), U, C, lambda S: lag * S)
        value = float(mean_loss(sid(alpha), U, C, lag * U @ U.T))
        checks += [
            Check(f"update, alpha={alpha:g}: error", off(moved, closed(alpha)), 0.0),
            Check(f"loss, alpha={alpha:g}", value, (1 - alpha) * TAU**2 * float(fisher(U))),
        ]
    moving = U.clone().requires_grad_()
    slope = -0.5 * TAU**2 * torch.autograd.grad(fisher(moving), moving)[0]
    half = velocity(sid(0.5), U, C, lambda S: lag * S)
    return *checks, Check("alpha=1/2 descends: error", off(half, slope), 0.0), *implicit(lag)


CLAIM = Identity(
    statement="With an exact critic the update of SiD is tau^2 [A^2 - B^2 + (2 alpha - 1)(A - B)^2] U, "
    "and its loss (1 - alpha) tau^2 F; SiM moves like alpha = 1.",
    source=OURS,
    evidence=lambda: evidence(1.0),
    control=Control("a critic that lags behind", lambda: evidence(1.1), breaks=("*",)),
    setting="d=3, k=2, the distillers' own code",
)
