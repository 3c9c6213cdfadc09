r"""The trapezoid rule over R or R^2, which converges exponentially for analytic integrands that decay.

See Trefethen and Weideman (2014), https://doi.org/10.1137/130932132. The grid reaches `REACH` standard
deviations beyond all components of all laws, in the plane along skew axes where these are long and thin; the
error is the difference to every second point. Where that
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
    root, laws = _coordinates(laws)
    volume = root.diagonal().prod().item()
    finest = min(law.spectrum[0].min().sqrt().item() for law in laws)
    for halving in range(1 + HALVINGS[dim]):
        step = finest / PER_DEVIATION[dim] / 2**halving
        lows, counts = zip(*(_axis(laws, i, step) for i in range(dim)), strict=True)
        if math.prod(counts) > MOST_POINTS:
            if halving:
                break
            raise ValueError(f"the laws have too many scales for a grid: its step would be {step:.3g}")
        axes = [
            low + step * torch.arange(n, dtype=torch.float64) for low, n in zip(lows, counts, strict=True)
        ]
        value, coarse = (volume * total for total in _sums(lambda z: f(z @ root.mT), axes, step))
        if abs(value - coarse) <= ENOUGH * abs(value):
            break
    return Estimate.exact(value, abs(value - coarse))


def _coordinates(laws: Sequence[Law]) -> tuple[Tensor, Sequence[Law]]:
    """A lower triangular `root`, with the laws of z in `x = root z`: whitened, if that takes fewer points."""
    dim = laws[0].dim
    covs = torch.cat([law.components[2] for law in laws])
    eye = torch.eye(dim, dtype=torch.float64)
    root, failed = torch.linalg.cholesky_ex(covs.mean(0))
    if dim == 1 or failed:
        return eye, laws
    white = [law.affine(torch.linalg.inv(root)) for law in laws]
    if not all(law.has_density for law in white) or _points(laws) <= _points(white):
        return eye, laws
    return root, white


def _points(laws: Sequence[Law]) -> float:
    """How many a grid has, up to a factor."""
    finest = min(law.spectrum[0].min().sqrt().item() for law in laws)
    return math.prod(_axis(laws, i, finest)[1] for i in range(laws[0].dim))


def _sums(f: Callable[[Tensor], Tensor], axes: Sequence[Tensor], step: float) -> tuple[float, float]:
    """The integral by all points, and by every second one."""
    dim = len(axes)
    points = torch.cartesian_prod(*axes).reshape(-1, dim)
    values = torch.cat([f(part) for part in points.split(CHUNK)])
    values = values.reshape([len(axis) for axis in axes])
    coarse: float = values[(slice(None, None, 2),) * dim].sum().item() * (2 * step) ** dim
    whole: float = values.sum().item() * step**dim
    return whole, coarse


def _axis(laws: Sequence[Law], i: int, step: float) -> tuple[float, int]:
    """Where an axis begins, and its points, an odd number."""
    means = torch.cat([law.components[1][:, i] for law in laws])
    reach = REACH * torch.cat([law.components[2][:, i, i] for law in laws]).sqrt()
    low, high = (means - reach).min().item(), (means + reach).max().item()
    return low, 2 * math.ceil((high - low) / step / 2) + 1
