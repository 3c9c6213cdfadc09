"""The training step of the digits network, against the matrix products of the same core.

The time depends on the machine, so only the number of operations is asserted. The ratio of the
rates stands in the report's `extra_info`, and on the terminal with `-s`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dcdbench.networks.mlp import MLP
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.operators.identity import Identity
from dcdbench.phases import Teach
from dcdbench.problem import Corruption, Problem
from dcdbench.streams import Stream

WIDTH, DEPTH, BATCH = 512, 3, 256  # as in the suite of all tasks
SHAPE, SIZE, FEATURES = (1, 8, 8), 64, 32
ROUNDS, STEPS, PRODUCTS = 15, 4, 10


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def training_step() -> Callable[[], Any]:
    """One whole step of phase I: batch, loss, gradient, clipping, Adam and the running average."""
    corruption = Corruption(Identity(), 0.5)
    x = torch.randn(1000, *SHAPE, generator=Stream(0).rng())
    m = corruption(x, Stream(1).rng())
    problem = Problem(m, m[:100], corruption, SHAPE)
    phase = Teach(AmbientTweedie(), MLP(WIDTH, DEPTH), kimg=1e6, batch=BATCH)
    state = phase.init(problem, None, Stream(2))
    return lambda: phase.step(state, problem, Stream(3) / state.step)


def products() -> tuple[Callable[[], Any], int]:
    """The three products of one hidden layer: its output, and the gradients of input and weights."""
    x, g, w = (torch.randn(n, WIDTH, generator=Stream(0).rng()) for n in (BATCH, BATCH, WIDTH))
    return lambda: (x @ w.T, g @ w, g.T @ x), 6 * BATCH * WIDTH**2


def counted(f: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        f()
    return int(counter.get_total_flops())


def rate(f: Callable[[], Any], repeats: int, flops: int) -> float:
    """GFLOP/s over some repeats."""
    start = time.perf_counter()
    for _ in range(repeats):
        f()
    return repeats * flops / (time.perf_counter() - start) / 1e9


def expected_flops() -> int:
    """Two per weight and image: for the output and both gradients, but none for those of the inputs."""
    entry = (FEATURES + SIZE) * WIDTH
    return 2 * BATCH * (3 * (entry + 3 * DEPTH * WIDTH**2 + WIDTH * SIZE) - entry)


@pytest.mark.slow
def test_training_step(benchmark: Any) -> None:
    step = training_step()
    product, product_flops = products()
    flops = counted(step)
    assert flops == expected_flops()
    assert counted(product) == product_flops
    rates = [
        (rate(step, STEPS, flops), rate(product, PRODUCTS, product_flops)) for _ in range(ROUNDS + 2)
    ]  # in turns, so that both see the same machine
    ours, best = (median(column) for column in zip(*rates[2:], strict=True))
    ratio = median(a / b for a, b in rates[2:])
    benchmark.extra_info |= {"GFLOP/s": ours, "product GFLOP/s": best, "ratio": ratio, "flops": flops}
    benchmark.pedantic(step, rounds=ROUNDS, iterations=STEPS)
    print(f"\n{WIDTH} x {DEPTH}, batch {BATCH}: {ours:.0f} of {best:.0f} GFLOP/s, ratio {ratio:.2f}")
