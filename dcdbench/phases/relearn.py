"""A phase that restores the measurements by what the phase before has learned, and learns from the result."""

from __future__ import annotations

__all__ = ["Pool", "Relearn"]

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from dcdbench.networks.edm import Preconditioned
from dcdbench.phases.start import on_clean
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Network, Objective, Restorer, Sampler
from dcdbench.streams import Stream
from dcdbench.training import State, adam, copy_of


class Pool(nn.Module):
    """Restored signals, `(n, *signal)`, kept with the networks of a training so that it resumes with them."""

    x: Tensor

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.register_buffer("x", x)


@dataclass(frozen=True)
class Relearn:
    """Restores all measurements once, then trains a diffusion model on them as if they were clean.

    Args:
        teach: The training.
        restorer: Gives the signals.
        warm: Whether the model goes on from the weights of the phase before.
        lap: Which repetition this is; each has randomness of its own.
        checkpoints: Candidates of the result, >= 1; None for as many as the harness compares.
    """

    teach: Teach
    restorer: Restorer
    warm: bool = True
    lap: int = 0
    checkpoints: int | None = None

    kind: ClassVar[str] = "relearn"
    needs_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.checkpoints is not None and self.checkpoints < 1:
            raise ValueError(f"checkpoints must be >= 1, got {self.checkpoints}")

    @property
    def objective(self) -> Objective:
        """That of the training."""
        return self.teach.objective

    @property
    def network(self) -> Network:
        """That of the training."""
        return self.teach.network

    @property
    def kimg(self) -> float:
        """Thousands of images to train on."""
        return self.teach.kimg

    @property
    def batch(self) -> int:
        """Images per step."""
        return self.teach.batch

    def init(self, problem: Problem, parent: Any, stream: Stream) -> State:
        """Restores the measurements; the weights are the parent's, or fresh."""
        stream = stream / self.lap
        x = self.restorer.restore(parent, problem, stream / "restore").detach()
        state = self.teach.init(on_clean(problem, x), None, stream)
        if self.warm:
            net = copy_of(parent, trained=True)
            state.trained["denoiser"] = net
            state.averages["denoiser"] = copy_of(parent, trained=False)
            state.optimizers["denoiser"] = adam(net, self.teach.lr, 0.9)
        state.frozen["pool"] = Pool(x)
        return state

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        """One step on one batch of restored signals."""
        return self.teach.step(state, on_clean(problem, state.frozen["pool"].x), stream / self.lap)

    def result(self, state: State) -> Preconditioned:
        """What the training is for: the averaged denoiser."""
        return self.teach.result(state)

    def empty(self, shape: tuple[int, ...], form: dict[str, float]) -> Preconditioned:
        """A denoiser for weights that were stored."""
        return self.teach.empty(shape, form)

    def preview(self, sigma_y: float) -> Sampler:
        """The sampler by which checkpoints are compared."""
        return self.teach.preview(sigma_y)

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """All of it: what was restored are signals."""
        return corruption
