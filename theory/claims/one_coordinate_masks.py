r"""Every entry is seen, and yet the correlations are not: full rank of $E[A^TA]$ is not enough.

Means are determined by $E[A^TA]$, covariances by $S \mapsto E[A^TA S A^TA]$ on symmetric matrices. Masks
that show one coordinate at a time give the first full rank and the second rank d of $d(d+1)/2$: descent
from a start without correlations finds none, at no loss. For two unit variances with correlation $\rho$ it
is off by $W_2^2 = 4 - 2(\sqrt{1+\rho} + \sqrt{1-\rho})$.
"""

from __future__ import annotations

from math import comb, sqrt

import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, frechet, kl_gaussian
from dcdbench.operators.coordinates import Coordinates
from dcdbench.operators.identifiability import moment_ranks
from theory.claim import OURS, Check, Control, Identity, Verdict
from theory.distil import minimise, reverse_kl

D, RHO, NOISE = 4, 0.9, 0.2
EYE = torch.eye(2, dtype=torch.float64)
CLOSE = 1e-6  # of a student by minimisation


def loss(count: int, law: Gaussian, clean: Gaussian) -> float:
    """KL of noisy measurements, the mean over all masks that show so many of two coordinates."""
    shown = [torch.eye(2)[[i]] for i in range(2)] if count == 1 else [torch.eye(2)]
    parts = [[p.affine(A, sigma=NOISE) for p in (law, clean)] for A in shown]
    return sum(kl_gaussian(*pair) for pair in parts) / len(parts)


def found(count: int, clean: Gaussian) -> Gaussian:
    """The student of full rank that descent by reverse KL of measurements reaches."""
    shown = [EYE[[i]] for i in range(2)] if count == 1 else [EYE]

    def objective(u: Tensor) -> Tensor:
        pairs = [
            [A @ cov @ A.mT + NOISE**2 * torch.eye(len(A)) for cov in (u @ u.mT, clean.cov)] for A in shown
        ]
        return torch.stack([reverse_kl(s[None], c[None])[0] for s, c in pairs]).mean()

    start = torch.tensor([[0.7, 0.0], [0.0 if count == 1 else 0.1, 1.3]], dtype=torch.float64)
    return Gaussian.from_factor(torch.zeros(2), minimise(objective, start))


def evidence(count: int) -> tuple[Check, ...]:
    """Ranks, and the student that measurements lead to; theory is told that means suffice."""
    ranks = moment_ranks(Coordinates(count), (D,))
    clean = Gaussian(torch.zeros(2), torch.tensor([[1.0, RHO], [RHO, 1.0]]))
    student = found(count, clean)
    error = 4 - 2 * (sqrt(1 + RHO) + sqrt(1 - RHO)) if count == 1 else 0.0
    return (
        Check("rank for means", ranks.mean[0], D),
        Check("rank for covariances", ranks.second[0], comb(D + 1, 2)),
        Check("loss of the student", loss(count, student, clean), 0.0),
        Check("W2^2 by the formula", frechet(student, clean), error, floor=CLOSE),
        Check("W2^2 of the student", frechet(student, clean), 0.0, floor=CLOSE),
    )


CLAIM = Identity(
    statement="If every coordinate is seen at times, so that E[A^T A] has full rank, then measurements "
    "determine the covariance.",
    source=OURS,
    evidence=lambda: evidence(1),
    control=Control("two coordinates at a time", lambda: evidence(2), Verdict.HOLDS),
    expects=Verdict.FAILS,
    setting="exactly one of 4 coordinates; of 2, correlation 0.9",
    breaks=(
        "rank for covariances",
        "W2^2 of the student",
    ),
)
