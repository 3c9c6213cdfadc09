r"""Where each signal of a sample has one mask, the mask tells which signal it is, and the denoiser is narrow.

Of n signals each is measured through its own mask, of entries kept with probability p. Ambient Diffusion
shows $A'$, which keeps a share $1 - \delta$ of the mask. Let $w_i(A')$ be the probability that it is signal
i that has left $A'$. Masks alone explain the share $s = E \sum_i w_i^2$ of the variance v of what is seen.
If N signals could have left $A'$, then $s \ge E[1/N] \ge 1/E[N]$, and $E[N] = 1 + (n-1) p (1 -
p(1-p)(1-\delta))^{d-1}$ for views that show a given entry.

The best $a x_t + k(A')$ on such a sample, where k is free, has $a = (1-s)v / ((1-s)v + \sigma^2)$: at each
$\sigma$ the exact gain for the variance $(1-s)v$. A student of that gain ends in this variance, which is too
small. For new signals and masks k is an error: estimates from masks alone err by $(1+s)v$ in what is seen. So
the further corruption must drop so much that many masks could have left the same $A'$.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from dcdbench.operators.inpainting import Inpainting
from theory.claim import OURS, Check, Control, Identity
from theory.generator import SIGMA, settled, sid

D, N, KEEP = 8, 6, 0.5
FURTHER = (0.1, 0.5)
SETS, DRAWS = 600, 12  # of masks, and of signals for each of them
COUNTED, ACCURACY = 0.05, 0.02  # four standard errors of means over sets: of numbers of signals, of errors
EVERY = torch.cartesian_prod(*(torch.tensor([0.0, 1.0], dtype=torch.float64),) * D)  # all views, (2^D, D)


def possible(masks: Tensor, delta: float) -> Tensor:
    """The probability that each of the masks, `(n, D)`, leaves each view, `(2^D, n)`."""
    dropped = masks.sum(1) - EVERY.sum(1, keepdim=True)
    within = (EVERY @ (1 - masks).mT == 0).to(masks)
    return within * delta ** dropped.clamp(min=0) * (1 - delta) ** EVERY.sum(1, keepdim=True)


def explained(masks: Tensor, x: Tensor, delta: float) -> Tensor:
    """Sums over views of a sample and the entries that they show, and their number at the end.

    Summed are the share of variance that masks explain, the number of signals that could have left a view,
    and the squared errors of the best estimates from masks alone: of the signals `x`, `(n, draws)`, and of
    others.
    """
    left = possible(masks, delta)
    total = left.sum(1)
    w = left / total.clamp(min=1e-300)[:, None]
    seen = EVERY.sum(1) * total
    mean = w @ x
    own = (w @ x**2 - mean**2).mean(1)
    numbers = w.square().sum(1), (left > 0).to(w).sum(1), own, 1 + mean.square().mean(1), torch.ones_like(own)
    return torch.stack(numbers) @ seen


@lru_cache
def measured(delta: float, own: bool) -> tuple[float, float, float, float]:
    """The means, for random masks and normal signals; `own`: each signal keeps its mask from view to view."""
    rng = torch.Generator().manual_seed(0)
    sums = torch.zeros(5, dtype=torch.float64)
    for _ in range(SETS):
        masks = Inpainting(KEEP).draw((D,), N, rng).mask.double()
        x = torch.randn(N, DRAWS, generator=rng, dtype=torch.float64)
        sums += explained(masks if own else torch.ones_like(masks), x, delta)
    return tuple((sums[:-1] / sums[-1]).tolist())


def candidates(delta: float) -> float:
    """The expected number of signals that could have left a view which shows a given entry."""
    return 1 + (N - 1) * KEEP * (1 - KEEP * (1 - KEEP) * (1 - delta)) ** (D - 1)


def width(variance: float) -> float:
    """The variance of a student that asks a teacher of this gain: SiD's own code, an exact critic."""
    unit = torch.eye(1, dtype=torch.float64)
    return float(settled(sid(0.75), unit, variance * unit).square())


def checks(delta: float, own: bool) -> tuple[Check, ...]:
    """At one further corruption."""
    share, count, error, elsewhere = measured(delta, own)
    gain = error / (error + SIGMA**2)
    at = f"delta {delta:g}, "
    return (
        Check(f"{at}signals that could have left a view", count, candidates(delta), COUNTED),
        Check(f"{at}explained share", share, 1 / candidates(delta), 0.0, ">="),
        Check(f"{at}error on the sample", error, 1 - share, floor=ACCURACY),
        Check(f"{at}error elsewhere", elsewhere, 1 + share, floor=ACCURACY),
        Check(f"{at}student's variance", width(SIGMA**2 * gain / (1 - gain)), 1 - share, floor=ACCURACY),
    )


def evidence(own: bool) -> tuple[Check, ...]:
    """At a small further corruption and at a large one."""
    small, large = (measured(delta, own)[0] for delta in FURTHER)
    return (
        *(check for delta in FURTHER for check in checks(delta, own)),
        Check("explained share, large less small", large - small, -0.1, 0.0, "<="),
    )


CLAIM = Identity(
    statement="If each signal of a sample has one mask, masks explain a share of the variance, and students "
    "lack this share: the less the further corruption drops, the more.",
    source=OURS,
    evidence=lambda: evidence(own=True),
    control=Control(
        "signals that are seen in full before each further corruption",
        lambda: evidence(own=False),
        breaks=("*could have*", "*explained*"),
    ),
    setting=f"d={D}, n={N}, p={KEEP:g}, delta 0.1 and 0.5, unit variances, sigma={SIGMA:g}",
)
