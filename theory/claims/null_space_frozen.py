r"""What A never shows stays as it was at the start: the loss has no gradient in the null space of A.

The gradient of any loss on $A U$ is $A^T$ times a matrix. So gradient descent on a linear generator keeps
$(I - A^+A) U$: from a start of 0 there the aware student is that of least norm, with
$W_2^2 = \operatorname{tr}((I - A^+A)\Sigma)$ if data in and out of the null space do not correlate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from theory.claim import OURS, Check, Control, Identity
from theory.distil import objective, w2_squared
from theory.spectra import axes, gaussian

NOISE, STEPS, RATE = 0.3, 300, 1.0
SPECTRUM = [1.5, 1.0, 0.6]
SEEN = 2  # axes of the data that A shows
Optimiser = Callable[[Iterable[Tensor]], torch.optim.Optimizer]


def descend(A: Tensor, start: Tensor, make: Optimiser) -> Tensor:
    """The factor of an aware student after steps of an optimiser."""
    clean = gaussian(SPECTRUM)
    measured = clean.affine(A, sigma=NOISE**0.5)
    added = NOISE * torch.eye(len(A), dtype=torch.float64)
    u = start.clone().requires_grad_()
    optimiser = make([u])
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss: Tensor = objective("reverse KL", A @ u @ u.mT @ A.mT + added, measured.cov)
        loss.backward()
        optimiser.step()
    return u.detach()


def evidence(make: Optimiser) -> tuple[Check, ...]:
    """Starts with something and with nothing in the null space."""
    A = torch.diag(torch.tensor([1.3, 0.8], dtype=torch.float64)) @ axes(len(SPECTRUM))[:, :SEEN].T
    hidden = torch.eye(len(SPECTRUM), dtype=torch.float64) - torch.linalg.pinv(A) @ A
    rng = torch.Generator().manual_seed(1)
    start = torch.randn(len(SPECTRUM), SEEN, generator=rng, dtype=torch.float64)
    moved = descend(A, start, make)
    least = descend(A, start - hidden @ start, make)
    law = gaussian(SPECTRUM)
    student = type(law).from_factor(torch.zeros(len(SPECTRUM)), least)
    return (
        Check("change in the null space", float((hidden @ (moved - start)).norm()), 0.0),
        Check("W2^2 from 0 there", w2_squared(student, law), sum(SPECTRUM[SEEN:])),
    )


def descent(parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    """Gradient descent."""
    return torch.optim.SGD(parameters, lr=RATE)


def adam(parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    """Adam, whose steps are rescaled entry by entry."""
    return torch.optim.Adam(parameters, lr=RATE / 50)


CLAIM = Identity(
    statement="Gradient descent on a linear generator leaves what it has in the null space of A; from "
    "nothing there the aware student has W2^2 = tr((I - A^+A) Sigma).",
    source=OURS,
    evidence=lambda: evidence(descent),
    control=Control("Adam in place of gradient descent", lambda: evidence(adam), breaks=("*",)),
    setting="d=3, A of rank 2 along axes of the data, sigma^2=0.3",
)
