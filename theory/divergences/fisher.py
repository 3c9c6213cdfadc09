r"""The Fisher divergence, $F(p \| q) = E_p |\nabla \log p - \nabla \log q|^2$, by quadrature.

It is blind to the weights of well separated modes, and along noise it is the slope of KL: de Bruijn,
$\partial_\tau KL(p_\tau \| q_\tau) = -\frac12 F(p_\tau \| q_\tau)$.
"""

from __future__ import annotations

__all__ = ["fisher_quadrature"]

import math

from torch import Tensor

from dcdbench.analytic import Law
from theory.divergences.estimate import Estimate
from theory.divergences.grid import integrate


def fisher_quadrature(p: Law, q: Law) -> Estimate:
    """F(p || q) in one or two dimensions; infinite for a degenerate `p`."""
    if q.has_density and not p.has_density:
        return Estimate.exact(math.inf)

    def f(x: Tensor) -> Tensor:
        return p.log_prob(x).exp() * (p.score(x, 0.0) - q.score(x, 0.0)).square().sum(1)

    return integrate(f, (p, q))
