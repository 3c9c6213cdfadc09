"""The nouns that components implement: what each is called with, and what it answers.

A component is a frozen dataclass that satisfies one of these protocols. Its fields are its
hyper-parameters; a field whose type is one of these protocols holds another component.
"""

from __future__ import annotations

__all__ = [
    "Classifier",
    "Data",
    "DataSource",
    "Denoiser",
    "Distiller",
    "Judges",
    "Left",
    "Method",
    "Metric",
    "Network",
    "Noise",
    "Objective",
    "Operator",
    "OperatorLaw",
    "Phase",
    "Restorer",
    "Sampler",
    "Samples",
    "Setting",
    "View",
]

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

if TYPE_CHECKING:
    from dcdbench.problem import Corruption, Fake, Measurement, Problem, Reference
    from dcdbench.streams import Stream


@runtime_checkable
class Operator(Protocol):
    """One draw of `A` per sample. Its first axis counts samples, like that of what it acts on."""

    @property
    def linear(self) -> bool:
        """Whether `A` is linear, so that it has an adjoint and a pseudo-inverse."""
        ...

    @property
    def projects(self) -> bool:
        """Whether `back(A(x))` is an orthogonal projection: what is seen at all is seen in full."""
        ...

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

    def back(self, y: Tensor) -> Tensor:
        """`y` as a signal, `(B, *signal)`, for a network to see: linear, and zero only where `A^T y` is."""
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

    @property
    def linear(self) -> bool:
        """Whether draws are linear."""
        ...

    @property
    def masks(self) -> bool:
        """Whether draws have a `further` corruption and a `condition`."""
        ...

    @property
    def random(self) -> bool:
        """Whether draws differ from sample to sample."""
        ...

    @property
    def differentiable(self) -> bool:
        """Whether gradients flow through draws; true of all linear ones."""
        ...

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

    sigma_data: float  # the standard deviation of the data: the unit of noise levels, and of weights

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        """The estimate, `(B, *)`, of noisy `x_t`, `(B, *)`, at noise levels `sigma`, `(B,)`."""
        ...


@runtime_checkable
class Noise(Protocol):
    """Noise that is not white and Gaussian. What a file in `noises/` registers."""

    def __call__(self, u: Tensor, rng: torch.Generator) -> Tensor:
        """Noisy `u`, `(B, *measured)`; differentiable by a path from `u` to the result."""
        ...


@dataclass(frozen=True)
class View:
    """A measurement brought to a noise level, and what a denoiser says of it.

    Diffusions live in the space of measurements, networks in that of signals. Where the draw of A
    is given, a network is shown `A.back(x_t)` and A, and its estimate is measured by A.
    """

    x_t: Tensor  # (B, *measured)
    sigma: Tensor  # (B,)
    A: Operator | None = None  # shown to the denoiser; None where signals and measurements share a space

    def shown(self) -> Tensor:
        """What a network sees, `(B, *signal)`."""
        return self.x_t if self.A is None else self.A.back(self.x_t)

    def signal(self, denoiser: Denoiser) -> Tensor:
        """The denoiser's estimate of the signal, `(B, *signal)`."""
        return denoiser(self.shown(), self.sigma, self.A)

    def estimate(self, denoiser: Denoiser) -> Tensor:
        """The denoiser's estimate of what is diffused, `(B, *measured)`."""
        x = self.signal(denoiser)
        return x if self.A is None else self.A(x)

    def of(self, y: Tensor) -> Tensor:
        """What this view contains of a measurement `y`: a further corruption drops entries."""
        return y if self.A is None else self.A.restrict(y)


Left = Literal["all", "noise", "nothing"]


@runtime_checkable
class Objective(Protocol):
    """A loss of phase I, stateless; also that of the critic in phase II."""

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
        """What is to be estimated, `(B, *measured)`, for a fake where it is known; differentiable."""
        ...

    def draw(
        self, corruption: Corruption, shape: tuple[int, ...], n: int, rng: torch.Generator
    ) -> Operator | None:
        """The draws of A that a denoiser is shown when it samples `n` signals, or None."""
        ...

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Left:
        """What of the corruption must be done to samples of the learned law to compare them with `y`."""
        ...

    def lowest(self, sigma_y: float) -> float:
        """The lowest noise level that the objective trains, given the measurement noise."""
        ...


@dataclass(frozen=True)
class Judges:
    """Who judges a fake in phase II.

    Args:
        teacher: The denoiser of phase I.
        critic: The denoiser of fakes.
        objective: That of the teacher, which says how fakes are viewed.
        sigma_y: The noise of real measurements; that of a fake may be 0.
        discriminator: The logit, `(B,)`, that a view is one of real measurements; None where none is trained.
    """

    teacher: Denoiser
    critic: Denoiser
    objective: Objective
    sigma_y: float
    discriminator: Callable[[View], Tensor] | None = None


@runtime_checkable
class Distiller(Protocol):
    """The generator's loss of phase II, stateless."""

    def supports(self, objective: Objective, corruption: Corruption, *, noise: bool = False) -> str | None:
        """None, or the reason why this loss cannot be used with that teacher.

        `noise` says whether fakes carry measurement noise.
        """
        ...

    @property
    def lr(self) -> float:
        """The generator's learning rate where none is given: see docs/tuning.md."""
        ...

    @property
    def discriminates(self) -> bool:
        """Whether it needs a discriminator, which is then trained beside the critic."""
        ...

    def sigma(self, judges: Judges, fake: Fake, rng: torch.Generator) -> Tensor:
        """The noise levels, `(B,)`, at which fakes are judged."""
        ...

    def __call__(self, judges: Judges, fake: Fake, rng: torch.Generator) -> Tensor:
        """The loss per sample, `(B,)`, whose gradient reaches the generator through `fake`."""
        ...


@runtime_checkable
class Network(Protocol):
    """An architecture: builds a module `F(x, c_noise, condition)`."""

    def build(self, shape: tuple[int, ...], condition_channels: int, rng: torch.Generator) -> torch.nn.Module:
        """A fresh network for signals of `shape`, its weights drawn from `rng` alone.

        The condition has `condition_channels` channels for images, and numbers for vectors.
        """
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
    labels: dict[str, Tensor] = field(default_factory=dict)  # classes of `reference` and `floor`, `(n,)`


@runtime_checkable
class DataSource(Protocol):
    """Signals, or measurements where `corrupted` is true. What a file in `datasets/` registers.

    A source whose files may be absent has a method `missing() -> str | None` too: the reason why it
    cannot be loaded here. Its tasks are then skipped. Its `shape` needs no file.

    One that divides what is held out, a third for the choice of a checkpoint and the rest for scores, says
    `divides = True`; others give each split as many as are held out. Predictions of time ask for it.
    """

    corrupted: bool

    def shape(self) -> tuple[int, ...]:
        """The shape of one signal."""
        ...

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """The splits for one seed, float32 on the CPU; None for as many as there are."""
        ...


class Classifier(Protocol):
    """A trained classifier of clean signals, for metrics alone. It has no gradients."""

    def features(self, x: Tensor) -> Tensor:
        """The features, `(n, F)`, float64, of signals `x`, `(n, *signal)`, from which it tells classes."""
        ...

    def classes(self, x: Tensor) -> Tensor:
        """The classes, `(n,)`, int64, `>= 0`, of signals `x`, `(n, *signal)`."""
        ...


@runtime_checkable
class Metric(Protocol):
    """A score of samples. What a file in `metrics/` registers.

    `values` says of each value that a call returns: its direction (`lower`, `higher` or
    `neither` is better) and its unit. `needs` says what it compares with: "clean" references, the "density"
    of clean data, held-out "measurements", the clean signals of the "training", or "labels" of the
    references, by the classifier that the harness then trains on them.
    """

    needs: ClassVar[str]
    sampling_unit: ClassVar[str]
    values: ClassVar[dict[str, tuple[str, str]]]

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        ...

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The scores of `samples`, `(n, *)`."""
        ...


@runtime_checkable
class Restorer(Protocol):
    """From measurements to signals, with the help of what has been learned so far. Frozen.

    It may say what it takes: `calls`, the network calls per signal, of which `jacobians` are products with a
    network's Jacobian, or, where it calls no network, `operations(corruption, shape, n) -> float`, those of
    large matrix products that take about as long as restoring `n` measurements, by which times are
    predicted, and `products(corruption, shape, n) -> float`, those of the matrix products that it does,
    which records hold. Without `calls` and `operations`, it counts as a sampler of as many `steps`. One with
    `operations` and no `products` is counted while it works, and is slower for it.
    """

    def restore(self, denoiser: Any, problem: Problem, stream: Stream) -> Tensor:
        """One signal for each of at most as many measurements as it takes; `denoiser` is the last phase's."""
        ...


@dataclass(frozen=True)
class Setting:
    """What a task gives to every method alike: the corruption, the architecture and the budgets."""

    corruption: Corruption
    network: Network
    teacher_kimg: float  # thousands of images that phase I trains on
    student_kimg: float  # thousands of images that phase II trains on
    batch: int = 256
    source: DataSource | None = None  # granted to oracles alone


@runtime_checkable
class Phase(Protocol):
    """One training of a method. Frozen: what changes is the `State` (see `training`).

    `kind` names the stage that runs it ("teacher", "student"); `phases` implements them.

    Times are predicted from one step with a small `batch`. One that restores measurements in `init` has a
    field `restorer`, and one that goes on from the weights of the phase before a field `warm`: for that step
    noise takes the place of what is restored, and weights are fresh. One whose steps do not cost a few
    network calls for each image has `operations(corruption, shape, n) -> float`, as a `Restorer` may: those
    of one step with `n` training measurements. It is not tried then.

    A phase may have a field `checkpoints`, the number of candidates of which one becomes its result; None, or
    no such field, for as many as the harness compares. With 1 the last state is the result.

    Where even a perfect training gives the preview's samples another law than that of signals, and the
    sampler tells no view of them, a phase has `ideal(state, m, rng) -> Tensor`: draws of that law,
    `(n, *signal)`, by held-out measurements `m`. Candidates are compared with these, not with measurements.
    """

    kind: ClassVar[str]

    @property
    def needs_clean(self) -> bool:
        """Whether it trains on clean data, which only an oracle does."""
        ...

    @property
    def network(self) -> Network:
        """The architecture that it trains."""
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
        """The network that the training is for: a module with a method `form`, which `empty` takes."""
        ...

    def empty(self, shape: tuple[int, ...], form: dict[str, float]) -> Any:
        """A network like the result for signals of `shape`, for weights that were stored."""
        ...

    def preview(self, sigma_y: float) -> Sampler:
        """The sampler by which checkpoints are compared."""
        ...

    def left(self, corruption: Corruption, shape: tuple[int, ...]) -> Corruption:
        """The corruption that brings previews to the law of measurements."""
        ...


@dataclass(frozen=True)
class Samples:
    """What a sampler gives.

    Args:
        x: Signals, `(n, *signal)`.
        nfe: Network calls per sample.
        view: The samples at the lowest noise level that was trained, before they are denoised: if the model
            is right they have the law of measurements at that level. None for samplers that end elsewhere.
    """

    x: Tensor
    nfe: int
    view: View | None = None


@runtime_checkable
class Sampler(Protocol):
    """Draws signals from what a method has learned.

    For predictions of time it may say how many network `calls` a sample takes. Without, they are those of
    Heun's method with its `steps`, those of a `sampler` that it uses, or one.
    """

    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        """`n` signals; `denoiser` is the last phase's network, None where there was no phase."""
        ...


@runtime_checkable
class Method(Protocol):
    """A tuple of phases that ends in a sampler. What a file in `methods/` registers.

    One that needs clean data may say `few_shot = True`: that it looks at a stated number of signals only. It
    then competes with its like, in a track of its own.
    """

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
