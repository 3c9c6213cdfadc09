r"""What DMD and Diff-Instruct do to a linear generator: descent of reverse KL. SDS leaves the entropy out.

For an exact critic, with $A = (S + \tau)^{-1}$ and $B = (C + \tau)^{-1}$, denoisers differ by
$\tau (B - A) x_t$, so that $\dot U = \tau (A - B) U$: $\tau$ times the descent of $KL(S + \tau \| C + \tau)$,
https://arxiv.org/abs/2305.18455, https://arxiv.org/abs/2311.18828. With the true noise in the critic's place
(https://arxiv.org/abs/2209.14988) it is $-\tau BU$, the descent of the cross-entropy, at rest in 0 alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dcdbench.distillers.diff_instruct import DiffInstruct
from dcdbench.distillers.dmd import DMD
from dcdbench.distillers.sds import SDS
from dcdbench.protocols import Distiller
from theory.claim import Check, Control, Identity
from theory.distil import reverse_kl
from theory.generator import LEVEL, TAU, velocity
from theory.spectra import gaussian

C = gaussian([2.0, 0.9, 0.4]).cov
U = torch.tensor([[0.9, 0.1], [-0.3, 0.7], [0.4, 0.5]], dtype=torch.float64)
EYE = torch.eye(3, dtype=torch.float64)


def descent(entropy: bool) -> Tensor:
    """`tau` times the descent of reverse KL, with the student's entropy or without, by differentiation."""
    moving = U.clone().requires_grad_()
    noisy = moving @ moving.mT + TAU * EYE
    value = reverse_kl(noisy[None], (C + TAU * EYE)[None])[0]
    if not entropy:
        value = value + 0.5 * torch.logdet(noisy)
    return -TAU * torch.autograd.grad(value, moving)[0]


def evidence(lag: float) -> tuple[Check, ...]:
    """The distillers' updates, for a critic whose covariance is off by a factor."""
    A, B = (torch.linalg.inv(S + TAU * EYE) for S in (U @ U.T, C))

    def moved(distiller: Distiller) -> Tensor:
        scaled = not isinstance(distiller, DiffInstruct)
        return velocity(distiller, U, C, lambda S: lag * S, scaled=scaled)

    cases: dict[str, tuple[Distiller, Tensor, bool]] = {
        "DMD": (DMD(**LEVEL), TAU * (A - B) @ U, True),
        "Diff-Instruct": (DiffInstruct(**LEVEL), TAU * (A - B) @ U, True),
        "SDS": (SDS(**LEVEL), -TAU * B @ U, False),
    }
    checks = []
    for name, (distiller, closed, entropy) in cases.items():
        for theory, expected in (("formula", closed), ("descent", descent(entropy))):
            error = (moved(distiller) - expected).norm() / expected.norm()
            checks.append(Check(f"{name}, {theory}: error", float(error), 0.0))
    return tuple(checks)


CLAIM = Identity(
    statement="With an exact critic DMD and Diff-Instruct descend reverse KL, SDS the cross-entropy alone.",
    source="Diff-Instruct, arXiv 2305.18455; DMD, arXiv 2311.18828",
    evidence=lambda: evidence(1.0),
    control=Control(
        "a critic that lags behind",
        lambda: evidence(1.1),
        breaks=(
            "DMD, *",
            "Diff-Instruct, *",
        ),
    ),
    setting="d=3, k=2, the distillers' own code",
)
