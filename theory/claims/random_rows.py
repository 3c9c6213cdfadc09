r"""One random direction of each signal is enough: measurements determine means and covariances.

For a row a, $E[a a^T S a a^T] = E[(a^T S a) a a^T]$, which vanishes on no symmetric matrix but 0 if the
directions $a a^T$ span them: any $d(d+1)/2$ generic ones do. Rows that are entries do not, though they have
the same $E[A^T A]$ up to a factor. Covariances from squares of random projections: Chen, Chi and Goldsmith
(2013), https://arxiv.org/abs/1310.0807.
"""

from __future__ import annotations

from math import comb

import torch

from dcdbench.analytic import Gaussian, frechet
from dcdbench.operators.coordinates import Coordinates
from dcdbench.operators.identifiability import moment_ranks
from dcdbench.operators.random_projections import RandomProjections
from dcdbench.protocols import OperatorLaw
from theory.claim import Check, Control, Identity
from theory.distil import minimise
from theory.spectra import gaussian

D, NOISE = 4, 0.2
SPECTRUM = [2.0, 1.0, 0.5, 0.2]
CLOSE = 1e-6  # of a student by minimisation


def distance(law: OperatorLaw) -> float:
    """W2^2 of an aware student of full rank, whose variances along rows are compared by reverse KL."""
    clean = gaussian(SPECTRUM)
    draws = law.draw((D,), comb(D + 1, 2), torch.Generator().manual_seed(0)).to(dtype=torch.float64)
    eye = torch.eye(D, dtype=torch.float64)
    rows = torch.stack([draws(e.expand(comb(D + 1, 2), D)).flatten(1).sum(1) for e in eye], 1)

    def loss(u: torch.Tensor) -> torch.Tensor:
        own, real = ((rows @ cov * rows).sum(1) + NOISE for cov in (u @ u.mT, clean.cov))
        return (own / real - 1 - (own / real).log()).mean()

    return frechet(Gaussian.from_factor(torch.zeros(D), minimise(loss, eye)), clean)


def evidence(law: OperatorLaw) -> tuple[Check, ...]:
    """Ranks, and a student from as many rows as there are second moments."""
    ranks = moment_ranks(law, (D,))
    return (
        Check("rank for means", ranks.mean[0], D),
        Check("rank for covariances", ranks.second[0], comb(D + 1, 2)),
        Check("W2^2 of the aware student", distance(law), 0.0, floor=CLOSE),
    )


CLAIM = Identity(
    statement="Signals of which one random projection each is seen: means and covariances are determined.",
    source="Chen, Chi and Goldsmith, arXiv 1310.0807",
    evidence=lambda: evidence(RandomProjections(1)),
    control=Control(
        "one random entry each",
        lambda: evidence(Coordinates(1)),
        breaks=("rank for covariances", "W2^2 of the aware student"),
    ),
    setting="d=4, aware student from 10 rows, sigma^2=0.2",
)
