"""A small world for tests of training: problems, a student that starts too wide, stages without a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dcdbench.analytic import Gaussian
from dcdbench.distillers.sid import SiD
from dcdbench.harness.context import Context, Outcome, Parent
from dcdbench.networks.edm import Preconditioned
from dcdbench.networks.mlp import MLP
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.operators.identity import Identity
from dcdbench.phases.distil import Distil
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Denoiser, Objective, Operator
from dcdbench.streams import Stream
from dcdbench.training import State

D, SIGMA_Y, BATCH = 2, 0.2, 128
SCALE = 0.5  # of clean data
NOISE = Corruption(Identity(), SIGMA_Y)
SMALL = MLP(16, 1)


def problem(
    corruption: Corruption = NOISE, shape: tuple[int, ...] = (D,), n: int = 512, seed: int = 0
) -> Problem:
    """Isotropic normal data, of which a fresh network at the level of its scale is the exact denoiser."""
    stream = Stream(seed) / "tiny"
    x, val = (SCALE * torch.randn(n, *shape, generator=(stream / name).rng()) for name in ("x", "val"))
    return Problem(
        corruption(x, (stream / "y").rng()), corruption(val, (stream / "y val").rng()), corruption, shape
    )


def teach(objective: Objective | None = None, **more: Any) -> Teach:
    """A small phase I."""
    return Teach(objective or AmbientTweedie(), SMALL, **{"kimg": 2.0, "batch": 32} | more)


def distil(make: type[Distil] = Distil, **more: Any) -> Distil:
    """A small phase II whose critic follows quickly, at a few levels."""
    small = {"kimg": 1000.0, "batch": BATCH, "lr": 3e-3, "critic_lr": 3e-3}
    alpha = more.pop("alpha", 1.0)
    return make(AmbientTweedie(), SiD(alpha=alpha, p_mean=-1.4, p_std=0.4), SMALL, **small | more)


def exact_teacher() -> Preconditioned:
    """The exact denoiser of the data: the network's output is 0."""
    return Preconditioned(SMALL.build((D,), 0, Stream(0).rng()), 0.0, SCALE)


class Zero:
    """A denoiser that expects nothing."""

    sigma_data = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        return torch.zeros_like(x_t)


@torch.no_grad()
def widen(denoiser: Denoiser, gain: float) -> None:
    """Makes the network's output `gain` times its input, by `silu(a) - silu(-a) = a`."""
    assert isinstance(denoiser, Preconditioned)
    net: Any = denoiser.net
    for tensor in (net.first.weight, net.first.bias, net.last.weight, net.last.bias):
        tensor.zero_()
    d, eye = net.last.weight.shape[0], torch.eye(net.last.weight.shape[0])
    net.first.weight[:d], net.first.weight[d : 2 * d] = eye, -eye
    net.last.weight[:, :d], net.last.weight[:, d : 2 * d] = gain * eye, -gain * eye


@dataclass(frozen=True)
class Wide(Distil):
    """Phase II from a generator beyond the point from which SiD with alpha > 1 repels."""

    def init(self, problem: Problem, parent: Denoiser | None, stream: Stream) -> State:
        state = super().init(problem, parent, stream)
        for net in (state.trained["generator"], state.averages["generator"]):
            widen(net, 8.0)  # type: ignore[arg-type]
        widen(state.trained["critic"], 0.5)  # type: ignore[arg-type]
        return state


# Stages without a store


def parent(outcome: Outcome) -> Parent:
    """What a later stage sees of a finished one."""
    return Parent(
        {"status": outcome.status, "result": outcome.result}, lambda name: dict(outcome.tensors[name])
    )


def context(
    kind: str,
    scratch: Path,
    parents: dict[str, Outcome] | None = None,
    tick: Callable[[float, str], None] = lambda fraction, text: None,
    seed: int = 0,
) -> Context:
    """Where a stage runs."""
    found = {role: parent(outcome) for role, outcome in (parents or {}).items()}
    return Context(Stream(seed) / kind, "cpu", scratch, found, tick)


@dataclass(frozen=True)
class Normal:
    """Isotropic normal data as a data source."""

    corrupted: bool = False

    def shape(self) -> tuple[int, ...]:
        return (D,)

    def law(self) -> Gaussian:
        return Gaussian(torch.zeros(D), SCALE**2 * torch.eye(D))

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Any:
        from dcdbench.datasets.laws import draw_splits

        return draw_splits(self.law(), train, heldout, stream)


def base(
    scratch: Path,
    corruption: Corruption = NOISE,
    heldout: int = 256,
) -> dict[str, Outcome]:
    """The stages of data and measurement."""
    from dcdbench.harness.stages import data, measurement

    drawn = data.run(context("data", scratch), Normal(), 512, heldout)
    place = context("measurement", scratch, {"data": drawn})
    measured = measurement.run(place, corruption, corrupted=False, shape=(D,))
    return {"data": drawn, "measurement": measured}
