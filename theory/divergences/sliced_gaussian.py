r"""Sliced W2 of Gaussians in any dimension, by a quadrature without random directions.

With $X = x^T A x$, $Y = x^T B x$, $x \sim N(0, I)$,
$d \cdot SW_2^2 = |\Delta\mu|^2 + E(\sqrt X - \sqrt Y)^2$, as $|x|$ is independent of the direction of x. By
partial fractions
$$(\sqrt X - \sqrt Y)^2
= \frac2\pi \int_0^\infty \frac{\sqrt\rho}{(1+\rho)^2} \frac{(X - Y)^2}{\rho X + Y} d\rho,$$
in which nothing cancels between close laws, and with $D = A - B$, $C = (I + 2s(\rho A + B))^{-1}$
$$E \frac{(X - Y)^2}{\rho X + Y} = \int_0^\infty \det(C)^{1/2} [(\operatorname{tr} DC)^2
+ 2 \operatorname{tr} DCDC] ds.$$
Both by the trapezoid rule in the logarithm; the error is the square of the difference to every second $\rho$,
relative, as digits double with the points.
"""

from __future__ import annotations

__all__ = ["sliced_gaussian"]

import math

import torch
from torch import Tensor

from dcdbench.analytic import Gaussian
from theory.divergences.estimate import Estimate

RATIOS = 60.0  # of log rho: at singular laws the integrand decays like its root
STEP = 0.5  # the nearest singularities are pi away
BELOW, ABOVE = 40.0, 28.0  # of log s, beyond the eigenvalues
ROUNDING = 1e-12
FINE, SHARP = 0.25, 2.0  # the step of log s, and times the root of the dimension, as integrands are peaks


def sliced_gaussian(p: Gaussian, q: Gaussian) -> Estimate:
    """Sliced W2 (squared) of two normal laws, which may be degenerate."""
    if not (isinstance(p, Gaussian) and isinstance(q, Gaussian)):
        raise TypeError("the closed form is that of Gaussians; mixtures have random directions")
    scale = max(p.cov.trace().item(), q.cov.trace().item())
    shift = (p.mean - q.mean).square().sum().item()
    if torch.equal(p.cov, q.cov):
        return Estimate.exact(shift / p.dim)
    u = STEP * torch.arange(-math.ceil(RATIOS / STEP), 1 + math.ceil(RATIOS / STEP), dtype=torch.float64)
    means = torch.stack([_mean_ratio(p.cov / scale, q.cov / scale, rho) for rho in u.exp().tolist()])
    values = 2 / math.pi * (1.5 * u - 2 * torch.nn.functional.softplus(u)).exp() * means
    whole, coarse = STEP * values.sum().item(), 2 * STEP * values[::2].sum().item()
    error = (whole - coarse) ** 2 / whole + ROUNDING * whole
    return Estimate.exact((shift + scale * whole) / p.dim, scale * error / p.dim)


def _mean_ratio(a: Tensor, b: Tensor, rho: float) -> Tensor:
    """The mean of `(X - Y)^2 / (rho X + Y)`."""
    kappa, vectors = torch.linalg.eigh(rho * a + b)
    kept = kappa > len(kappa) * torch.finfo(kappa.dtype).eps * kappa[-1]
    kappa, vectors = kappa[kept], vectors[:, kept]
    gap = vectors.mT @ (a - b) @ vectors
    low, high = -BELOW - math.log(2 * kappa[-1]), ABOVE - math.log(2 * kappa[0])
    step = min(FINE, SHARP / math.sqrt(len(kappa)))
    s = torch.arange(low, high, step, dtype=torch.float64).exp()[:, None]
    c = 1 / (1 + 2 * s * kappa)
    traces = (c @ gap.diagonal()).square() + 2 * ((c @ gap.square()) * c).sum(1)
    return step * (s[:, 0] * (c.log().sum(1) / 2).exp() * traces).sum()
