r"""Mixtures of equal round components in the plane: students by reverse KL, and bounds of W2.

A student $\frac1J \sum_j N(\mu_j, v I)$ of a teacher of the same kind minimises reverse KL at level 0. The
expectation under each of its components is a trapezoid sum in the component's own units, so that no place is
outside of a window. $W_2^2$ is bounded from below by the sums over two axes of the distances on the line,
for several pairs of axes, and from above by plans between components (Delon and Desolneux, 2020,
https://arxiv.org/abs/1907.05254).
"""

from __future__ import annotations

__all__ = ["Rounds", "along_axes", "ring", "student", "w2_bounds"]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from theory.quadrature import Array, Mixture, w2_squared

REACH, NODES = 4.8, 25  # of the rule for a normal law, in standard deviations, and per axis
UNIT_STEP = 0.04  # of quantiles
ANGLES = 4
MARGIN = 1e-4  # of a lower bound, relative, for its quadrature


@dataclass(frozen=True)
class Rounds:
    """Components of equal weight and variance at `means`, `(K, 2)`."""

    means: Array
    variance: float

    def projection(self, angle: float) -> Mixture:
        """The law along an axis."""
        places = self.means @ np.array([math.cos(angle), math.sin(angle)])
        k = len(places)
        return Mixture((1 / k,) * k, tuple(places.tolist()), (self.variance**0.5,) * k)


def ring(count: int, radius: float, variance: float, turn: float = 0.0) -> Rounds:
    """Components on a circle."""
    angles = 2 * math.pi * np.arange(count) / count + turn
    return Rounds(radius * np.stack([np.cos(angles), np.sin(angles)], 1), variance)


def _log_density(x: Tensor, means: Tensor, variance: Tensor) -> Tensor:
    squares = x.square().sum(1)[:, None] + means.square().sum(1) - 2 * x @ means.T
    logs = torch.logsumexp(-0.5 * squares / variance, 1)
    return logs - math.log(len(means)) - torch.log(2 * math.pi * variance)


def divergence(means: Tensor, variance: Tensor, teacher: Rounds) -> Tensor:
    """KL of a mixture of equal round components from the teacher."""
    z = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    share = torch.exp(-0.5 * z.square())
    weights = torch.outer(share, share).flatten()
    x = (means[:, None] + variance.sqrt() * torch.cartesian_prod(z, z)).flatten(0, 1)
    gap = _log_density(x, means, variance)
    gap = gap - _log_density(x, torch.from_numpy(teacher.means), torch.tensor(teacher.variance))
    return (gap.reshape(len(means), -1) @ weights).mean() / weights.sum()


def student(teacher: Rounds, starts: Sequence[Rounds], aware: float = 0.0) -> Rounds:
    """The best student that descent reaches from `starts`; `aware` is the noise variance added to it."""
    from scipy.optimize import minimize

    def loss(q: Array) -> tuple[float, Array]:
        free = torch.from_numpy(q).requires_grad_()
        value = divergence(free[1:].reshape(-1, 2), free[0].exp() + aware, teacher)
        return value.item(), torch.autograd.grad(value, free)[0].numpy()

    ends = []
    for start in starts:
        q = np.concatenate([[math.log(start.variance)], start.means.ravel()])
        ends.append(minimize(loss, q, jac=True, method="L-BFGS-B", options={"gtol": 1e-6, "ftol": 1e-12}))
    best = min(ends, key=lambda end: float(end.fun)).x
    return Rounds(best[1:].reshape(-1, 2), float(np.exp(best[0])))


def along_axes(p: Rounds, q: Rounds, turn: float, rule: Callable[[Mixture, Mixture], float]) -> float:
    """The sum of W2, squared, along two axes, by a rule for the line: a lower bound."""
    return sum(rule(p.projection(a), q.projection(a)) for a in (turn, turn + math.pi / 2))


def _coarse(p: Mixture, q: Mixture) -> float:
    return w2_squared(p, q, UNIT_STEP)


def w2_bounds(p: Rounds, q: Rounds) -> tuple[float, float]:
    """A lower and an upper bound of W2, squared."""
    turns = np.pi / 2 * np.arange(ANGLES) / ANGLES
    low = max(along_axes(p, q, float(turn), _coarse) for turn in turns)
    high = _plan(p, q)
    return min((1 - MARGIN) * low, high), high


def _plan(p: Rounds, q: Rounds) -> float:
    """The least cost of a plan between components: an assignment, as weights are equal."""
    from scipy.optimize import linear_sum_assignment

    n = math.lcm(len(p.means), len(q.means))
    x, y = (np.repeat(law.means, n // len(law.means), 0) for law in (p, q))
    cost = ((x[:, None] - y) ** 2).sum(-1)
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].mean() + 2 * (p.variance**0.5 - q.variance**0.5) ** 2)
