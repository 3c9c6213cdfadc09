r"""Distillation between centred Gaussians: the student is found by minimising the objective.

A linear generator $G(z) = Uz$, with `U` of shape `(d, k)`, has covariance $S = UU^T$. Its law and
the teacher's, $N(0, C)$, are compared at noise variances $\tau$. An aware student is
corrupted again before it is compared, so its covariance there is $S + \hat\sigma^2 I + \tau I$.
"""

from __future__ import annotations

__all__ = ["OBJECTIVES", "distil", "levels", "minimise", "objective", "students", "truncated", "w2_squared"]

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, Law, frechet

LEVELS = (0.05, 20.0)  # of tau; above zero, where a student of low rank would cost infinitely much
NODES = 12
STARTS = 2  # saddles are strict, so one generic start would do; the second is for certainty
STEPS = 2000

Divergence = Callable[[Tensor, Tensor], Tensor]
Weight = Callable[[Tensor], Tensor]


def _trace(a: Tensor) -> Tensor:
    return a.diagonal(dim1=-2, dim2=-1).sum(-1)


def reverse_kl(s: Tensor, c: Tensor) -> Tensor:
    """KL(student || teacher) for covariances `(T, d, d)`: the objective of DMD."""
    ratio = torch.linalg.solve(c, s)
    return 0.5 * (_trace(ratio) - s.shape[-1] - torch.logdet(s) + torch.logdet(c))


def forward_kl(s: Tensor, c: Tensor) -> Tensor:
    """KL(teacher || student)."""
    return reverse_kl(c, s)


def reverse_fisher(s: Tensor, c: Tensor) -> Tensor:
    """The Fisher divergence under the student's law: the population objective of SiD."""
    gap = torch.linalg.inv(s) - torch.linalg.inv(c)
    return _trace(gap @ s @ gap)


def forward_fisher(s: Tensor, c: Tensor) -> Tensor:
    """The Fisher divergence under the teacher's law."""
    return reverse_fisher(c, s)


OBJECTIVES: dict[str, Divergence] = {
    "reverse KL": reverse_kl,
    "reverse Fisher": reverse_fisher,
    "forward KL": forward_kl,
    "forward Fisher": forward_fisher,
}


def levels() -> Tensor:
    """The noise variances at which laws are compared, geometric, `(NODES,)`."""
    low, high = LEVELS
    return torch.logspace(math.log10(low), math.log10(high), NODES, dtype=torch.float64)


def constant(tau: Tensor) -> Tensor:
    """The weight 1 of every noise variance."""
    return torch.ones_like(tau)


def objective(name: str, s: Tensor, c: Tensor, weight: Weight = constant) -> Tensor:
    r"""$\int w(\tau) D(S + \tau I, C + \tau I) d\tau$ over `LEVELS`, for covariances `(d, d)`."""
    tau = levels()
    noise = tau[:, None, None] * torch.eye(len(s), dtype=torch.float64)
    w = tau * weight(tau)  # the first factor because levels are geometric
    return (w * OBJECTIVES[name](s + noise, c + noise)).sum() / w.sum()


def distil(teacher: Gaussian, rank: int, name: str = "reverse KL", **options: Any) -> Gaussian:
    """The best of `students`, with the same arguments; from a given start, the one that it leads to."""
    first, *_ = students(teacher, rank, name, again=False, **options)
    return first


def students(
    teacher: Gaussian,
    rank: int,
    name: str = "reverse KL",
    *,
    aware: float = 0.0,
    seed: int = 0,
    weight: Weight = constant,
    through: Tensor | None = None,
    start: Tensor | None = None,
    again: bool = True,
) -> tuple[Gaussian, ...]:
    """The linear students that minimise an objective, over all factors `U`, `(d, rank)`, the best one first.

    They are the same student but for the error of the minimisation, which their differences show.

    Args:
        teacher: The law whose scores are distilled.
        rank: The columns of `U`, >= 0.
        name: One of `OBJECTIVES`.
        aware: The noise variance that is added to the student's output; 0 for an unaware student.
        seed: Of the starts.
        weight: That of a noise variance.
        through: The operator, `(m, d)`, by which the student's output is measured; None for the identity.
        start: Where the minimisation begins, `(d, rank)`; None for several generic starts.
        again: Whether a given start is followed by another one, with other columns from the same space.
    """
    if rank < 0:
        raise ValueError(f"the rank of a student must be >= 0, got {rank}")
    rng = torch.Generator().manual_seed(seed)
    A = torch.eye(teacher.dim, dtype=torch.float64) if through is None else through
    added = aware * torch.eye(teacher.dim, dtype=torch.float64)

    def loss(u: Tensor) -> Tensor:
        return objective(name, A @ u @ u.mT @ A.mT + added, teacher.cov, weight)

    size = A.shape[1], rank
    if rank == 0:
        return (Gaussian.from_factor(torch.zeros(size[0]), torch.zeros(*size, dtype=torch.float64)),)
    starts = [torch.randn(*size, generator=rng, dtype=torch.float64) for _ in range(STARTS)]
    if start is not None:
        mix = torch.randn(rank, rank, generator=rng, dtype=torch.float64)
        turned = start @ (torch.eye(rank, dtype=torch.float64) + mix / 10)
        starts = [start, turned] if again else [start]
    ends = sorted((minimise(loss, u) for u in starts), key=lambda u: loss(u).item())
    return tuple(Gaussian.from_factor(torch.zeros(A.shape[1]), u) for u in ends)


def minimise(loss: Callable[[Tensor], Tensor], start: Tensor, steps: int = STEPS) -> Tensor:
    """The point that L-BFGS reaches from `start`."""
    u = start.clone(memory_format=torch.contiguous_format).requires_grad_()
    solver = torch.optim.LBFGS(
        [u],
        max_iter=steps,
        max_eval=2 * steps,
        tolerance_grad=1e-11,
        tolerance_change=0.0,
        history_size=50,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        solver.zero_grad()
        value = loss(u)
        value.backward()
        return value

    solver.step(closure)
    return u.detach()


def truncated(clean: Gaussian, sigma: float) -> Gaussian:
    """The law of `E[x | x + sigma n]`: what a Tweedie teacher samples that stops at the data's noise."""
    origin = torch.zeros(1, clean.dim, dtype=torch.float64)
    basis = torch.eye(clean.dim, dtype=torch.float64)
    offset = clean.denoise(origin, sigma)
    gain = (clean.denoise(basis, sigma) - offset).mT
    return clean.noised(sigma).affine(gain, offset[0])


def w2_squared(law: Law, clean: Gaussian) -> float:
    """The squared W2 distance of Gaussians, which is the Frechet distance."""
    return frechet(law, clean)
