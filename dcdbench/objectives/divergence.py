r"""The divergence of a denoiser by one random probe, for losses that need no clean signal.

Monte-Carlo SURE (Ramani et al., 2008), https://doi.org/10.1109/TIP.2008.2001404, with the derivative taken
exactly instead of by a difference.
"""

from __future__ import annotations

__all__ = ["divergence"]

from collections.abc import Callable

import torch
from torch import Tensor


def divergence(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    r"""`f(x)`, `(B, *)`, and `v^T J v`, `(B,)`, with `J` the Jacobian of `f` at `x`.

    For `v = P n` with standard normal `n` its mean is the trace of `P J P`. Both are differentiable by the
    parameters of `f`.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_(True).clone()  # those who count operations take no leaves
        out = f(x)
        (slope,) = torch.autograd.grad((out * v).sum(), x, create_graph=True)
    return out, (slope * v).flatten(1).sum(1)
