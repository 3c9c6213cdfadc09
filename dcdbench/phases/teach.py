"""Phase I: teach a diffusion model what was measured."""

from __future__ import annotations

__all__ = ["EXPLODED", "Teach"]

from dataclasses import dataclass
from typing import ClassVar

from dcdbench.networks.edm import Preconditioned
from dcdbench.phases.descend import descend
from dcdbench.phases.start import batch_of, completing, denoiser_for, stored
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Denoiser, Network, Objective
from dcdbench.samplers.heun import Heun
from dcdbench.streams import Stream
from dcdbench.training import State, adam, average, copy_of, learning_rate

EXPLODED = 1e4  # a loss this many times its first value, whose scale is 1


@dataclass(frozen=True)
class Teach:
    """A diffusion model of what was measured, by a corruption-aware objective.

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
        learning_rate(optimizer, self.lr, state.nimg / (1000 * self.kimg), warmup=0.01, decay=self.decay)
        value, norm = descend(optimizer, loss, stream, bound=EXPLODED, clip=self.clip)
        state.step += 1
        state.nimg += self.batch
        average(state.averages["denoiser"], net, self.batch, state.nimg, 1000 * self.halflife_kimg)
        return {"loss": value, "gradient": norm}

    def result(self, state: State) -> Preconditioned:
        """What the training is for: the averaged denoiser."""
        return state.averages["denoiser"]

    def empty(self, shape: tuple[int, ...], form: dict[str, float]) -> Preconditioned:
        """A denoiser for weights that were stored."""
        return stored(self.network, shape, form)

    def preview(self, sigma_y: float) -> Heun:
        """The sampler by which checkpoints are compared; it stops at the lowest level that is trained."""
        return Heun(self.objective, "truncated" if self.objective.lowest(sigma_y) > 0 else "full", sigma_y)

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """The corruption that brings previews to the law of measurements."""
        return completing(self.objective, corruption, shape)
