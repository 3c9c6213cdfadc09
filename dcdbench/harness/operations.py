"""Counting floating-point operations."""

from __future__ import annotations

__all__ = ["Operations"]

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Operations(TorchDispatchMode):
    """Adds up the floating-point operations of matrix products and convolutions while it is entered.

    The formulas are those of torch's `FlopCounterMode`, which also follows modules: with it, sampling
    through the gradients of a network takes several times as long and as much memory.
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
