r"""The rank of a student does not fix what A never shows: students at the same least loss, at all distances.

For data of rank r and A with a null space, every $U = EQ + N$ with $AN = 0$ has the same measurements, and so
the same objective, which is the least. In $W_2^2$ they are from near to as far as one likes. What is
identified is the law of $A^+A x$.
"""

from __future__ import annotations

import torch
from torch import Tensor

from theory.claim import DCD, Check, Control, Identity
from theory.distil import distil, objective, w2_squared
from theory.spectra import axes, gaussian

ROWS, D, R, NOISE = 3, 5, 2, 0.3
CLEAN = gaussian([1.0] * R + [0.0] * (D - R))
TIMES = (1.0, 3.0, 10.0)  # of what is added in the null space


def operator(rows: int) -> Tensor:
    """Some matrix, `(rows, d)`."""
    rng = torch.Generator().manual_seed(3)
    return torch.randn(rows, D, generator=rng, dtype=torch.float64) / 2 + torch.eye(rows, D)


def evidence(rows: int) -> tuple[Check, ...]:
    """Losses and distances of the student by minimisation, with directions added."""
    A, E = operator(rows), axes(D)[:, :R]
    measured = CLEAN.affine(A, sigma=NOISE**0.5)
    _, alpha, wt = torch.linalg.svd(A @ E, full_matrices=False)
    U = E @ wt.T @ torch.diag((1 + NOISE / alpha**2).sqrt())
    added = torch.linalg.svd(operator(ROWS)).Vh[ROWS:].T @ torch.tensor([[1.0, 0.3], [-0.4, 0.2]]).double()
    found = distil(measured, R, through=A, start=axes(D, seed=1)[:, :R])

    def loss(cov: Tensor) -> float:
        return float(objective("reverse KL", A @ cov @ A.mT, measured.cov))

    least = loss(found.cov)
    checks = [Check("loss of U = EQ", loss(U @ U.mT), least)]
    for times in TIMES:
        student = type(CLEAN).from_factor(torch.zeros(D), U + times * added)
        shown = CLEAN.affine(torch.linalg.pinv(A) @ A)
        seen = student.affine(torch.linalg.pinv(A) @ A)
        near = w2_squared(type(CLEAN).from_factor(torch.zeros(D), U).affine(torch.linalg.pinv(A) @ A), shown)
        checks += [
            Check(f"loss with {times:g} N", loss(student.cov), least),
            Check(f"W2^2 of A^+A x with {times:g} N", w2_squared(seen, shown), near),
        ]
        if times == TIMES[-1]:
            checks.append(Check("W2^2 with the most", w2_squared(student, CLEAN), 100.0, 0.0, ">="))
    nearest = w2_squared(type(CLEAN).from_factor(torch.zeros(D), U), CLEAN)
    return *checks, Check(
        "W2^2 with none", nearest, float(((1 + NOISE / alpha**2).sqrt() - 1).square().sum())
    )


CLAIM = Identity(
    statement="Rank-r data through an A with a null space: students of rank r at the same least loss are "
    "within 1 of the clean law, and beyond 100, in W2^2.",
    source=DCD,
    evidence=lambda: evidence(ROWS),
    control=Control("an A without a null space", lambda: evidence(D), breaks=("* with * N",)),
    setting="d=5, r=2, A 3 x 5, sigma^2=0.3",
)
