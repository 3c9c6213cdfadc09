"""The training step of the digits network, against the matrix products of the same core.

Both are measured in turns, in seconds of one core, so that other processes count little. The time
depends on the machine, so only the number of operations is asserted. The ratio of the rates
stands in the report's `extra_info`, and on the terminal with `-s`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dcdbench.harness.suitefile import load_suite
from dcdbench.networks.mlp import MLP
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.operators.identity import Identity
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption, Problem
from dcdbench.streams import Stream

SUITE, TASK = Path("suites/all.yaml"), "digits-noise"
SHAPE, SIZE, FEATURES = (1, 8, 8), 64, 32
ROUNDS, STEPS, PRODUCTS = 7, 4, 10
SIZES = ("suite", (256, 3, 256), (256, 3, 512), (512, 3, 256))  # width, depth, batch


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=SIZES, ids=str)
def size(request: pytest.FixtureRequest) -> tuple[int, int, int]:
    if request.param != "suite":
        return request.param
    task = load_suite(Path(__file__).parents[2] / SUITE).tasks[TASK]
    assert isinstance(task.network, MLP)
    return task.network.width, task.network.depth, task.budget.batch


def training_step(width: int, depth: int, batch: int) -> Callable[[], Any]:
    """One whole step of phase I: batch, loss, gradient, clipping, Adam and the running average."""
    corruption = Corruption(Identity(), 0.5)
    x = torch.randn(1000, *SHAPE, generator=Stream(0).rng())
    m = corruption(x, Stream(1).rng())
    problem = Problem(m, m[:100], corruption, SHAPE)
    phase = Teach(AmbientTweedie(), MLP(width, depth), kimg=1e6, batch=batch)
    state = phase.init(problem, None, Stream(2))
    return lambda: phase.step(state, problem, Stream(3) / state.step)


def products(width: int, batch: int) -> tuple[Callable[[], Any], int]:
    """The three products of one hidden layer: its output, and the gradients of input and weights."""
    x, g, w = (torch.randn(n, width, generator=Stream(0).rng()) for n in (batch, batch, width))
    return lambda: (x @ w.T, g @ w, g.T @ x), 6 * batch * width**2


def counted(f: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        f()
    return int(counter.get_total_flops())


def rate(f: Callable[[], Any], repeats: int, flops: int) -> float:
    """GFLOP per second of the core, over some repeats."""
    start = time.process_time()
    for _ in range(repeats):
        f()
    return repeats * flops / (time.process_time() - start) / 1e9


def expected_flops(width: int, depth: int, batch: int) -> int:
    """Two per weight and image: for the output and both gradients, but none for those of the inputs."""
    entry = (FEATURES + SIZE) * width
    return 2 * batch * (3 * (entry + 3 * depth * width**2 + width * SIZE) - entry)


@pytest.mark.slow
def test_training_step(benchmark: Any, size: tuple[int, int, int]) -> None:
    width, depth, batch = size
    step = training_step(*size)
    product, product_flops = products(width, batch)
    flops = counted(step)
    assert flops == expected_flops(*size)
    assert counted(product) == product_flops
    rates = [
        (rate(step, STEPS, flops), rate(product, PRODUCTS, product_flops)) for _ in range(ROUNDS + 2)
    ]  # in turns, so that both see the same machine
    ours, best = (median(column) for column in zip(*rates[2:], strict=True))
    ratio = median(a / b for a, b in rates[2:])
    benchmark.extra_info |= {"GFLOP/s": ours, "product GFLOP/s": best, "ratio": ratio, "flops": flops}
    benchmark.pedantic(step, rounds=ROUNDS, iterations=STEPS)
    print(f"\nMLP {width} x {depth}, batch {batch}: {ours:.0f} of {best:.0f} GFLOP/s, ratio {ratio:.2f}")
