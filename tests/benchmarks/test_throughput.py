"""Training steps of teacher and student, against the matrix products of the same core.

Both are measured in turns, in seconds of one core, so that other processes count little. The time
depends on the machine, so only counts are asserted: of operations, of kernels, and of the times that a
step waits for the device. The ratio of the rates stands in the report's `extra_info`, and on the terminal
with `-s`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from dcdbench.adam import Adam
from dcdbench.distillers.sid import SiD
from dcdbench.harness.suitefile import load_suite
from dcdbench.harness.work import Counted
from dcdbench.networks.mlp import MLP
from dcdbench.networks.unet import UNet
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.operators.identity import Identity
from dcdbench.phases.distil import Distil
from dcdbench.phases.start import denoiser_for
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Network
from dcdbench.streams import Stream
from dcdbench.training import average, copy_of

SUITE, TASK = Path("suites/full.yaml"), "digits-noise"
SHAPE, SIZE, FEATURES = (1, 8, 8), 64, 32
ROUNDS, STEPS, PRODUCTS = 3, 4, 10
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


def problem_of(shape: tuple[int, ...]) -> Problem:
    corruption = Corruption(Identity(), 0.5)
    m = corruption(torch.randn(1000, *shape, generator=Stream(0).rng()), Stream(1).rng())
    return Problem(m, m[:100], corruption, shape)


def student_step(network: Network, shape: tuple[int, ...], batch: int = 128) -> Callable[[], Any]:
    """One whole step of phase II, with one of its critic, in which no survey is made."""
    problem, objective = problem_of(shape), AmbientTweedie()
    teacher = denoiser_for(problem, objective, network, Stream(2))
    for k, p in enumerate(teacher.parameters()):  # weights of 0 have gradients that are slow denormals
        nn.init.normal_(p, std=0.5 / max(p[0].numel(), 1) ** 0.5, generator=Stream(k).rng())
    phase = Distil(objective, SiD(), network, kimg=1e6, batch=batch)
    state = phase.init(problem, teacher, Stream(2))
    state.step = 1
    return lambda: phase.step(state, problem, Stream(3) / state.step)


def training_step(width: int, depth: int, batch: int) -> Callable[[], Any]:
    """One whole step of phase I: batch, loss, gradient, clipping, Adam and the running average."""
    problem = problem_of(SHAPE)
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


def compared(benchmark: Any, step: Callable[[], Any], width: int, batch: int, steps: int, rounds: int) -> str:
    """Measures both in turns, so that they see the same machine."""
    product, product_flops = products(width, batch)
    flops = counted(step)
    assert counted(product) == product_flops
    repeats = PRODUCTS if steps > 1 else 20 * PRODUCTS
    rates = [(rate(step, steps, flops), rate(product, repeats, product_flops)) for _ in range(rounds)]
    ours, best = (median(column) for column in zip(*rates, strict=True))
    ratio = median(a / b for a, b in rates)
    benchmark.extra_info |= {"GFLOP/s": ours, "product GFLOP/s": best, "ratio": ratio, "flops": flops}
    benchmark.pedantic(step, rounds=1, iterations=steps)
    return f"{ours:.0f} of {best:.0f} GFLOP/s, ratio {ratio:.2f}"


@pytest.mark.slow
def test_training_step(benchmark: Any, size: tuple[int, int, int]) -> None:
    width, depth, batch = size
    step = training_step(*size)
    assert counted(step) == expected_flops(*size)
    found = compared(benchmark, step, width, batch, STEPS, ROUNDS)
    print(f"\nMLP {width} x {depth}, batch {batch}: {found}")


STUDENTS: dict[str, tuple[Network, tuple[int, ...]]] = {
    "MLP 256 x 3": (MLP(256, 3), SHAPE),
    "MLP 256 x 3, bfloat16": (MLP(256, 3, "bfloat16"), SHAPE),
    "U-Net 16, 32": (UNet((16, 32)), (1, 16, 16)),
    "U-Net 16, 32, bfloat16": (UNet((16, 32), precision="bfloat16"), (1, 16, 16)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDENTS)
def test_student_step(benchmark: Any, name: str) -> None:
    """The rate of `bfloat16` is compared with that of products in float32."""
    step = student_step(*STUDENTS[name])
    steps, rounds = (1, 1) if name.startswith("U-Net") else (STEPS, ROUNDS)
    print(f"\nStudent, {name}, batch 128: {compared(benchmark, step, 256, 128, steps, rounds)}")


# What does not depend on the machine


class Reads(TorchDispatchMode):
    """Counts how often Python asks for a number, for which it waits until the device has computed it."""

    count: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def reads(step: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a step waits for its device."""
    lists, original = [], Tensor.tolist

    def tolist(self: Tensor) -> Any:
        lists.append(self)
        return original(self)

    with monkeypatch.context() as patch, Reads() as single:
        patch.setattr(Tensor, "tolist", tolist)
        step()
    return single.count + len(lists)


def test_a_student_step_waits_seldom_for_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss and norm of each of three descents, the width of fakes, and a check of each of three views."""
    small, large = (reads(student_step(MLP(16, depth), SHAPE, 8), monkeypatch) for depth in (1, 6))
    assert small == large <= 7
    x = torch.ones(3)
    assert reads(lambda: (float(x[0]), x.tolist(), x[1].item()), monkeypatch) == 3  # control


def kernels(f: Callable[[], Any]) -> int:
    with Counted() as counter:
        f()
    return counter.calls


@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_weights_are_changed_by_as_few_kernels_as_one_tensor_is(beta1: float) -> None:
    """Gradient, norm, bounded step and running average, whatever the number of tensors."""
    counts, theirs = [], []
    for depth in (1, 6):
        net = MLP(16, depth).build((4,), 0, Stream(0).rng())
        mean: Any = copy_of(net, trained=False)  # type: ignore[arg-type]
        average(mean, net, 1, 1, 1.0)  # moves both to one memory each
        optimizer = Adam(net.parameters(), 1e-3, beta1)
        net(torch.randn(3, 4, generator=Stream(1).rng()), torch.zeros(3)).sum().backward()
        counts.append(kernels(lambda o=optimizer: o.step(o.gradient(), most=1.0)))
        counts[-1] += kernels(lambda m=mean, n=net: average(m, n, 1, 1, 1.0))
        each = torch.optim.Adam(net.parameters(), foreach=False)
        theirs.append(kernels(each.step))
    assert counts[0] == counts[1] <= 16
    assert theirs[1] > theirs[0] > 0  # control: one tensor after the other
