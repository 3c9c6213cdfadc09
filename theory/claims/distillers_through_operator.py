r"""The distillers themselves, through an A with an inverse: fakes are measured before they are judged.

A generator of full rank whose fakes are measured with their noise comes to $\Sigma$. Without the noise
$ASA^T = A\Sigma A^T + \sigma^2 I$, so that $S = \Sigma + \sigma^2 (A^TA)^{-1}$; of the data's rank r, with
$AE = V\alpha W^T$, $S = EW \operatorname{diag}(1 + \sigma^2/\alpha_i^2) W^TE^T$. The update is $A^T$ times
that of $AU$, for SiD $A^T \tau^2 [P^2 - Q^2 + (2\alpha - 1)(P - Q)^2] AU$ with the precisions P and Q of
noisy fakes and measurements.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dcdbench.distillers.dmd import DMD
from dcdbench.protocols import Distiller
from theory.claim import DCD, Check, Control, Identity
from theory.generator import LEVEL, TAU, Corrupted, settled, sid, velocity
from theory.spectra import axes, gaussian

D, R, NOISE = 3, 2, 0.16
STEPS, CLOSE = 300, 1e-5  # of descent, and what is left after it
A = torch.tensor([[1.2, 0.3, 0.0], [0.0, 0.8, 0.2], [-0.2, 0.1, 0.9]], dtype=torch.float64)
EYE = torch.eye(D, dtype=torch.float64)
FULL, FLAT = gaussian([1.5, 0.8, 0.3]).cov, gaussian([1.0] * R + [0.0] * (D - R)).cov
DISTILLERS: dict[str, tuple[Distiller, float]] = {  # with twice alpha - 1
    "SiD": (sid(0.75), 0.5),
    "DMD": (DMD(**LEVEL), 0.0),
}


def start(rank: int) -> Tensor:
    """A generic generator."""
    return torch.randn(D, rank, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def closed(name: str, U: Tensor, cov: Tensor, again: Corrupted) -> Tensor:
    """The update by the formula."""
    P, Q = (torch.linalg.inv(S + TAU * EYE) for S in (again.covariance(U @ U.T), cov))
    if name == "DMD":
        return TAU * A.T @ (P - Q) @ A @ U
    gap = P - Q
    return TAU**2 * A.T @ (P @ P - Q @ Q + DISTILLERS[name][1] * gap @ gap) @ A @ U


def evidence(measure: Tensor) -> tuple[Check, ...]:
    """Updates and where they end, for fakes that are measured by a matrix."""
    aware, unaware = Corrupted(measure, NOISE**0.5), Corrupted(measure, 0.0)
    truth = Corrupted(A, NOISE**0.5)
    widened = FULL + NOISE * torch.linalg.inv(A.T @ A)
    E = axes(D)[:, :R]
    _, alpha, wt = torch.linalg.svd(A @ E, full_matrices=False)
    flat = E @ wt.T @ torch.diag(1 + NOISE / alpha**2) @ wt @ E.T
    checks = []
    for name, (each, _) in DISTILLERS.items():
        seen = truth.covariance(FULL)
        moved, theory = velocity(each, start(D), seen, corrupted=aware), closed(name, start(D), seen, truth)
        checks.append(Check(f"{name}, update: error", float((moved - theory).norm() / theory.norm()), 0.0))
        for label, again, rank, clean, end in (
            ("with noise", aware, D, FULL, FULL),
            ("without noise", unaware, D, FULL, widened),
            (f"without noise, rank {R}", unaware, R, FLAT, flat),
        ):
            U = settled(each, start(rank), truth.covariance(clean), corrupted=again, steps=STEPS)
            checks.append(Check(f"{name}, {label}: error", float((U @ U.T - end).norm()), 0.0, floor=CLOSE))
    return tuple(checks)


CLAIM = Identity(
    statement="SiD and DMD, on fakes measured by an A with an inverse, end in the clean covariance; if fakes "
    "have no noise in that of the data with sigma^2/alpha_i^2 more, on the data's subspace.",
    source=DCD,
    evidence=lambda: evidence(A),
    control=Control("fakes that are not measured by A", lambda: evidence(EYE), breaks=("*",)),
    setting="d=3, r=2 and 3, sigma^2=0.16, tau=0.25, exact critics, the distillers' own code",
)
