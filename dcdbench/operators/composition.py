"""Two operators, one after the other, such as a mask after a blur."""

from __future__ import annotations

__all__ = ["Composed", "Composition", "joined", "prefixed", "restored"]

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from dcdbench.batch import expand
from dcdbench.operators import register
from dcdbench.operators.gain import contracts, gain, scale
from dcdbench.operators.identifiability import mean_has_full_rank
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.inverse import pseudo_inverse
from dcdbench.protocols import Operator, OperatorLaw


@dataclass(frozen=True)
class Composed:
    """Draws of two operators, `A = A_2 A_1`.

    Args:
        first: The draws of `A_1`.
        then: The draws of `A_2`.
        signal: `(B, 0, *shape)`: no numbers, but the shape of signals; None where it is not known.
        scale: What `back` is divided by, `(B,)`, so that it amplifies no signal; None for 1.
    """

    first: Operator
    then: Operator
    signal: Tensor | None = None
    scale: Tensor | None = None

    @property
    def projects(self) -> bool:
        """Not in general: two projections one after the other are none."""
        return False

    @property
    def linear(self) -> bool:
        """Whether both are."""
        return self.first.linear and self.then.linear

    @property
    def exact_share(self) -> bool:
        """As for the second operator."""
        return bool(getattr(self.then, "exact_share", True))

    @property
    def contracts(self) -> bool:
        """Whether no signal gains in size in `back(A(.))`."""
        return self.scale is not None or (contracts(self.first) and contracts(self.then))

    def __call__(self, x: Tensor) -> Tensor:
        """`A_2(A_1(x))`."""
        return self.then(self.first(x))

    def adjoint(self, y: Tensor) -> Tensor:
        """`A_1^T A_2^T y`."""
        return self.first.adjoint(self.then.adjoint(y))

    def pinv(self, y: Tensor) -> Tensor:
        """`A^+ y`, which is not `A_1^+ A_2^+ y` in general."""
        return pseudo_inverse(self, y)

    def restrict(self, y: Tensor) -> Tensor:
        """That of the second operator."""
        return self.then.restrict(y)

    def back(self, y: Tensor) -> Tensor:
        """Back through both; neither amplifies a signal, or `scale` makes up for it."""
        x = self.first.back(self.then.back(y))
        return x if self.scale is None else x / expand(self.scale, x)

    def gain(self, signal: Tensor) -> Tensor:
        """A bound of the eigenvalues of `back(A(.))`, `(n,)`: the product of those of both parts."""
        n, _, *shape = signal.shape
        measured = self.first(signal.new_zeros(n, *shape))
        return gain(self.first, signal) * gain(self.then, measured.new_empty(n, 0, *measured.shape[1:]))

    def further(self, delta: float, rng: torch.Generator) -> Composed | None:
        """A further corruption by the second operator, if it has one."""
        then = self.then.further(delta, rng)
        return None if then is None else replace(self, then=then)

    def condition(self) -> Tensor | None:
        """What both operators show, side by side; that of the second resized to the signal's shape."""
        first, then = self.first.condition(), self.then.condition()
        return joined([c for c in (first, self._fitted(then)) if c is not None])

    def _fitted(self, shown: Tensor | None) -> Tensor | None:
        if shown is None or self.signal is None:
            return shown
        shape = self.signal.shape[2:]
        if len(shape) == 1:
            return shown.flatten(1)
        if shown.ndim != 1 + len(shape):
            return shown.flatten(1)[(..., *(None,) * (len(shape) - 1))]
        if all(s in (1, full) for s, full in zip(shown.shape[2:], shape[1:], strict=True)):
            return shown
        return torch.nn.functional.interpolate(shown, size=shape[1:])

    def tensors(self) -> dict[str, Tensor]:
        """Those of both, with the prefixes `first.` and `then.`, and the shape of signals."""
        parts = prefixed("first", self.first.tensors()) | prefixed("then", self.then.tensors())
        own = {"signal": self.signal, "scale": self.scale}
        return parts | {name: t for name, t in own.items() if t is not None}

    def __getitem__(self, index: Tensor | slice) -> Composed:
        own = (None if t is None else t[index] for t in (self.signal, self.scale))
        return Composed(self.first[index], self.then[index], *own)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Composed:
        """The same draws on another device, or in another floating type."""
        fields = (self.signal, self.scale)
        own = (None if t is None else t.to(device=device, dtype=dtype) for t in fields)
        return Composed(self.first.to(device, dtype), self.then.to(device, dtype), *own)


@register("composition")
@dataclass(frozen=True)
class Composition:
    """One operator after another, `A = A_2 A_1`, drawn independently.

    Args:
        first: The law of `A_1`, which acts on the signal.
        then: The law of `A_2`, which acts on what `A_1` measures.
    """

    first: OperatorLaw = field(default_factory=Identity)
    then: OperatorLaw = field(default_factory=Inpainting)

    @property
    def linear(self) -> bool:
        """Whether both are."""
        return self.first.linear and self.then.linear

    @property
    def masks(self) -> bool:
        """Whether the second is: its `further` drops some of what is measured."""
        return self.then.masks

    @property
    def random(self) -> bool:
        """Whether one of them is."""
        return self.first.random or self.then.random

    @property
    def differentiable(self) -> bool:
        """Whether both are."""
        return all(law.linear or law.differentiable for law in (self.first, self.then))

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Composed:
        """`n` independent draws of both."""
        first = self.first.draw(shape, n, rng)
        then = self.then.draw(self.first.measured_shape(shape), n, rng)
        signal = torch.empty(n, 0, *shape, device=rng.device)
        draws = Composed(first, then, signal)
        return replace(draws, scale=scale(draws, signal))

    def restore(self, tensors: dict[str, Tensor]) -> Composed:
        """The draws that were stored."""
        first, then = restored(self.first, "first", tensors), restored(self.then, "then", tensors)
        return Composed(first, then, tensors.get("signal"), tensors.get("scale"))

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of what the second operator measures of the first one's measurement."""
        return self.then.measured_shape(self.first.measured_shape(shape))

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """As the first operator, if the second hides nothing on average; else by draws."""
        then = self.then.identifiable(self.first.measured_shape(shape))
        if then or not self.linear:
            return then and self.first.identifiable(shape)
        return mean_has_full_rank(self, shape)


def prefixed(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a part, under names that tell which part it is."""
    return {f"{name}.{key}": t for key, t in tensors.items()}


def restored(law: OperatorLaw, name: str, tensors: dict[str, Tensor]) -> Operator:
    """The draws of a part, from tensors with its prefix.

    Raises:
        KeyError: A tensor is missing; it is named with its prefix.
    """
    own = {key.removeprefix(f"{name}."): t for key, t in tensors.items() if key.startswith(f"{name}.")}
    try:
        return law.restore(own)
    except KeyError as error:
        raise KeyError(f"{name}.{error.args[0]}") from error


def joined(shown: Sequence[Tensor]) -> Tensor | None:
    """Conditions side by side, `(B, c, ...)` each, stretched along axes of size 1; None for none."""
    if not shown:
        return None
    space = torch.broadcast_shapes(*(c.shape[2:] for c in shown))
    return torch.cat([c.expand(*c.shape[:2], *space) for c in shown], 1)
