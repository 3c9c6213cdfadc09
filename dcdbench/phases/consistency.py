r"""Phase II as a regression: a student that jumps to where the teacher's sampler would arrive.

Consistency Models (Song et al., 2023), https://arxiv.org/abs/2303.01469, algorithm 2.
"""

from __future__ import annotations

__all__ = ["Consistency", "distance", "heun_step", "jump"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.batch import expand, mean_per_sample
from dcdbench.networks.edm import Preconditioned
from dcdbench.phases.descend import descend
from dcdbench.phases.start import batch_of, completing, stored
from dcdbench.phases.teach import EXPLODED
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Denoiser, Network, Objective, View
from dcdbench.samplers.heun import Heun
from dcdbench.streams import Stream
from dcdbench.training import State, adam, average, copy_of, learning_rate


@dataclass(frozen=True)
class Consistency:
    r"""A student `f(x_t, sigma)` that estimates where Heun's method with the teacher ends, from any level.

    From a measurement at one level, a step of the teacher's sampler leads to the next, where a running
    average of the student says what the student should have said; at the last level the teacher's own
    estimate does. That level is the lowest that was trained: the ideal student is the truncated sampler,
    or the full one where every level was. It cannot be better than its teacher.

    Args:
        objective: The teacher's, which says how measurements are viewed.
        network: The teacher's architecture, which the student shares.
        kimg: Thousands of images to train on.
        batch: Images per step.
        lr: The learning rate of Adam: warmed up over 1 %, and brought to 0 over the last `decay`.
        decay: The share of the training in which the rate falls.
        steps: The number of noise levels, those of the teacher's sampler.
        huber: `c` of the pseudo-Huber distance, in units of `sigma_data sqrt(entries)`, the norm of data;
            None for the squared distance.
        target_halflife_kimg: The half-life of the running average that is the target.
        halflife_kimg: That of the running average that is the result.
        clip: The largest norm of the gradient.
    """

    objective: Objective
    network: Network
    kimg: float
    batch: int = 256
    lr: float = 1e-3
    decay: float = 0.5
    steps: int = 18
    huber: float | None = None
    target_halflife_kimg: float = 1.0
    halflife_kimg: float = 50.0
    clip: float = 1.0

    kind: ClassVar[str] = "student"
    needs_clean: ClassVar[bool] = False

    def init(self, problem: Problem, parent: Denoiser | None, stream: Stream) -> State:
        """The student as a copy of the teacher."""
        assert isinstance(parent, Preconditioned)
        net = copy_of(parent, trained=True)
        return State(
            {"student": net},
            {"student": adam(net, self.lr, 0.9)},
            {name: copy_of(parent, trained=False) for name in ("student", "target")},
            {"teacher": copy_of(parent, trained=False)},
        )

    def levels(self, sigma_y: float, sigma_data: float) -> Tensor:
        """The decreasing noise levels, `(steps,)`, of the teacher's sampler."""
        return Heun(self.objective, "truncated", sigma_y, self.steps).levels(sigma_data)

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """One step on one batch, each measurement at a level of its own."""
        rng = stream.rng(problem.train.y.device)
        net, optimizer = state.trained["student"], state.optimizers["student"]
        loss = self._loss(state, problem, rng).mean()
        learning_rate(optimizer, self.lr, state.nimg / (1000 * self.kimg), warmup=0.01, decay=self.decay)
        value, norm = descend(optimizer, loss, stream, bound=EXPLODED, clip=self.clip)
        state.step += 1
        state.nimg += self.batch
        halflives = {"student": self.halflife_kimg, "target": self.target_halflife_kimg}
        for name, halflife in halflives.items():
            average(state.averages[name], net, self.batch, state.nimg, 1000 * halflife)
        return {"loss": value, "gradient": norm}

    def _loss(self, state: State, problem: Problem, rng: torch.Generator) -> Tensor:
        m = batch_of(problem.train, self.batch, rng)
        teacher, target = state.frozen["teacher"], state.averages["target"]
        levels = self.levels(m.sigma_y, teacher.sigma_data).to(m.y)
        n = torch.randint(self.steps - 1, (self.batch,), generator=rng, device=rng.device)
        view = self.objective.view(m, levels[n], rng)
        with torch.no_grad():
            wanted = jump(target, teacher, heun_step(teacher, view, levels[n + 1]), levels[-1])
        net = state.trained["student"]
        return distance((view.signal(net) - wanted) / net.sigma_data, self.huber)

    def result(self, state: State) -> Preconditioned:
        """What the training is for: the averaged student."""
        return state.averages["student"]

    def empty(self, shape: tuple[int, ...], form: dict[str, float]) -> Preconditioned:
        """A denoiser for weights that were stored."""
        return stored(self.network, shape, form)

    def preview(self, sigma_y: float) -> Heun:
        """The sampler by which checkpoints are compared: that of the teacher, cut down to its first level."""
        return Heun(self.objective, "truncated", sigma_y, steps=1)

    @torch.no_grad()
    def ideal(self, state: State, m: Measurement, rng: torch.Generator) -> Tensor:
        """What a perfect student's samples have the law of, `(n, *signal)`: the teacher's last estimates.

        Measurements `m` are brought to the last level. Where that is the level of the noise, estimates are
        posterior means, which are narrower than signals.
        """
        teacher = state.frozen["teacher"]
        last = self.levels(m.sigma_y, teacher.sigma_data)[-1:].to(m.y)
        return self.objective.view(m, last.expand(len(m)), rng).signal(teacher)

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """The corruption that brings previews to the law of measurements: that of the teacher's samples."""
        return completing(self.objective, corruption, shape)


def heun_step(teacher: Denoiser, view: View, sigma: Tensor) -> View:
    """One step of Heun's method, as `diffusion.heun` takes it, from each view's level to `sigma`, `(B,)`."""
    before, after = expand(view.sigma, view.x_t), expand(sigma, view.x_t)
    slope = (view.x_t - view.estimate(teacher)) / before
    euler = View(view.x_t + (after - before) * slope, sigma, view.A)
    slope = (slope + (euler.x_t - euler.estimate(teacher)) / after) / 2
    return View(view.x_t + (after - before) * slope, sigma, view.A)


def jump(student: Denoiser, teacher: Denoiser, view: View, last: Tensor) -> Tensor:
    """Where the student says that a view ends, `(B, *signal)`; at the `last` level the teacher does."""
    at_end = expand(view.sigma <= last, view.shown())
    return torch.where(at_end, view.signal(teacher), view.signal(student))


def distance(error: Tensor, huber: float | None) -> Tensor:
    """The mean square of an error per sample, `(B,)`; with `huber`, its pseudo-Huber distance."""
    square = mean_per_sample(error.square())
    return square if huber is None else (square + huber**2).sqrt() - huber
