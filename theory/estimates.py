r"""Distances with bounds on their numerical errors, which owe nothing to a closed form beside them.

The error of a quadrature is the difference to the same rule with steps twice as large. That of anything else
that can be repeated, as a minimisation from another start, is the largest difference between repetitions.
Eigenvalues of a product of covariances are known up to rounding, `e`, and their roots up to
$\min(\sqrt e, e / 2 \sqrt\lambda)$.
"""

from __future__ import annotations

__all__ = ["ROUNDING", "kl_laws", "kl_line", "repeated", "w2_laws", "w2_line"]

import math
import sys
from collections.abc import Sequence

import torch

from dcdbench.analytic import Gaussian, kl_gaussian
from dcdbench.linalg import sqrtm
from theory.distil import w2_squared
from theory.divergences.estimate import Estimate
from theory.quadrature import STEP, UNIT_STEP, Mixture, kl
from theory.quadrature import w2_squared as w2_quantiles

ROUNDING = sys.float_info.epsilon


def repeated(values: Sequence[float], error: float = 0.0) -> Estimate:
    """The first of several computations of one number, with their largest difference as its error.

    Args:
        values: At least two, each found from another start, by another rule or with other nodes.
        error: An error that all of them have.
    """
    if len(values) < 2:
        raise ValueError(f"a difference needs at least 2 computations of a number, got {len(values)}")
    first, *others = values
    if math.isinf(first):
        return Estimate.exact(first)
    apart = max(abs(other - first) for other in others)
    return Estimate.exact(first, apart + error + ROUNDING * abs(first))


def w2_line(p: Mixture, q: Mixture) -> Estimate:
    """The squared W2 distance of mixtures on the line."""
    return repeated([w2_quantiles(p, q), w2_quantiles(p, q, 2 * UNIT_STEP)], ROUNDING)


def kl_line(p: Mixture, q: Mixture) -> Estimate:
    """KL(p || q) of mixtures on the line, in nats."""
    return repeated([kl(p, q), kl(p, q, 2 * STEP)], ROUNDING)


def w2_laws(laws: Gaussian | Sequence[Gaussian], clean: Gaussian) -> Estimate:
    """The squared W2 distance of a normal law, or of several that are one but for how they were found."""
    found = [laws] if isinstance(laws, Gaussian) else list(laws)
    values = [w2_squared(law, clean) for law in found]
    return repeated([*values, values[0]], max(_rounding(law, clean) for law in found))


def _rounding(law: Gaussian, clean: Gaussian) -> float:
    root = sqrtm(law.cov)
    size = law.cov.trace() * clean.cov.trace()
    e = law.dim * ROUNDING * size
    eigenvalues = torch.linalg.eigvalsh(root @ clean.cov @ root).clamp_min(0.0)
    of_roots = torch.minimum(e.sqrt(), e / (2 * eigenvalues.sqrt()))
    return float(2 * of_roots.sum() + law.dim * ROUNDING * (law.cov.trace() + clean.cov.trace()))


def kl_laws(pairs: Sequence[tuple[Gaussian, Gaussian]]) -> Estimate:
    """KL(p || q) of normal laws, or of several such pairs that are the same but for how they were found."""
    values = [kl_gaussian(p, q) for p, q in pairs]
    if not all(map(math.isfinite, values)):
        return Estimate.exact(values[0])
    worst = max(float(torch.linalg.cond(law.cov)) for pair in pairs for law in pair)
    error = pairs[0][0].dim * ROUNDING * worst * (1 + abs(values[0]))
    return repeated([*values, values[0]], error if math.isfinite(error) else math.sqrt(ROUNDING))
