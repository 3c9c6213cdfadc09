"""The nouns that components implement: what each is called with, and what it answers.

A component is a frozen dataclass that satisfies one of these protocols. Its fields are its
hyper-parameters; a field whose type is one of these protocols holds another component.
"""

from __future__ import annotations

__all__ = [
    "Data",
    "DataSource",
    "Denoiser",
    "Distiller",
    "Method",
    "Metric",
    "Network",
    "Objective",
    "Operator",
    "OperatorLaw",
    "Phase",
    "Sampler",
    "Samples",
    "Setting",
    "View",
]

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

if TYPE_CHECKING:
    from dcdbench.problem import Corruption, Fake, Measurement, Problem, Reference
    from dcdbench.streams import Stream


@runtime_checkable
class Operator(Protocol):
    """One draw of `A` per sample. Its first axis counts samples, like that of what it acts on."""

    linear: ClassVar[bool]

    def __call__(self, x: Tensor) -> Tensor:
        """The noiseless measurement `A x`, `(B, *signal)` to `(B, *measured)`; differentiable."""
        ...

    def adjoint(self, y: Tensor) -> Tensor:
        """`A^T y`, for linear operators."""
        ...

    def pinv(self, y: Tensor) -> Tensor:
        """The pseudo-inverse `A^+ y`: the least-norm least-squares signal."""
        ...

    def restrict(self, y: Tensor) -> Tensor:
        """Zeroes the entries of `y` that were not measured."""
        ...

    def further(self, delta: float, rng: torch.Generator) -> Operator | None:
        """A further corruption that drops a share `delta` of what was measured, or None."""
        ...

    def condition(self) -> Tensor | None:
        """What a network is shown of this draw, broadcast like the signal; None for nothing."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that define this draw; `OperatorLaw.restore` is the inverse."""
        ...

    def __getitem__(self, index: Tensor | slice) -> Operator:
        """The draws of the samples at `index`."""
        ...

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Operator:
        """The same draws on another device, or in another floating type."""
        ...


@runtime_checkable
class OperatorLaw(Protocol):
    """A law over operators: what a file in `operators/` registers."""

    linear: ClassVar[bool]
    masks: ClassVar[bool]  # whether draws have a `further` corruption and a `condition`

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Operator:
        """`n` independent draws for signals of `shape` (without the batch axis), on `rng.device`."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> Operator:
        """The draws that `Operator.tensors` described."""
        ...

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one measurement of a signal of `shape`."""
        ...

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Whether `E[A^T A]` has full rank on signals of `shape`."""
        ...


@runtime_checkable
class Denoiser(Protocol):
    """`D(x_t, sigma, A) -> E[x | x_t]`."""

    sigma_data: float  # the scale of the data, which weights of objectives refer to

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        """The estimate, `(B, *)`, of noisy `x_t`, `(B, *)`, at noise levels `sigma`, `(B,)`."""
        ...


@dataclass(frozen=True)
class View:
    """What a denoiser is shown of a measurement at one noise level."""

    x_t: Tensor  # (B, *)
    sigma: Tensor  # (B,)
    A: Operator | None = None  # given to the denoiser, where the objective conditions on it

    def restrict(self, x: Tensor) -> Tensor:
        """Zeroes what this view does not show, so that losses count what was measured."""
        return x if self.A is None else self.A.restrict(x)


@runtime_checkable
class Objective(Protocol):
    """A loss of phase I, stateless; also that of the critic in phase II."""

    conditional: ClassVar[bool]  # whether the denoiser is conditioned on the draw of A

    def supports(self, corruption: Corruption) -> str | None:
        """None, or the reason why this objective cannot learn from such measurements."""
        ...

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        """The loss per sample, `(B,)`."""
        ...

    def view(self, m: Measurement, sigma: Tensor, rng: torch.Generator) -> View:
        """The measurement brought to noise levels `sigma`, `(B,)`, each at least `lowest(m.sigma_y)`."""
        ...

    def signal(self, fake: Fake) -> Tensor:
        """What the denoiser estimates, for a fake whose signal is known; differentiable."""
        ...

    def draw(
        self, corruption: Corruption, shape: tuple[int, ...], n: int, rng: torch.Generator
    ) -> Operator | None:
        """What the denoiser is conditioned on when it samples `n` signals, or None."""
        ...

    def lowest(self, sigma_y: float) -> float:
        """The lowest noise level that the objective trains, given the measurement noise."""
        ...


@runtime_checkable
class Distiller(Protocol):
    """The generator's loss of phase II, stateless."""

    def supports(self, objective: Objective, corruption: Corruption) -> str | None:
        """None, or the reason why this loss cannot be used with that teacher."""
        ...

    def __call__(
        self,
        teacher: Denoiser,
        critic: Denoiser,
        objective: Objective,
        fake: Fake,
        sigma_y: float,
        rng: torch.Generator,
    ) -> Tensor:
        """The loss per sample, `(B,)`, whose gradient reaches the generator through `fake`.

        `sigma_y` is the noise of the real measurements; that of the fake may be 0.
        """
        ...


@runtime_checkable
class Network(Protocol):
    """An architecture: builds a module `F(x, c_noise, condition)`."""

    def build(self, shape: tuple[int, ...], condition_channels: int, rng: torch.Generator) -> torch.nn.Module:
        """A fresh network for signals of `shape`, its weights drawn from `rng` alone."""
        ...


@dataclass(frozen=True)
class Data:
    """What a data source gives for one seed. Clean, unless its source is `corrupted`.

    Every field has shape `(n, *signal)`; a source without clean references leaves the
    last two empty (`n = 0`).
    """

    train: Tensor
    val: Tensor  # held out, for the choice of a checkpoint: only ever seen corrupted
    test: Tensor  # held out, for scores in measurement space
    reference: Tensor  # clean and held out, for scores
    floor: Tensor  # clean, as many as the reference: its scores are the floors
    operator: dict[str, Tensor] = field(default_factory=dict)  # draws stored with the measurements


@runtime_checkable
class DataSource(Protocol):
    """Signals, or measurements where `corrupted` is true. What a file in `datasets/` registers."""

    corrupted: bool

    def shape(self) -> tuple[int, ...]:
        """The shape of one signal."""
        ...

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """The splits for one seed, float32 on the CPU; None for as many as there are."""
        ...


@runtime_checkable
class Metric(Protocol):
    """A score of samples. What a file in `metrics/` registers.

    `values` says of each value that a call returns: its direction (`lower`, `higher` or
    `neither` is better) and its unit.
    """

    needs: ClassVar[str]  # "clean", "density" or "measurements"
    sampling_unit: ClassVar[str]
    values: ClassVar[dict[str, tuple[str, str]]]

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        ...

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The scores of `samples`, `(n, *)`."""
        ...


@dataclass(frozen=True)
class Setting:
    """What a task gives to every method alike: the corruption, the architecture and the budgets."""

    corruption: Corruption
    network: Network
    teacher_kimg: float  # thousands of images that phase I trains on
    student_kimg: float  # thousands of images that phase II trains on
    batch: int = 256


@runtime_checkable
class Phase(Protocol):
    """One training of a method. Frozen: what changes is the `State` (see `training`).

    `kind` names the stage that runs it ("teacher", "student"); `phases` implements them.
    """

    kind: ClassVar[str]

    @property
    def needs_clean(self) -> bool:
        """Whether it trains on clean data, which only an oracle does."""
        ...

    @property
    def kimg(self) -> float:
        """Thousands of images to train on."""
        ...

    @property
    def batch(self) -> int:
        """Images per step."""
        ...

    def init(self, problem: Problem, parent: Any, stream: Stream) -> Any:
        """The state before the first step; `parent` is the denoiser of the phase before."""
        ...

    def step(self, state: Any, problem: Problem, stream: Stream) -> dict[str, float]:
        """One step on `batch` images: changes the state and returns its statistics."""
        ...

    def result(self, state: Any) -> Any:
        """The network that the training is for."""
        ...

    def preview(self, sigma_y: float) -> Sampler:
        """The sampler by which checkpoints are compared."""
        ...


@dataclass(frozen=True)
class Samples:
    """What a sampler gives: signals `x`, `(n, *signal)`, and network calls per sample."""

    x: Tensor
    nfe: int


@runtime_checkable
class Sampler(Protocol):
    """Draws signals from what a method has learned."""

    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals; `denoiser` is the last phase's network, None where there was no phase."""
        ...


@runtime_checkable
class Method(Protocol):
    """A tuple of phases that ends in a sampler. What a file in `methods/` registers."""

    needs_clean: ClassVar[bool]  # granted by the harness, and the row is marked

    def supports(self, corruption: Corruption, shape: tuple[int, ...]) -> str | None:
        """None, or the reason why the method cannot work on such a problem."""
        ...

    def phases(self, setting: Setting) -> tuple[Phase, ...]:
        """The trainings, in order; each starts from the one before."""
        ...

    def sampler(self, setting: Setting) -> Sampler:
        """How the result is sampled."""
        ...

    def expected(self, law: Any, corruption: Corruption) -> Any | None:
        """The law that theory gives for the ideal result on an analytic law, or None."""
        ...
