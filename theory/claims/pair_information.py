r"""What masks tell of a correlation falls with the square of the share of entries that they show.

If each entry is seen with probability p, independently, two entries are seen together with probability $p^2$,
and only then do known variances leave something to learn of their correlation. So the information per sample
is $p^2 (1 + \rho^2)/(1 - \rho^2)^2$, the curvature of the KL divergence of masked laws. The second moment of
the pairs seen together has the variance $(1 + \rho^2)/(p^2 n)$, that of a single entry $2/(pn)$.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from dcdbench.operators.inpainting import Inpainting
from theory.claim import OURS, Check, Control, Identity
from theory.distil import reverse_kl

RHO = 0.6
SHARES = (0.2, 0.5, 0.8)
REPEATS, SAMPLES = 4000, 1000
MONTE_CARLO = 0.12  # four standard errors of a variance from so many repeats, and what few pairs add


def correlated(rho: Tensor) -> Tensor:
    """Unit variances."""
    return torch.eye(2, dtype=torch.float64) + rho * (1 - torch.eye(2, dtype=torch.float64))


def information(p: float, independent: bool) -> float:
    """The curvature, at the truth, of the mean over masks of KL between laws of what is seen."""
    truth = torch.tensor(RHO, dtype=torch.float64)

    def loss(rho: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for mask in product((0, 1), repeat=2):
            seen = [i for i, m in enumerate(mask) if m]
            share = p ** len(seen) * (1 - p) ** (2 - len(seen)) if independent else float(mask == (1, 1)) * p
            if seen and share:
                parts = [correlated(r)[seen][:, seen][None] for r in (truth, rho)]
                total = total + share * reverse_kl(*parts)[0]
        return total

    return float(torch.autograd.functional.hessian(loss, truth))


def spread(p: float) -> tuple[float, float, float]:
    """From masked samples, `n` times the variances of second moments, of the pair and of one entry.

    With them the share of samples that show the pair.
    """
    rng = torch.Generator().manual_seed(0)
    root = torch.linalg.cholesky(correlated(torch.tensor(RHO))).float()
    mask = Inpainting(p).draw((2,), REPEATS * SAMPLES, rng).mask
    y = mask * (torch.randn(REPEATS * SAMPLES, 2, generator=rng) @ root.T)
    both, one = (
        (square.reshape(REPEATS, SAMPLES).sum(1) / seen.reshape(REPEATS, SAMPLES).sum(1)).var()
        for square, seen in ((y.prod(1), mask.prod(1)), (y[:, 0] ** 2, mask[:, 0]))
    )
    return SAMPLES * float(both), SAMPLES * float(one), float(mask.prod(1).mean())


def evidence(independent: bool) -> tuple[Check, ...]:
    """Information, and samples by the benchmark's masks, over what theory says."""
    full = (1 + RHO**2) / (1 - RHO**2) ** 2
    checks = []
    for p in SHARES:
        both, one, share = spread(p)
        checks += [
            Check(f"p={p:g}: share of the information", information(p, independent) / full, p**2),
            Check(f"p={p:g}: spread of the pair", both * p**2 / (1 + RHO**2), 1.0, MONTE_CARLO),
            Check(f"p={p:g}: spread of an entry", one * p / 2, 1.0, MONTE_CARLO),
            Check(f"p={p:g}: share of pairs", share / p**2, 1.0, MONTE_CARLO),
        ]
    return tuple(checks)


CLAIM = Identity(
    statement="Entries seen with probability p each: the information on a correlation falls like p^2.",
    source=OURS,
    evidence=lambda: evidence(independent=True),
    control=Control(
        "masks that show both entries or none",
        lambda: evidence(independent=False),
        breaks=("*: share of the information",),
    ),
    setting="two entries, unit variances, correlation .6",
)
