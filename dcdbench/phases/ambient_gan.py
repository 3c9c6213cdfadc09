r"""A generator against a critic that sees measurements alone: AmbientGAN with Wasserstein's critic.

AmbientGAN: Generative Models from Lossy Measurements (Bora et al., 2018),
https://openreview.net/forum?id=Hy7fDog0b, and Improved Training of Wasserstein GANs (Gulrajani et al.,
2017), https://arxiv.org/abs/1704.00028, of which the critic's loss is

$$E[D(f(G(z)))] - E[D(y)] + \lambda E[(|\nabla D| - 1)^2],$$

the gradient taken between fake and real measurements.
"""

from __future__ import annotations

__all__ = ["Fool"]

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from dcdbench.batch import expand
from dcdbench.networks.critic import Critic
from dcdbench.networks.edm import Preconditioned, shown
from dcdbench.phases.descend import descend, read
from dcdbench.phases.start import SCALED, batch_of, scale_of, stored
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Network
from dcdbench.samplers.generator import Generator
from dcdbench.streams import Stream
from dcdbench.training import State, adam, average, copy_of, learning_rate


@dataclass(frozen=True)
class Fool:
    """A one-step generator whose measured fakes a critic cannot tell from measurements.

    The critic sees `A.back(y)` and what the draw of A shows, both interpolated for the penalty.

    Args:
        network: The architecture of generator and critic.
        kimg: Thousands of images that the generator is trained on.
        batch: Images per step.
        lr: The generator's learning rate, which falls to 0 over the training.
        critic_lr: The critic's, which falls alike.
        critic_steps: Steps of the critic per step of the generator.
        penalty: The weight of the gradient penalty.
        sigma_init: The noise level at which the network serves as a generator, in units of `sigma_data`.
        halflife_kimg: That of the running average of the generator, which is the result.
    """

    network: Network
    kimg: float
    batch: int = 256
    lr: float = 1e-3
    critic_lr: float = 3e-3
    critic_steps: int = 3
    penalty: float = 0.3
    sigma_init: float = 5.0
    halflife_kimg: float = 50.0

    kind: ClassVar[str] = "student"
    needs_clean: ClassVar[bool] = False

    def init(self, problem: Problem, parent: Any, stream: Stream) -> State:
        """Fresh weights, scaled to what the measurements tell."""
        m = problem.train[: min(len(problem.train), SCALED)]
        nets = {
            "generator": self._generator(m, problem.shape, stream / "generator"),
            "critic": self._critic(m, problem.shape, stream / "critic"),
        }
        rates = {"generator": self.lr, "critic": self.critic_lr}
        return State(
            nets,
            {name: adam(net, rates[name], 0.0, 0.9) for name, net in nets.items()},
            {"generator": copy_of(nets["generator"], trained=False)},
        )

    def _generator(self, m: Measurement, shape: tuple[int, ...], stream: Stream) -> Any:
        rng = (stream / "scale").rng(m.y.device)
        location, scale = scale_of(m, True, m.sigma_y, rng)
        net = self.network.build(shape, 0, stream.rng())
        return Preconditioned(net, location, scale).to(m.y.device)

    def _critic(self, m: Measurement, shape: tuple[int, ...], stream: Stream) -> Any:
        x, condition = _seen(m)
        net = self.network.build(shape, 0 if condition is None else condition.shape[1], stream.rng())
        return Critic(net, float(x.mean()), max(float(x.std()), 1e-8)).to(m.y.device)

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """The critic's steps, then one step of the generator."""
        done = state.nimg / (1000 * self.kimg)
        for name, lr in (("generator", self.lr), ("critic", self.critic_lr)):
            learning_rate(state.optimizers[name], lr, done, warmup=0.0, decay=1.0)
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
        critic = state.trained["critic"]
        with torch.no_grad():
            fake = self._fake(state, problem, rng)
            real = batch_of(problem.train, self.batch, rng)
        a, b = ((critic.scaled(x), condition) for x, condition in (_seen(real), _seen(fake)))
        gap = critic(*a).mean() - critic(*b).mean()
        steep = (slope(critic, between(a, b, rng)) - 1).square().mean()
        loss = self.penalty * steep - gap
        descend(state.optimizers["critic"], loss, stream, names=names("critic"))
        return dict(zip(("gap", "penalty"), read(gap, steep), strict=True))

    def _generator_step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        rng = stream.rng(problem.train.y.device)
        critic = state.trained["critic"].requires_grad_(False)
        x, condition = _seen(self._fake(state, problem, rng))
        loss = -critic(critic.scaled(x), condition).mean()
        value, _ = descend(state.optimizers["generator"], loss, stream, names=names("generator"))
        critic.requires_grad_(True)
        return {"generator_loss": value}

    def _fake(self, state: State, problem: Problem, rng: torch.Generator) -> Measurement:
        x = self.preview(0.0).draw(state.trained["generator"], problem.shape, self.batch, rng)
        return problem.corruption.fake(x, rng)

    def result(self, state: State) -> Preconditioned:
        """What the training is for: the averaged generator."""
        return state.averages["generator"]

    def empty(self, shape: tuple[int, ...], form: dict[str, float]) -> Preconditioned:
        """A generator for weights that were stored."""
        return stored(self.network, shape, form)

    def preview(self, sigma_y: float) -> Generator:
        """The sampler by which checkpoints are compared."""
        return Generator(self.sigma_init)

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """All of it: a generator gives signals."""
        return corruption


Seen = tuple[Tensor, Tensor | None]


def _seen(m: Measurement) -> Seen:
    """What a critic sees of measurements: `A.back(y)`, `(B, *signal)`, and the condition of A."""
    x = m.A.back(m.y)
    return x, shown(m.A, x)


def between(real: Seen, fake: Seen, rng: torch.Generator) -> list[Tensor]:
    """Points on the segments from fakes to real measurements, uniform, conditions with them."""
    share = torch.rand(len(real[0]), generator=rng, device=rng.device).to(real[0])
    pairs = ((a, b) for a, b in zip(real, fake, strict=True) if a is not None and b is not None)
    found = [torch.lerp(b, a.to(b), expand(share, b)).requires_grad_() for a, b in pairs]
    return [x.clone() for x in found]  # those who count operations take no leaves


def slope(critic: Critic, points: list[Tensor]) -> Tensor:
    """The norm of the critic's gradient at `points`, `(B,)`, through which the penalty is differentiated."""
    grads = torch.autograd.grad(critic(*points).sum(), points, create_graph=True)
    return (sum((g.flatten(1).square().sum(1) for g in grads), torch.zeros(())) + 1e-12).sqrt()


def names(network: str) -> tuple[str, str]:
    """What its loss and the norm of its gradient are called."""
    return f"the {network}'s loss", f"the norm of the {network}'s gradient"
