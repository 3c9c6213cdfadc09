r"""Linear measurements, corrected: an injective A gives the subspace back, but amplifies the noise on it.

For $\Sigma = EE^T$ with $AE = V \alpha W^T$, matching $ASA^T$ at rank r with $A\Sigma A^T + \sigma^2 I$
gives $S = E W \operatorname{diag}(1 + \sigma^2/\alpha_i^2) W^T E^T$, so that
$W_2^2 = \sum_i (\sqrt{1 + \sigma^2/\alpha_i^2} - 1)^2$. It is $(1 + \sigma^2) EE^T$ only if AE has
orthonormal columns; an aware student has $\Sigma$. If A has a null space, S is not determined. After the
theorem for linear measurements of https://arxiv.org/abs/2505.13377.
"""

from __future__ import annotations

import torch
from torch import Tensor

from theory.claim import DCD, Check, Control, Identity
from theory.distil import distil, w2_squared
from theory.spectra import axes, gaussian

D, R, NOISE = 4, 2, 0.3
CLOSE = 1e-6  # of covariances by minimisation
CLEAN = gaussian([1.0] * R + [0.0] * (D - R))


def operator(rows: int) -> Tensor:
    """Some matrix, `(rows, d)`."""
    rng = torch.Generator().manual_seed(3)
    return torch.randn(rows, D, generator=rng, dtype=torch.float64) / 2 + torch.eye(rows, D)


def evidence(rows: int) -> tuple[Check, ...]:
    """The student's covariance and distance, and those of the aware one."""
    A, E = operator(rows), axes(D)[:, :R]
    measured = CLEAN.affine(A, sigma=NOISE**0.5)
    _, alpha, wt = torch.linalg.svd(A @ E, full_matrices=False)
    wide = 1 + NOISE / alpha**2
    start = axes(D, seed=1)[:, :R]
    unaware = distil(measured, R, through=A, start=start)
    aware = distil(measured, R, through=A, aware=NOISE, start=start)
    closed = E @ wt.T @ torch.diag(wide) @ wt @ E.T
    outside = torch.trace(unaware.cov) - torch.trace(E.T @ unaware.cov @ E)
    return (
        Check("variance outside of the subspace", float(outside), 0.0),
        Check("covariance: error", float((unaware.cov - closed).norm()), 0.0, floor=CLOSE),
        Check("W2^2", w2_squared(unaware, CLEAN), float((wide.sqrt() - 1).square().sum())),
        Check("W2^2, aware", w2_squared(aware, CLEAN), 0.0),
    )


CLAIM = Identity(
    statement="Rank-r data seen through an injective A: the unaware student of rank r has the data's "
    "subspace, with variances 1 + sigma^2/alpha_i^2; the aware one has the clean law.",
    source=DCD,
    evidence=lambda: evidence(D + 1),
    control=Control("an A with a null space", lambda: evidence(D - 1), breaks=("*",)),
    setting="d=4, r=2, A 5 x 4, sigma^2=0.3",
)
