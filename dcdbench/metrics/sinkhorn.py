r"""The debiased Sinkhorn divergence: entropic optimal transport without its own bias.

$S_\epsilon(P, Q) = OT_\epsilon(P, Q) - \frac12 (OT_\epsilon(P, P) + OT_\epsilon(Q, Q))$ with
$OT_\epsilon(P, Q) = \min_\pi E_\pi |x - y|^2 + \epsilon\, KL(\pi | P \otimes Q)$ (Feydy et al., 2019,
https://arxiv.org/abs/1810.08278). It is zero only for equal laws, tends to the squared W2 distance
for small $\epsilon$ and to the squared distance of means for large; unlike that of W2, its error
decays like $n^{-1/2}$ in any dimension, with a constant that grows as $\epsilon$ shrinks
(Genevay et al., 2019, https://arxiv.org/abs/1810.02733). POT's `empirical_sinkhorn_divergence` is
another value: it leaves the KL out.
"""

from __future__ import annotations

__all__ = ["Sinkhorn", "entropic_cost", "self_cost", "sinkhorn_divergence"]

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.linalg import distances
from dcdbench.metrics import register
from dcdbench.metrics.pairs import clean_pair, clean_reason
from dcdbench.problem import Reference

TOL = 1e-5  # of the marginals; the value is off by about the square
ROUNDS = 30
SWEEPS = 20  # with one kernel, before it is made again
RELAX = 1.8  # over-relaxation of those sweeps, https://arxiv.org/abs/1711.01851
NEAR = 0.05  # the error of the marginals below which it is safe
STEP = 4.0  # from one regularisation to the next, on the way down to eps
RANGE = 50.0  # scalings beyond exp(RANGE) are redone with logarithms
TINY = -500.0  # denormal numbers are slow


def entropic_cost(x: Tensor, y: Tensor, eps: float) -> float:
    r"""$OT_\epsilon$ of the empirical laws of `x`, `(n, d)`, and `y`, `(m, d)`; squared data unit.

    The value of the dual, $E f(x) + E g(y)$. Sinkhorn's sweeps run on logarithms, which cannot
    overflow, and between those on the kernel of the last potentials, which is much faster. Where
    `ROUNDS` of them are too few, as for samples whose scale is another altogether, the value is a
    lower bound, low by a few `eps`.
    """
    cost = distances(x, y).square()
    f, g = _towards(cost, eps)
    for _ in range(ROUNDS):
        f, g, before = *_sweep(cost, g, eps), g
        # The sum over x of the plan is off by this factor, since f was updated.
        error = ((before - g) / eps).expm1().abs().mean().item()
        if error < TOL:
            break
        u, v = _scalings(_kernel(f[:, None] + g - cost, eps), RELAX if error < NEAR else 1.0)
        f, g = f + eps * u, g + eps * v
    f, g = _sweep(cost, g, eps)
    return (f.mean() + g.mean()).item()


def self_cost(x: Tensor, eps: float) -> float:
    """`entropic_cost(x, x, eps)`, by sweeps that keep both potentials equal: a few are enough."""
    cost = distances(x, x).square()
    f = cost.new_zeros(len(x))
    for _ in range(ROUNDS):
        best = -_soft_max(f - cost, eps, 1)
        if ((f - best) / eps).expm1().abs().mean() < TOL:
            break
        f = (f + best) / 2
        kernel = _kernel(f[:, None] + f - cost, eps)
        u = torch.ones_like(f)
        for _ in range(SWEEPS):
            u = (u * len(x) / (kernel @ u)).sqrt()
        f = f + eps * u.log()
    return 2 * f.mean().item()


def _soft_max(h: Tensor, eps: float, axis: int) -> Tensor:
    """`eps log E exp(h / eps)` along an axis."""
    return eps * (torch.logsumexp(h / eps, axis) - math.log(h.shape[axis]))


def _sweep(cost: Tensor, g: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    f = -_soft_max(g - cost, eps, 1)
    return f, -_soft_max(f[:, None] - cost, eps, 0)


def _towards(cost: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Potentials to start from: those of ever smaller regularisations, a sweep or two each."""
    f, g = cost.new_zeros(cost.shape[0]), cost.new_zeros(cost.shape[1])
    larger = cost.mean().item()
    while larger > eps:
        for _ in range(2):
            f, g = _sweep(cost, g, larger)
        larger /= STEP
    return f, g


def _kernel(h: Tensor, eps: float) -> Tensor:
    return (h / eps).clamp_min(TINY).exp()


def _scalings(kernel: Tensor, relax: float) -> tuple[Tensor, Tensor]:
    """Logarithms of what sweeps with a kernel, `(n, m)`, scale it by; 0 where they leave its range."""
    n, m = kernel.shape
    u, v = kernel.new_ones(n), kernel.new_ones(m)
    for _ in range(SWEEPS):
        u = u ** (1 - relax) * (m / (kernel @ v)) ** relax
        v = v ** (1 - relax) * (n / (u @ kernel)) ** relax
    log_u, log_v = u.log(), v.log()
    if torch.cat([log_u, log_v]).abs().max() < RANGE:  # false for NaN too
        return log_u, log_v
    return torch.zeros_like(u), torch.zeros_like(v)


def sinkhorn_divergence(x: Tensor, y: Tensor, eps: float) -> float:
    """The Sinkhorn divergence (not its root) of `x`, `(n, d)`, and `y`, `(m, d)`."""
    value = entropic_cost(x, y, eps) - (self_cost(x, eps) + self_cost(y, eps)) / 2
    return max(value, 0.0)  # at equal samples rounding may leave it just below


@register("sinkhorn")
@dataclass(frozen=True)
class Sinkhorn:
    """The debiased Sinkhorn divergence between the samples and the clean reference.

    Args:
        reg: The regularisation, in units of the mean squared distance of two clean points. It depends
            on the reference alone, so that it is the same for all samples, and follows the data's unit.
        limit: At most so many of either are compared, since the cost matrix holds their
            product; the choice is drawn from `rng`.
    """

    reg: float = 0.05
    limit: int = 2000

    needs: ClassVar[str] = "clean"
    sampling_unit: ClassVar[str] = "generated and clean samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {"sinkhorn": ("lower", "data unit^2")}

    def __post_init__(self) -> None:
        if self.reg < 0.01:
            raise ValueError(f"reg must be >= 0.01 (less needs many sweeps: use w2 instead), got {self.reg}")
        if self.limit < 1:
            raise ValueError(f"limit must be >= 1, got {self.limit}")

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        return clean_reason(reference, least=2)

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The score of `samples`, `(n, *signal)`."""
        x, y = clean_pair(samples, reference)
        spread = 2 * y.var(0, correction=0).sum().item()
        if spread == 0:
            raise ValueError("the clean samples are all equal, and reg is relative to their distances")
        x, y = (self._thin(z, rng) for z in (x, y))
        return {"sinkhorn": sinkhorn_divergence(x, y, self.reg * spread)}

    def _thin(self, x: Tensor, rng: torch.Generator) -> Tensor:
        if len(x) <= self.limit:
            return x
        return x[torch.randperm(len(x), generator=rng, device=rng.device)[: self.limit].to(x.device)]
