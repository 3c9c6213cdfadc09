"""Counting floating-point operations."""

from __future__ import annotations

__all__ = ["Operations", "calls_of", "restoring"]

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from dcdbench.problem import Problem

FEW = 2  # signals of a network call that is counted: operations are proportional to them


class Operations(TorchDispatchMode):
    """Adds up the floating-point operations of matrix products and convolutions while it is entered.

    The formulas are those of torch's `FlopCounterMode`, which also follows modules: with it, sampling
    through the gradients of a network takes several times as long and as much memory. This one too delays
    each small operation, so that work which is timed is not to be done within.
    """

    total: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs an operation, and counts it."""
        out = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def calls_of(sampler: Any) -> float:
    """Network calls per signal: what it says, else those of Heun's method where it has steps, else one."""
    if hasattr(sampler, "calls"):
        return float(sampler.calls)
    if isinstance(steps := getattr(sampler, "steps", None), int):
        return 2.0 * steps - 1
    return calls_of(sampler.sampler) if hasattr(sampler, "sampler") else 1.0


def restoring(restorer: Any, denoiser: Any, problem: Problem) -> int | None:
    """Operations of restoring the training measurements, which are not done for it.

    They are those of the network calls, or what the restorer says, without those of A itself: a step of
    conjugate gradients that is saved, since all signals have converged, counts too.

    Args:
        restorer: What restores; see `protocols.Restorer`.
        denoiser: The network of the phase before, or None.
        problem: The measurements.

    Returns:
        None if it can be told by doing it alone.
    """
    n = len(problem.train)
    if hasattr(restorer, "products"):
        return round(restorer.products(problem.corruption, problem.shape, n))
    if hasattr(restorer, "operations") or not hasattr(denoiser, "condition_channels"):
        return None
    used = min(n, getattr(restorer, "pool", n))
    products = getattr(restorer, "jacobians", 0)
    call, product = _network_call(denoiser, problem, products > 0)
    return round(used * ((calls_of(restorer) - products) * call + products * product))


def _network_call(denoiser: Any, problem: Problem, gradient: bool) -> tuple[float, float]:
    """Operations of one call of a denoiser's network on one signal, and of a product with its Jacobian."""
    y = problem.train.y
    zeros = torch.zeros(FEW, *problem.shape, dtype=y.dtype, device=y.device)
    channels, space = denoiser.condition_channels, problem.shape[1:]
    condition = zeros.new_zeros(FEW, channels, *space) if channels else None
    with torch.set_grad_enabled(gradient):
        x = zeros.clone().requires_grad_(gradient).clone()  # a mode takes no leaves
        with Operations() as call:
            out = denoiser.net(x, zeros.new_zeros(FEW), condition)
        with Operations() as product:
            if gradient:
                torch.autograd.grad(out, x, zeros)
    return call.total / FEW, product.total / FEW
