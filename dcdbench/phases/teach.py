"""The two phases of distillation from corrupted data: teach a diffusion model, distil a generator."""

from __future__ import annotations

__all__ = ["Distil", "Teach", "denoiser_for", "on_clean", "rebuild"]

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from dcdbench.networks.edm import Preconditioned
from dcdbench.operators.identity import Identity
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Denoiser, Distiller, Network, Objective
from dcdbench.samplers import Heun, OneStep, generate
from dcdbench.streams import Stream
from dcdbench.training import Diverged, State, adam, average, clip, copy_of, learning_rate

EXPLODED = 1e4  # a loss this many times its first value, whose scale is 1
TOO_WIDE = 10.0  # fakes whose root mean square is this many times that of the measurements


@dataclass(frozen=True)
class Teach:
    """Phase I: a diffusion model of what was measured, by a corruption-aware objective.

    Args:
        objective: The loss.
        network: The architecture.
        kimg: Thousands of images to train on.
        batch: Images per step.
        lr: The learning rate of Adam: warmed up over 1 %, and brought to 0 over the last `decay`.
        decay: The share of the training in which the rate falls.
        halflife_kimg: That of the running average of the weights, which is the result.
        clip: The largest norm of the gradient.
        needs_clean: Whether this is an oracle, which the harness gives clean data.
    """

    objective: Objective
    network: Network
    kimg: float
    batch: int = 256
    lr: float = 1e-3
    decay: float = 0.5
    halflife_kimg: float = 50.0
    clip: float = 10.0
    needs_clean: bool = False

    kind: ClassVar[str] = "teacher"

    def init(self, problem: Problem, parent: Denoiser | None, stream: Stream) -> State:
        """Fresh weights."""
        net = denoiser_for(problem, self.objective, self.network, stream / "init")
        return State(
            {"denoiser": net},
            {"denoiser": adam(net, self.lr, 0.9)},
            {"denoiser": copy_of(net, trained=False)},
        )

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """One step on one batch."""
        rng = stream.rng(problem.train.y.device)
        net, optimizer = state.trained["denoiser"], state.optimizers["denoiser"]
        loss = self.objective(net, batch_of(problem.train, self.batch, rng), rng).mean()
        value = checked(float(loss.detach()), EXPLODED, "the loss", stream)
        optimizer.zero_grad()
        loss.backward()
        norm = checked(clip(net, self.clip), math.inf, "the gradient's norm", stream)
        learning_rate(optimizer, self.lr, state.nimg / (1000 * self.kimg), warmup=0.01, decay=self.decay)
        optimizer.step()
        state.step += 1
        state.nimg += self.batch
        average(state.averages["denoiser"], net, self.batch, state.nimg, 1000 * self.halflife_kimg)
        return {"loss": value, "gradient": norm}

    def result(self, state: State) -> Preconditioned:
        """What the training is for: the averaged denoiser."""
        return state.averages["denoiser"]

    def preview(self, sigma_y: float) -> Heun:
        """The sampler by which checkpoints are compared."""
        return Heun(self.objective, "full", sigma_y)


@dataclass(frozen=True)
class Distil:
    """Phase II: a one-step generator whose re-corrupted output the teacher cannot tell from data.

    Args:
        objective: The teacher's, which is the critic's loss too.
        distiller: The generator's loss.
        network: The teacher's architecture, which generator and critic share.
        kimg: Thousands of images that the generator is trained on.
        batch: Images per step.
        lr: The generator's learning rate, brought to 0 over the last `decay` of the training.
        critic_lr: The critic's learning rate, constant.
        decay: The share of the training in which the generator's rate falls.
        critic_steps: Steps of the critic per step of the generator.
        start: Generator and critic start from the `teacher`'s weights or from `random` ones.
        sigma_init: The noise level at which the network serves as a generator.
        noise: Whether the generator's step adds measurement noise to the fakes.
        halflife_kimg: That of the running average of the generator, which is the result.
        clip: The largest norm of the gradients.
    """

    objective: Objective
    distiller: Distiller
    network: Network
    kimg: float
    batch: int = 256
    lr: float = 1e-3
    critic_lr: float = 1e-3
    decay: float = 1.0
    critic_steps: int = 2
    start: Literal["teacher", "random"] = "teacher"
    sigma_init: float = 2.5
    noise: bool = False
    halflife_kimg: float = 50.0
    clip: float = 1.0

    kind: ClassVar[str] = "student"
    needs_clean: ClassVar[bool] = False

    def init(self, problem: Problem, parent: Denoiser | None, stream: Stream) -> State:
        """Generator and critic as copies of the teacher, or fresh."""
        assert isinstance(parent, Preconditioned)
        nets = {name: self._start(problem, parent, stream / name) for name in ("generator", "critic")}
        rates = {"generator": self.lr, "critic": self.critic_lr}
        return State(
            nets,
            {name: adam(net, rates[name], 0.0) for name, net in nets.items()},
            {"generator": copy_of(nets["generator"], trained=False)},
            {"teacher": copy_of(parent, trained=False)},
        )

    def _start(self, problem: Problem, teacher: Preconditioned, stream: Stream) -> Preconditioned:
        if self.start == "teacher":
            return copy_of(teacher, trained=True)
        fresh = denoiser_for(problem, self.objective, self.network, stream)
        return fresh.to(problem.train.y.device)

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """The critic's steps, then one step of the generator."""
        stats: dict[str, float] = {}
        for k in range(self.critic_steps):
            stats |= self._critic_step(state, problem, stream / "critic" / k)
        stats |= self._generator_step(state, problem, stream / "generator")
        state.step += 1
        state.nimg += self.batch
        mean, net = state.averages["generator"], state.trained["generator"]
        average(mean, net, self.batch, state.nimg, 1000 * self.halflife_kimg)
        return stats

    def _critic_step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        rng = stream.rng(problem.train.y.device)
        critic, optimizer = state.trained["critic"], state.optimizers["critic"]
        with torch.no_grad():
            x = self._generate(state, problem, rng)
        loss = self.objective(critic, problem.corruption(x, rng), rng).mean()
        value = checked(float(loss.detach()), EXPLODED, "the critic's loss", stream)
        optimizer.zero_grad()
        loss.backward()
        norm = checked(clip(critic, self.clip), math.inf, "the norm of the critic's gradient", stream)
        optimizer.step()
        return {"critic_loss": value, "critic_gradient": norm}

    def _generator_step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        rng = stream.rng(problem.train.y.device)
        generator, optimizer = state.trained["generator"], state.optimizers["generator"]
        fake = problem.corruption.fake(self._generate(state, problem, rng), rng, noise=self.noise)
        width = checked(
            self._width(fake.y.detach(), generator, problem), TOO_WIDE, "the fakes' width", stream
        )
        teacher, critic = state.frozen["teacher"], state.trained["critic"].requires_grad_(False)
        sigma_y = problem.corruption.sigma_y
        loss = self.distiller(teacher, critic, self.objective, fake, sigma_y, rng).mean()
        value = checked(float(loss.detach()), math.inf, "the generator's loss", stream)
        optimizer.zero_grad()
        loss.backward()
        critic.requires_grad_(True)
        norm = checked(clip(generator, self.clip), math.inf, "the norm of the generator's gradient", stream)
        learning_rate(optimizer, self.lr, state.nimg / (1000 * self.kimg), warmup=0.01, decay=self.decay)
        optimizer.step()
        return {"generator_loss": value, "generator_gradient": norm, "width": width}

    def _generate(self, state: State, problem: Problem, rng: torch.Generator) -> Tensor:
        net = state.trained["generator"]
        return generate(net, self.objective, problem, self.batch, self.sigma_init, rng)

    @staticmethod
    def _width(y: Tensor, net: Preconditioned, problem: Problem) -> float:
        """The root mean square of fakes around the data's mean, in units of that of the data."""
        scale = math.hypot(net.sigma_data, problem.corruption.sigma_y)
        return float((y - net.location).square().mean().sqrt()) / scale

    def result(self, state: State) -> Preconditioned:
        """What the training is for: the averaged generator."""
        return state.averages["generator"]

    def preview(self, sigma_y: float) -> OneStep:
        """The sampler by which checkpoints are compared."""
        return OneStep(self.objective, self.sigma_init)


def on_clean(problem: Problem, x: Tensor) -> Problem:
    """The problem of an oracle: it trains on clean `x`; what chooses its checkpoint stays corrupted."""
    train = Corruption(Identity())(x, Stream(0).rng(x.device))
    return replace(problem, train=train)


def rebuild(
    phase: Teach | Distil, shape: tuple[int, ...], form: dict[str, float], weights: dict[str, Tensor]
) -> Preconditioned:
    """The network that a phase trained, from its `form` and its weights."""
    net = phase.network.build(shape, int(form["condition_channels"]), Stream(0).rng())
    made = Preconditioned(net, form["location"], form["sigma_data"], int(form["condition_channels"]))
    made.load_state_dict(weights)
    return made.requires_grad_(False)


def batch_of(m: Measurement, size: int, rng: torch.Generator) -> Measurement:
    """`size` measurements, drawn with replacement."""
    return m[torch.randint(len(m), (size,), generator=rng, device=rng.device)]


def denoiser_for(problem: Problem, objective: Objective, network: Network, stream: Stream) -> Preconditioned:
    """A fresh preconditioned network, scaled to the measurements less the noise that it is to remove."""
    m = problem.train
    seen = m.A.restrict(torch.ones_like(m.y)).bool()
    mean = float(m.y[seen].double().mean())
    variance = float(m.y[seen].double().var(correction=0))
    clean = variance - objective.lowest(m.sigma_y) ** 2
    condition = m[:1].A.condition() if objective.conditional else None
    channels = 0 if condition is None else condition.shape[1] if len(problem.shape) > 1 else 1
    net = network.build(problem.shape, channels, stream.rng())
    scale = math.sqrt(max(clean, 0.01 * variance, 1e-8))
    return Preconditioned(net, mean, scale, channels).to(m.y.device)


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
