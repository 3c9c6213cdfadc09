r"""With equal weights over all noise variances, KL between Gaussians is the Umegaki relative entropy.

$\int_0^\infty KL(N(0, S + \tau) \| N(0, C + \tau)) d\tau
= \tfrac12 \operatorname{tr}[S \log S - S \log C - S + C]$, for S and C that need not commute. At the student
of rank k that is $\tfrac12 \sum_{i>k} c_i$: the loss of PCA.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from theory.claim import OURS, Check, Control, Identity
from theory.distil import reverse_kl
from theory.spectra import gaussian

TEACHER = [3.0, 2.0, 1.0, 0.5]
NODES, REACH = 2000, 30.0  # of log tau


def integral(s: Tensor, c: Tensor, weight: Callable[[Tensor], Tensor]) -> float:
    """KL over all levels, on those of the eigenvalues that a float can tell apart."""
    t = torch.linspace(-REACH, 16.0, NODES, dtype=torch.float64)
    tau = t.exp()
    noise = tau[:, None, None] * torch.eye(len(s), dtype=torch.float64)
    return float((weight(tau) * tau * reverse_kl(s + noise, c + noise)).sum() * (t[1] - t[0]))


def umegaki(s: Tensor, c: Tensor) -> float:
    """The closed form; `s` may be singular, as `v log v` vanishes with v."""
    values, vectors = torch.linalg.eigh(c)
    log_c = vectors @ torch.diag(values.log()) @ vectors.mT
    own = torch.special.xlogy(*(torch.linalg.eigvalsh(s).clamp(min=0),) * 2).sum()
    return float(own - torch.trace(s @ log_c) - s.trace() + c.trace()) / 2


def evidence(weight: Callable[[Tensor], Tensor]) -> tuple[Check, ...]:
    """A student with other axes than the teacher's, and the best one of rank 2."""
    c, s = gaussian(TEACHER).cov, gaussian([2.0, 0.3, 0.7, 1.1], seed=1).cov
    best = gaussian([*TEACHER[:2], 0.0, 0.0]).cov
    return (
        Check("other axes", integral(s, c, weight), umegaki(s, c)),
        Check("rank 2", integral(best, c, weight), sum(TEACHER[2:]) / 2),
        Check("closed form at rank 2", umegaki(best, c), sum(TEACHER[2:]) / 2),
    )


CLAIM = Identity(
    statement="Between Gaussians, reverse KL with equal weights over noise variances is "
    "tr[S log S - S log C - S + C]/2, and the loss of PCA at the student of rank k.",
    source=OURS,
    evidence=lambda: evidence(torch.ones_like),
    control=Control(
        "the weight exp(-tau)",
        lambda: evidence(lambda tau: torch.exp(-tau)),
        breaks=(
            "other axes",
            "rank 2",
        ),
    ),
    setting="d=4, S and C with different axes",
)
