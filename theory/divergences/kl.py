r"""KL(p || q) of laws with densities: quadrature, Monte Carlo, a variational bound, neighbours.

$KL = \int p (e^\ell - 1 - \ell)$ with $\ell = \log q/p$: the integrand is never negative, so laws that are
close keep their relative accuracy. The variational upper bound is that of Hershey and Olsen (2007),
https://doi.org/10.1109/ICASSP.2007.366913: $\min_{\phi, \psi} \sum_{ab} \phi_{ab} (\log \phi_{ab} /
\psi_{ab} + KL(p_a \| q_b))$ over $\sum_b \phi_{ab} = \pi_a$, $\sum_a \psi_{ab} = \omega_b$. Their variational
approximation is no bound, and is not offered. Neighbours: Wang, Kulkarni and Verdu (2009),
https://doi.org/10.1109/TIT.2009.2016060.
"""

from __future__ import annotations

__all__ = ["kl_difference", "kl_monte_carlo", "kl_neighbours", "kl_quadrature", "kl_upper"]

import math

import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, Law
from theory.divergences import gaussian
from theory.divergences.estimate import Estimate, t_interval
from theory.divergences.grid import integrate

MOST_DIM = 2  # of neighbours, whose bias grows with the dimension
SWEEPS = 500
NEAR, SERIES = 0.1, 12  # below, of so many terms
TOL = 1e-13


def kl_quadrature(p: Law, q: Law) -> Estimate:
    """KL(p || q) in one or two dimensions; infinite for a degenerate `p`."""
    if q.has_density and not p.has_density:
        return Estimate.exact(math.inf)

    def f(x: Tensor) -> Tensor:
        log_p, log_q = p.log_prob(x), q.log_prob(x)
        ratio = log_q - log_p
        far = log_q.exp() - log_p.exp() * (1 + ratio)  # where p may vanish and the ratio overflow
        return torch.where(ratio < 1, log_p.exp() * _excess(ratio.clamp_max(1)), far)

    return integrate(f, (p, q))


def _excess(x: Tensor) -> Tensor:
    """`exp(x) - 1 - x`, also where the terms cancel."""
    series = torch.ones_like(x)
    for k in range(SERIES, 2, -1):
        series = 1 + x / k * series
    return torch.where(x.abs() < NEAR, x.square() / 2 * series, x.expm1() - x)


def kl_monte_carlo(p: Law, q: Law, n: int, rng: torch.Generator) -> Estimate:
    """KL(p || q) from `n` draws of `p`, with an interval; in any dimension, and without bias."""
    x = p.sample(n, rng)
    return t_interval((p.log_prob(x) - q.log_prob(x)).tolist())


def kl_difference(student: Law, teacher: Law, clean: Law, n: int, rng: torch.Generator) -> Estimate:
    """`KL(clean || student) - KL(clean || teacher)`, paired: one mean over `n` clean draws."""
    x = clean.sample(n, rng)
    return t_interval((teacher.log_prob(x) - student.log_prob(x)).tolist())


def kl_upper(p: Law, q: Law) -> Estimate:
    """KL(p || q) between 0 and the variational upper bound, which is the value, in any dimension."""
    values = [[gaussian.kl(a, b).value for b in _parts(q)] for a in _parts(p)]
    kls = torch.tensor(values, dtype=torch.float64)
    log_pi, log_omega = p.components[0].log()[:, None], q.components[0].log()
    log_phi, bound = log_pi + log_omega, math.inf
    for _ in range(SWEEPS):
        log_psi = log_omega + torch.log_softmax(log_phi, 0)
        scores = log_psi - kls
        log_phi = log_pi + torch.log_softmax(scores, 1)
        best = (log_pi.exp() * (log_pi - torch.logsumexp(scores, 1, keepdim=True))).sum().item()
        if bound - best <= TOL * abs(best):
            break
        bound = best
    return Estimate.upper(max(best, 0.0))


def _parts(law: Law) -> list[Gaussian]:
    return [Gaussian(m, c) for m, c in zip(*law.components[1:], strict=True)]


def kl_neighbours(x: Tensor, y: Tensor, k: int = 5) -> Estimate:
    r"""KL(p || q) from samples `x`, `(n, d)`, and `y`, `(m, d)`, of both; a value without bounds.

    $\frac dn \sum_i \log (\nu_k(i) / \rho_k(i)) + \log \frac{m}{n - 1}$, with the distances of $x_i$ to its
    k-th neighbour in `y` and in `x`.
    """
    from scipy.spatial import cKDTree

    n, d = x.shape
    if d > MOST_DIM:
        raise ValueError(f"neighbours are biased beyond {MOST_DIM} dimensions, and samples have {d}")
    own = torch.from_numpy(cKDTree(x.numpy()).query(x.numpy(), [k + 1])[0][:, 0])
    other = torch.from_numpy(cKDTree(y.numpy()).query(x.numpy(), [k])[0][:, 0])
    return Estimate.undecided(d * (other / own).log().mean().item() + math.log(len(y) / (n - 1)))
