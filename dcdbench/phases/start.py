"""What phases share: how a training starts, what it draws, and when it has failed."""

from __future__ import annotations

__all__ = ["batch_of", "checked", "completing", "denoiser_for", "on_clean", "stored"]

import math
from dataclasses import replace

import torch
from torch import Tensor

from dcdbench.networks.edm import Preconditioned, shown
from dcdbench.networks.granted import Granted
from dcdbench.operators.identity import Identity
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Network, Objective
from dcdbench.streams import Stream
from dcdbench.training import Diverged

TINY = 1e-30  # the variance of data that are constant
SCALED = 4096  # measurements from which a network takes the scale of the data


def on_clean(problem: Problem, x: Tensor) -> Problem:
    """The problem of an oracle: it trains on clean `x`; what chooses its checkpoint stays corrupted."""
    train = Corruption(Identity())(x, Stream(0).rng(x.device))
    return replace(problem, train=train)


def completing(objective: Objective, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
    """The corruption that brings samples of what an objective learns to the law of measurements."""
    left = objective.left(corruption, shape)
    if left == "all":
        return corruption
    return Corruption(Identity(), corruption.sigma_y if left == "noise" else 0.0)


def stored(network: Network, shape: tuple[int, ...], form: dict[str, float]) -> Preconditioned:
    """A denoiser of this form, for weights that were stored; its own are of no use."""
    channels = int(form["condition_channels"])
    net = network.build(shape, channels, Stream(0).rng())
    made = Preconditioned(net, form["location"], form["sigma_data"], channels)
    return Granted(made, torch.zeros(int(form["granted"]), *shape)) if "granted" in form else made


def batch_of(m: Measurement, size: int, rng: torch.Generator) -> Measurement:
    """`size` measurements, drawn with replacement."""
    return m[torch.randint(len(m), (size,), generator=rng, device=rng.device)]


def denoiser_for(problem: Problem, objective: Objective, network: Network, stream: Stream) -> Preconditioned:
    """A fresh preconditioned network, scaled to the signals that the measurements tell of."""
    m = problem.train[: min(len(problem.train), SCALED)]
    rng = (stream / "scale").rng(m.y.device)
    lowest = objective.lowest(m.sigma_y)
    view = objective.view(m, torch.full((len(m),), max(1.0, lowest)).to(m.y), rng)
    location, scale = scale_of(m, view.A is not None, lowest, rng)
    condition = None if view.A is None else shown(view.A, view.shown())
    channels = 0 if condition is None else condition.shape[1]
    net = network.build(problem.shape, channels, stream.rng())
    return Preconditioned(net, location, scale, channels).to(m.y.device)


def scale_of(m: Measurement, through: bool, lowest: float, rng: torch.Generator) -> tuple[float, float]:
    """The mean of a signal's entries, and their standard deviation less that of noise to be removed.

    Where signals are seen through A, the mean is the constant whose measurement is nearest to `y`,
    and energies are relative to those of white signals, measured alike.
    """
    if not through:
        mean, variance = float(m.y.double().mean()), float(m.y.double().var(correction=0))
        return mean, math.sqrt(max(variance - lowest**2, 0.01 * variance, TINY))

    def noise(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=rng, device=rng.device).to(like)

    signal = m.A.back(m.y)
    flat = m.A(torch.ones_like(signal))
    mean = float((m.y * flat).sum().double() / flat.square().sum().double().clamp(min=1e-12))
    power = [
        float(t.square().double().mean())
        for t in (m.y - mean * flat, m.A(noise(signal)), lowest * m.A.restrict(noise(m.y)))
    ]
    variance = power[0] / max(power[1], 1e-12)
    return mean, math.sqrt(max(variance - power[2] / max(power[1], 1e-12), 0.01 * variance, TINY))


def checked(value: float, bound: float, name: str, stream: Stream) -> float:
    """The value, if it is finite and at most `bound`.

    Raises:
        Diverged: With the address of the step.
    """
    if not math.isfinite(value):
        raise Diverged(f"{name} is {value}", str(stream))
    if value > bound:
        raise Diverged(f"{name} has exploded: {value:.3g}, over {bound:g}", str(stream))
    return value
