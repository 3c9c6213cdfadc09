"""The pseudo-inverse of a draw that knows none in closed form."""

from __future__ import annotations

__all__ = ["pseudo_inverse"]

import math

import torch
from torch import Tensor

from dcdbench.linalg import least_squares
from dcdbench.operators.separable import CUTOFF
from dcdbench.protocols import Operator

DENSE = 4096  # up to so many entries, the matrix of each sample is formed
CHUNK = 2**22  # entries of all matrices formed at once


def pseudo_inverse(A: Operator, y: Tensor) -> Tensor:
    """`A^+ y`: by a matrix for each sample where these are small, else by conjugate gradients.

    Singular values below a share of 1e-8 of a matrix's greatest count as zero.
    """
    shape = A.adjoint(y).shape[1:]
    size = math.prod(shape) * math.prod(y.shape[1:])
    if size > DENSE or len(y) == 0:
        return least_squares(A, A.adjoint, y)
    wide, high = A.to(dtype=torch.float64), y.double()
    each = max(1, CHUNK // size)
    if len(y) <= each:
        return _dense(wide, high, shape).to(y.dtype)
    parts = torch.arange(len(y), device=y.device).split(each)
    return torch.cat([_dense(wide[part], high[part], shape) for part in parts]).to(y.dtype)


def _dense(A: Operator, y: Tensor, shape: torch.Size) -> Tensor:
    n, d = len(y), math.prod(shape)
    basis = torch.eye(d, dtype=y.dtype, device=y.device).reshape(d, 1, *shape)
    columns = torch.stack([A(e.expand(n, *shape)).flatten(1) for e in basis], 2)
    return (torch.linalg.pinv(columns, rtol=CUTOFF) @ y.flatten(1).unsqueeze(2)).reshape(n, *shape)
