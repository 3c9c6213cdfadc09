r"""The trapezoid rule over R or R^2, which converges exponentially for analytic integrands that decay.

See Trefethen and Weideman (2014), https://doi.org/10.1137/130932132. The grid reaches `REACH` standard
deviations beyond all components of all laws; the error is the difference to every second point. Where that
is large, as where a logarithm of densities bends more sharply than these, steps are halved.
"""

from __future__ import annotations

__all__ = ["integrate"]

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dcdbench.analytic import Law, NoDensity
from theory.divergences.estimate import Estimate

REACH = 12.0
PER_DEVIATION = {1: 12, 2: 5}  # points for each of the smallest standard deviations
HALVINGS = {1: 4, 2: 1}  # of the step, at most
ENOUGH = 1e-9  # relative error
MOST_POINTS = 2**22
CHUNK = 2**16


def integrate(f: Callable[[Tensor], Tensor], laws: Sequence[Law]) -> Estimate:
    """The integral of `f`, from `(B, d)` to `(B,)`, as smooth and as far-reaching as densities of `laws`."""
    dim = laws[0].dim
    if dim not in PER_DEVIATION:
        raise ValueError(f"quadrature is for one or two dimensions, got {dim}: use products or Monte Carlo")
    if not all(law.has_density for law in laws):
        raise NoDensity("a degenerate law has no density to integrate; add noise to all")
    finest = min(law.spectrum[0].min().sqrt().item() for law in laws)
    for halving in range(1 + HALVINGS[dim]):
        step = finest / PER_DEVIATION[dim] / 2**halving
        axes = [_axis(laws, i, step) for i in range(dim)]
        if math.prod(len(axis) for axis in axes) > MOST_POINTS:
            if halving:
                break
            raise ValueError(f"the laws have too many scales for a grid: its step would be {step:.3g}")
        value, coarse = _sums(f, axes, step)
        if abs(value - coarse) <= ENOUGH * abs(value):
            break
    return Estimate.exact(value, abs(value - coarse))


def _sums(f: Callable[[Tensor], Tensor], axes: Sequence[Tensor], step: float) -> tuple[float, float]:
    """The integral by all points, and by every second one."""
    dim = len(axes)
    points = torch.cartesian_prod(*axes).reshape(-1, dim)
    values = torch.cat([f(part) for part in points.split(CHUNK)])
    values = values.reshape([len(axis) for axis in axes])
    coarse: float = values[(slice(None, None, 2),) * dim].sum().item() * (2 * step) ** dim
    whole: float = values.sum().item() * step**dim
    return whole, coarse


def _axis(laws: Sequence[Law], i: int, step: float) -> Tensor:
    means = torch.cat([law.components[1][:, i] for law in laws])
    reach = REACH * torch.cat([law.components[2][:, i, i] for law in laws]).sqrt()
    low, high = (means - reach).min().item(), (means + reach).max().item()
    return low + step * torch.arange(2 * math.ceil((high - low) / step / 2) + 1, dtype=torch.float64)
