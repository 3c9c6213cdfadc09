"""Optimal transport between weighted points, by linear programming (POT), https://pythonot.github.io."""

from __future__ import annotations

__all__ = ["transport", "transport_line"]

import os
import warnings

import torch
from torch import Tensor

ITERATIONS = 10**8  # the solver stops by itself; its default limit is too low for 2000 points


def transport(a: Tensor, b: Tensor, cost: Tensor) -> float:
    """The least cost of moving weights `a`, `(n,)`, to `b`, `(m,)`, at `cost`, `(n, m)`."""
    for backend in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):  # POT would import them all
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{backend}", "1")
    import ot

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an unfinished solution is no distance
        weights = (a / a.sum()).numpy(), (b / b.sum()).numpy()
        return max(float(ot.emd2(*weights, cost.numpy(), numItermax=ITERATIONS)), 0.0)


def transport_line(a: Tensor, x: Tensor, b: Tensor, y: Tensor) -> float:
    """The same on the line, for the squared distance of points `x`, `(n,)`, and `y`, `(m,)`: by sorting."""
    x, i = x.sort()
    y, j = y.sort()
    up, other = a[i].cumsum(0), b[j].cumsum(0)
    ends = torch.cat([up, other]).sort().values
    ends = torch.minimum(ends, torch.minimum(up[-1], other[-1]))  # both are 1 up to rounding
    middle = (ends + torch.cat([ends.new_zeros(1), ends[:-1]])) / 2
    gap = x[torch.searchsorted(up, middle)] - y[torch.searchsorted(other, middle)]
    width = torch.diff(ends, prepend=ends.new_zeros(1))
    return (gap.square() @ width).item()
