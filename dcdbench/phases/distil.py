"""Phase II: distil a one-step generator through the operator."""

from __future__ import annotations

__all__ = ["Distil", "Latent"]

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from dcdbench.networks.discriminator import Discriminator
from dcdbench.networks.edm import Preconditioned
from dcdbench.operators.identity import Identity
from dcdbench.phases.descend import descend, read
from dcdbench.phases.discriminate import discriminate
from dcdbench.phases.start import checked, denoiser_for, stored
from dcdbench.phases.survey import survey
from dcdbench.phases.teach import EXPLODED
from dcdbench.problem import Corruption, Fake, Problem
from dcdbench.protocols import Denoiser, Distiller, Judges, Network, Objective
from dcdbench.samplers.one_step import Latent, OneStep, generate
from dcdbench.streams import Stream
from dcdbench.training import State, adam, average, copy_of, learning_rate

TOO_WIDE = 10.0  # fakes whose root mean square is this many times that of the measurements
SURVEYS = 100  # of critic and student, however long the training


@dataclass(frozen=True)
class Distil:
    """A one-step generator whose re-corrupted output the teacher cannot tell from data.

    Args:
        objective: The teacher's, which is the critic's loss too.
        distiller: The generator's loss.
        network: The teacher's architecture, which generator and critic share.
        kimg: Thousands of images that the generator is trained on.
        batch: Images per step.
        lr: The generator's learning rate: warmed up, and brought to 0 over the last `decay` of the training.
        critic_lr: The critic's learning rate, warmed up as the generator's, then constant.
        decay: The share of the training in which the generator's rate falls.
        warmup: The share in which it rises. At the start critic and teacher agree, and what Adam scales up to
            full steps is noise.
        critic_steps: Steps of the critic per step of the generator.
        start: Generator and critic start from the `teacher`'s weights or from `random` ones.
        sigma_init: The noise level at which the network serves as a generator, in units of `sigma_data`.
        latent: Whether a generator that is shown a draw of A sees its latents through it or in full.
        noise: Whether the generator's step adds measurement noise to the fakes.
        halflife_kimg: That of the running average of the generator, which is the result.
        clip: The largest norm of the gradients.
        beta2: Adam's, of all networks; the first moment is not averaged. A gradient far above all that the
            second moment remembers is a step of `1 / sqrt(1 - beta2)` times the learning rate: 10 times,
            where 0.999 allows 32, and one unusual fake can throw the generator out of where it was.
        update_clip: The largest root mean square of a step's changes of weights, in units of the learning
            rate: steps without a bound have about 1.
        critic: The critic's loss, where it is not the teacher's.
        operator: Whether fakes are corrupted at all.
    """

    objective: Objective
    distiller: Distiller
    network: Network
    kimg: float
    batch: int = 256
    lr: float = 1e-3
    critic_lr: float = 6e-4
    decay: float = 1.0
    warmup: float = 0.1
    critic_steps: int = 1
    start: Literal["teacher", "random"] = "teacher"
    sigma_init: float = 5.0
    latent: Latent = "seen"
    noise: bool = False
    halflife_kimg: float = 50.0
    clip: float = 1.0
    beta2: float = 0.99
    update_clip: float = 0.5
    critic: Objective | None = None
    operator: bool = True

    kind: ClassVar[str] = "student"
    needs_clean: ClassVar[bool] = False

    def init(self, problem: Problem, parent: Denoiser | None, stream: Stream) -> State:
        """Generator and critic as copies of the teacher, or fresh; a discriminator where one is needed."""
        assert isinstance(parent, Preconditioned)
        nets: dict[str, Any] = {
            name: self._start(problem, parent, stream / name) for name in ("generator", "critic")
        }
        if self.distiller.discriminates:
            fresh = denoiser_for(problem, self.objective, self.network, stream / "discriminator")
            nets["discriminator"] = Discriminator(fresh)
        rates = {"generator": self.lr}
        return State(
            nets,
            {name: adam(net, rates.get(name, self.critic_lr), 0.0, self.beta2) for name, net in nets.items()},
            {"generator": copy_of(nets["generator"], trained=False)},
            {"teacher": self._teacher(parent)},
        )

    def _teacher(self, parent: Preconditioned) -> Any:
        return copy_of(parent, trained=False)

    def _start(self, problem: Problem, teacher: Preconditioned, stream: Stream) -> Preconditioned:
        if self.start == "teacher":
            return copy_of(teacher, trained=True)
        return denoiser_for(problem, self.objective, self.network, stream)

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """The critic's steps, then one step of the generator."""
        stats: dict[str, float] = {}
        for k, x in enumerate(self._fakes(state, problem, stream / "critic")):
            stats |= self._critic_step(state, problem, x, stream / "critic" / k)
        if self.distiller.discriminates:
            stats |= self._discriminator_step(state, problem, stream / "discriminator")
        stats |= self._generator_step(state, problem, stream / "generator")
        if state.step % max(1, round(1000 * self.kimg / self.batch / SURVEYS)) == 0:
            stats |= self._survey(state, problem, stream / "survey")
        state.step += 1
        state.nimg += self.batch
        mean, net = state.averages["generator"], state.trained["generator"]
        average(mean, net, self.batch, state.nimg, 1000 * self.halflife_kimg)
        return stats

    @torch.no_grad()
    def _fakes(self, state: State, problem: Problem, stream: Stream) -> tuple[Tensor, ...]:
        """Fakes for each step of the critic, from one call of the generator, which stays as it is."""
        if self.critic_steps == 0:
            return ()
        rng = stream.rng(problem.train.y.device)
        all_steps = replace(self, batch=self.critic_steps * self.batch)
        return all_steps._generate(state, problem, rng).split(self.batch)

    def _critic_step(self, state: State, problem: Problem, x: Tensor, stream: Stream) -> dict[str, float]:
        rng = stream.rng(problem.train.y.device)
        critic = state.trained["critic"]
        loss = (self.critic or self.objective)(critic, self._corruption(problem)(x, rng), rng).mean()
        done = (state.nimg + self.batch) / (1000 * self.kimg)  # at the end of this step: the first one counts
        learning_rate(state.optimizers["critic"], self.critic_lr, done, warmup=self.warmup, decay=0.0)
        value, norm = self._descend(state, "critic", loss, stream, EXPLODED)
        return {"critic_loss": value, "critic_gradient": norm}

    def _discriminator_step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        rng = stream.rng(problem.train.y.device)
        with torch.no_grad():
            fake = self._fake(state, problem, rng)
        loss = discriminate(self.distiller, self._judges(state, problem), fake, problem.train, rng).mean()
        value, norm = self._descend(state, "discriminator", loss, stream)
        return {"discriminator_loss": value, "discriminator_gradient": norm}

    def _generator_step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        rng = stream.rng(problem.train.y.device)
        fake = self._fake(state, problem, rng)
        width = checked(_width(fake.y.detach(), problem), TOO_WIDE, "the fakes' width", stream)
        judges = [net.requires_grad_(False) for name, net in state.trained.items() if name != "generator"]
        loss = self.distiller(self._judges(state, problem), fake, rng).mean()
        done = state.nimg / (1000 * self.kimg)
        learning_rate(state.optimizers["generator"], self.lr, done, warmup=self.warmup, decay=self.decay)
        value, norm = self._descend(state, "generator", loss, stream)
        for net in judges:
            net.requires_grad_(True)
        return {"generator_loss": value, "generator_gradient": norm, "width": width}

    def _descend(
        self, state: State, name: str, loss: Tensor, stream: Stream, bound: float = math.inf
    ) -> tuple[float, float]:
        """One step of one network; its loss, and the norm of its gradient before clipping."""
        names = (f"the {name}'s loss", f"the norm of the {name}'s gradient")
        limits = {"bound": bound, "clip": self.clip, "most": self.update_clip}
        return descend(state.optimizers[name], loss, stream, names=names, **limits)

    def _survey(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        rng = stream.rng(problem.train.y.device)
        with torch.no_grad():
            return survey(self.distiller, self._judges(state, problem), self._fake(state, problem, rng), rng)

    def _generate(self, state: State, problem: Problem, rng: torch.Generator) -> Tensor:
        net = state.trained["generator"]
        return generate(net, self.objective, problem, self.batch, self.sigma_init, self.latent, rng)

    def _fake(self, state: State, problem: Problem, rng: torch.Generator) -> Fake:
        return self._corruption(problem).fake(self._generate(state, problem, rng), rng, noise=self.noise)

    def _corruption(self, problem: Problem) -> Corruption:
        return problem.corruption if self.operator else Corruption(Identity())

    def _judges(self, state: State, problem: Problem) -> Judges:
        return Judges(
            state.frozen["teacher"],
            state.trained["critic"],
            self.objective,
            problem.corruption.sigma_y,
            state.trained.get("discriminator"),
        )

    def result(self, state: State) -> Preconditioned:
        """What the training is for: the averaged generator."""
        return state.averages["generator"]

    def empty(self, shape: tuple[int, ...], form: dict[str, float]) -> Preconditioned:
        """A denoiser for weights that were stored."""
        return stored(self.network, shape, form)

    def preview(self, sigma_y: float) -> OneStep:
        """The sampler by which checkpoints are compared."""
        return OneStep(self.objective, self.sigma_init, self.latent)

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """All of it: a generator gives signals."""
        return corruption


def _width(y: Tensor, problem: Problem) -> float:
    """The root mean square of fakes, in units of that of the first measurements."""
    real = problem.train.y[: len(y)]
    return read(y.square().mean().sqrt() / real.square().mean().sqrt().clamp(min=1e-8))[0]
