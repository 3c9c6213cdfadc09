"""Work as counts of operations, and how long this machine takes for them."""

from __future__ import annotations

__all__ = ["Counted", "Rates", "Work", "rates", "without_compiler"]

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from dcdbench.harness.operations import Operations

SHARED = 1.25  # times as long as alone: what runs at once shares caches and memory
AROUND = 10.0  # sums of two numbers that take as long as one operation of a training, with all around it
REPEATS = 5  # of each measurement of a rate; the shortest counts, since other processes only delay


@dataclass(frozen=True)
class Work:
    """What there is to do.

    Args:
        calls: Operations on tensors, however small.
        numbers: Numbers that these write.
        flops: Floating-point operations of matrix products and convolutions.
    """

    calls: float = 0.0
    numbers: float = 0.0
    flops: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.calls + other.calls, self.numbers + other.numbers, self.flops + other.flops)

    def __mul__(self, times: float) -> Work:
        return Work(times * self.calls, times * self.numbers, times * self.flops)

    def on(self, n: float) -> Work:
        """The work on `n` signals at once, if this is the work on one."""
        return Work(self.calls, n * self.numbers, n * self.flops)


@dataclass(frozen=True)
class Rates:
    """Seconds that a machine takes for each unit of work.

    Args:
        call: For an operation on tensors, with its share in what surrounds it: Python, gradients, optimizers.
        number: For a number that is written.
        flop: For a floating-point operation.
    """

    call: float
    number: float
    flop: float

    def seconds(self, work: Work) -> float:
        """How long the work takes."""
        return self.call * work.calls + self.number * work.numbers + self.flop * work.flops


class Counted(Operations):
    """Counts all work while it is entered."""

    calls: int = 0
    numbers: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs an operation, and counts it."""
        out = super().__torch_dispatch__(func, types, args, kwargs)
        if not func.is_view:  # a view writes nothing
            self.calls += 1
            self.numbers += sum(o.numel() for o in _tensors(out))
        return out

    def on_one_of(self, n: int) -> Work:
        """What was counted, on `n` signals, as the work on one."""
        return Work(self.calls, self.numbers / n, self.total / n)


def _tensors(out: Any) -> Iterator[torch.Tensor]:
    for each in out if isinstance(out, tuple | list) else (out,):
        if isinstance(each, torch.Tensor):
            yield each


@contextmanager
def without_compiler() -> Iterator[None]:
    """Keeps optimizers and counters from importing the compiler of torch, which takes longer than all trials.

    Torch wraps some methods such that its compiler passes them over, and imports it at the first call. Where
    these wrappers look different in another version, nothing happens but that import.
    """
    optimizer, name = torch.optim.Optimizer, "__dynamo_disable"
    methods = [getattr(optimizer, "add_param_group", None), getattr(optimizer, "zero_grad", None)]
    methods += [Operations.__torch_dispatch__, Counted.__torch_dispatch__]
    inner = [getattr(method, "__wrapped__", None) for method in methods]
    lent = [method for method in inner if method is not None and not hasattr(method, name)]
    for method in lent:
        setattr(method, name, method)
    try:
        yield
    finally:
        for method in lent:
            delattr(method, name)


@cache
def rates() -> Rates:
    """The rates of this machine on one thread, measured once in a process."""
    one, many = torch.ones(1), torch.ones(2**16)
    matrix = torch.ones(256, 256)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        call = AROUND * _shortest(lambda: [one + one for _ in range(100)]) / 100
        number = _shortest(lambda: torch.nn.functional.silu(many)) / len(many)
        flop = _shortest(lambda: matrix @ matrix) / (2 * 256**3)
    finally:
        torch.set_num_threads(threads)
    return Rates(SHARED * call, SHARED * number, SHARED * flop)


def _shortest(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return max(min(times), 1e-9)
