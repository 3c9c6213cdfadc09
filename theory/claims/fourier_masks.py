r"""Lines of k-space that are never sampled together determine stationary covariances, and no others.

A stationary covariance is diagonal in the Fourier basis, $F^H \operatorname{diag}(s) F$, so that
$E[A^T A S A^T A]$ of a mask in that basis multiplies $s_\omega$ by the probability $P(\omega)$ that it is
observed: that this is positive is enough. Any other covariance needs $P(\omega, \omega') > 0$ for all pairs.
Of every R-th line, from a random first one, all are seen at times, but pairs of one phase alone: with m real
numbers per phase $R \cdot m(m+1)/2$ of $d(d+1)/2$ second moments.
"""

from __future__ import annotations

from math import comb

import torch
from torch import Tensor

from dcdbench.operators.fourier import Fourier
from dcdbench.operators.identifiability import moment_ranks
from dcdbench.protocols import OperatorLaw
from theory.claim import OURS, Check, Control, Identity

HEIGHT, WIDTH, EVERY = 2, 4, 2
SHAPE = (2, HEIGHT, WIDTH)
D = 2 * HEIGHT * WIDTH
DRAWS = 64


def normal(law: OperatorLaw) -> Tensor:
    """`A^T A` of some draws, `(DRAWS, d, d)`, by columns."""
    rng = torch.Generator().manual_seed(0)
    A = law.draw(SHAPE, DRAWS, rng).to(dtype=torch.float64)
    basis = torch.eye(D, dtype=torch.float64).reshape(D, 1, *SHAPE).expand(-1, DRAWS, *SHAPE)
    return torch.stack([A.adjoint(A(column)).flatten(1) for column in basis], 2)


def frequencies() -> Tensor:
    """The covariances of white noise in one frequency, `(frequencies, d, d)`, which span the stationary."""
    F = Fourier(acceleration=1.0, acs=0).draw(SHAPE, D, torch.Generator()).to(dtype=torch.float64)
    k = F(torch.eye(D, dtype=torch.float64).reshape(D, *SHAPE)).flatten(2)  # (d, 2, H W), columns of F
    return torch.einsum("icw,jcw->wij", k, k)


def stationary_rank(law: OperatorLaw) -> tuple[int, float]:
    """The rank of the map on stationary covariances, and how far its values are from multiples of them."""
    P, basis = normal(law), frequencies()
    values = torch.einsum("nab,wbc,ncd->wad", P, basis, P) / DRAWS
    seen = torch.einsum("wab,wab->w", values, basis) / torch.einsum("wab,wab->w", basis, basis)
    error = (values - seen[:, None, None] * basis).norm() / basis.norm()
    return int(torch.linalg.matrix_rank(values.flatten(1))), float(error)


def evidence(stationary: bool) -> tuple[Check, ...]:
    """Ranks on stationary covariances, or on all of them, and those of theory."""
    law = Fourier(acceleration=EVERY, acs=0, pattern="equispaced")
    ranks, (rank, error) = moment_ranks(law, SHAPE), stationary_rank(law)
    determined = (rank, HEIGHT * WIDTH) if stationary else (ranks.second[0], comb(D + 1, 2))
    return (
        Check("rank for means", ranks.mean[0], D),
        Check("rank for these covariances", *determined),
        Check("rank for all covariances", ranks.second[0], EVERY * comb(D // EVERY + 1, 2)),
        Check("stationary ones are multiplied: error", error, 0.0),
    )


CLAIM = Identity(
    statement="Random Fourier masks determine a stationary covariance if each frequency is seen at times.",
    source=OURS,
    evidence=lambda: evidence(stationary=True),
    control=Control(
        "a covariance that is not stationary",
        lambda: evidence(stationary=False),
        breaks=("rank for these covariances",),
    ),
    setting="complex images of 2 x 4, every second line",
)
