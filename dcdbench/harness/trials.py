"""One small step of each kind of training: how many network calls' worth of operations a step takes."""

from __future__ import annotations

__all__ = ["CALLS", "Trial", "forward", "kind_of_training", "through", "try_step"]

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from math import isfinite, prod
from typing import Any

import torch
from torch import Tensor

from dcdbench.harness.identity import canonical, describe
from dcdbench.harness.work import Counted, Work, without_compiler
from dcdbench.phases.start import denoiser_for, on_clean
from dcdbench.problem import Corruption, Problem
from dcdbench.streams import Stream

TRIAL_BATCH = 2  # signals of a trial step: what is counted is proportional to them
TRIAL_DATA = 256  # signals that it draws them from: some phases choose a few hundred first
PASSES = 6.0  # network calls of a step that could not be tried: those of a few networks, and their gradients
CALLS = 500.0  # operations of such a step
LOOKS = 4  # times that a network call is seen through A: input, mean of signals and output, and the estimate
ASIDE = frozenset(
    {"network", "batch", "checkpoints", "kimg", "lap", "restorer", "warm"}
)  # fields that no count depends on


@dataclass(frozen=True)
class Trial:
    """What a trial step told.

    Args:
        passes: Floating-point operations of a step on one signal, in units of one network call on it.
        calls: Operations on tensors in a step, whatever its batch.
        failed: Why there was no trial step; empty if there was.
    """

    passes: float
    calls: float = CALLS
    failed: str = ""


@dataclass(frozen=True)
class StandIn:
    """Noise in place of restored signals, so that a trial restores nothing."""

    def restore(self, denoiser: Any, problem: Problem, stream: Stream) -> Tensor:
        """One signal for each measurement, `(n, *signal)`."""
        return torch.randn(len(problem.train), *problem.shape, generator=stream.rng())


def kind_of_training(phase: Any) -> str:
    """What trainings have in common whose steps take as many network calls per image."""
    return canonical(_outline(describe(phase)))


def _outline(value: Any) -> Any:
    """A description without sizes: of a number that is no integer only whether it is 0 or infinite counts."""
    if isinstance(value, dict):
        return {name: _outline(item) for name, item in value.items() if name not in ASIDE}
    if isinstance(value, list):
        return [_outline(item) for item in value]
    if isinstance(value, float):
        return "infinite" if not isfinite(value) else value != 0
    return value


def small(phase: Any) -> Any:
    """The same phase with small batches, from fresh weights, without its restoration."""
    changes: dict[str, Any] = {}
    for field in fields(phase):
        value = getattr(phase, field.name)
        if field.name == "batch":
            changes["batch"] = TRIAL_BATCH
        elif field.name == "warm":  # there is no training before, whose weights it could go on from
            changes["warm"] = False
        elif field.name == "restorer":
            changes["restorer"] = StandIn()
        elif is_dataclass(value) and not isinstance(value, type) and hasattr(value, "step"):
            changes[field.name] = small(value)
    return replace(phase, **changes)


def try_step(phase: Any, before: Any, corruption: Corruption, shape: tuple[int, ...], call: Work) -> Trial:
    """Counts the operations of one step. A trial that fails says so, and ends nothing.

    Args:
        phase: The training.
        before: The phase before, of which a fresh network serves as the parent; None if there is none.
        corruption: That of the task.
        shape: That of one signal.
        call: The work of one network call on one signal.
    """
    try:
        with without_compiler():
            step = _step(small(phase), before, corruption, shape)
        return Trial(step.total / (TRIAL_BATCH * call.flops), step.calls)
    except Exception as error:  # a training that cannot be tried may still run, and tells its own errors
        return Trial(PASSES, failed=f"{type(error).__name__}: {error}")


def _step(phase: Any, before: Any, corruption: Corruption, shape: tuple[int, ...]) -> Counted:
    stream = Stream(0)
    x = torch.randn(TRIAL_DATA, *shape, generator=stream.rng())
    m = corruption(x, stream.rng())
    problem = Problem(m, m, corruption, shape)
    parent = _parent(before, problem, x, stream)
    problem = on_clean(problem, x) if phase.needs_clean else problem
    state = phase.init(problem, parent, stream / "init")
    for optimizer in getattr(state, "optimizers", {}).values():
        optimizer.step = lambda *_: None  # weights that do not move take no products, and torch no compiler
    with Counted() as counter:
        phase.step(state, problem, stream / "step")
    return counter


def _parent(before: Any, problem: Problem, x: Tensor, stream: Stream) -> Any:
    """What the phase before would have made: its network, untrained. None if it learns no denoiser."""
    if not hasattr(before, "objective"):
        return None
    if before.needs_clean or hasattr(before, "restorer"):
        problem = on_clean(problem, x)
    return denoiser_for(problem, before.objective, before.network, stream / "before")


def forward(network: Any, shape: tuple[int, ...]) -> Work:
    """The work of one network call on one signal; that of a matrix where there is no network."""
    return _once(_forward, network, shape)


def through(corruption: Corruption, shape: tuple[int, ...]) -> Work:
    """The work of measuring one signal and bringing it back, as often as one network call through A does."""
    return _once(_through, corruption, shape)


_known: dict[str, Work] = {}


def _once(count: Callable[[Any, tuple[int, ...]], Work], value: Any, shape: tuple[int, ...]) -> Work:
    """Counts once for each description, since values need not be hashable."""
    name = canonical([count.__name__, describe(value), describe(shape)])
    if name not in _known:
        with without_compiler(), torch.no_grad():
            _known[name] = count(value, shape)
    return _known[name]


def _forward(network: Any, shape: tuple[int, ...]) -> Work:
    if network is None:
        return Work(10.0, 10.0 * prod(shape), 2.0 * prod(shape) ** 2)
    net = network.build(shape, 0, Stream(0).rng())
    try:
        with Counted() as counter:
            net(torch.zeros(TRIAL_BATCH, *shape), torch.zeros(TRIAL_BATCH), None)
    except NotImplementedError:  # of parts that are called one by one: each weight is used once
        weights = sum(p.numel() for p in net.parameters())
        return Work(50.0, weights / 16, 2.0 * weights)  # with layers of tens of numbers
    return counter.on_one_of(TRIAL_BATCH)


def _through(corruption: Corruption, shape: tuple[int, ...]) -> Work:
    x = torch.zeros(TRIAL_BATCH, *shape)
    A = corruption.operator.draw(shape, len(x), Stream(0).rng()).to(x.device, x.dtype)
    with Counted() as counter:
        A.back(A(x))
    return counter.on_one_of(TRIAL_BATCH) * LOOKS
