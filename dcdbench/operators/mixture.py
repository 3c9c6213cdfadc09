"""A mixture of laws: each sample draws which operator measures it."""

from __future__ import annotations

__all__ = ["Mixed", "Mixture"]

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dcdbench.batch import expand
from dcdbench.operators import register
from dcdbench.operators.composition import joined, prefixed, restored
from dcdbench.operators.gain import contracts, gain, scale
from dcdbench.operators.identifiability import mean_has_full_rank
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.protocols import Operator, OperatorLaw


@dataclass(frozen=True)
class Mixed:
    """Draws of several operators for every sample, and which of them measures it.

    Args:
        parts: The draws of each part, for all samples.
        which: The part that measures each sample, whole numbers `(B,)`.
        scale: What `back` is divided by, `(B,)`, so that it amplifies no signal; None for 1.
    """

    parts: tuple[Operator, ...]
    which: Tensor
    scale: Tensor | None = None

    @property
    def linear(self) -> bool:
        """Whether all parts are."""
        return all(part.linear for part in self.parts)

    @property
    def projects(self) -> bool:
        """Whether all parts do."""
        return all(part.projects for part in self.parts)

    @property
    def exact_share(self) -> bool:
        """Whether it is exact for all parts, none of which is without a further corruption."""
        rng = torch.Generator(self.which.device)
        return all(getattr(p, "exact_share", True) and p.further(0.5, rng) is not None for p in self.parts)

    @property
    def contracts(self) -> bool:
        """Whether no signal gains in size in `back(A(.))`."""
        return self.scale is not None or all(contracts(part) for part in self.parts)

    def __call__(self, x: Tensor) -> Tensor:
        """Each sample's `A x`."""
        return self._apply(lambda part, own: part(own), x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Each sample's `A^T y`."""
        return self._apply(lambda part, own: part.adjoint(own), y)

    def pinv(self, y: Tensor) -> Tensor:
        """Each sample's `A^+ y`."""
        return self._apply(lambda part, own: part.pinv(own), y)

    def restrict(self, y: Tensor) -> Tensor:
        """Zeroes the entries of `y` that the sample's part does not measure."""
        return self._apply(lambda part, own: part.restrict(own), y)

    def back(self, y: Tensor) -> Tensor:
        """Each sample's `y` as a signal."""
        x = self._apply(lambda part, own: part.back(own), y)
        return x if self.scale is None else x / expand(self.scale, x)

    def gain(self, signal: Tensor) -> Tensor:
        """A bound of the eigenvalues of `back(A(.))`, `(n,)`: that of each sample's own part."""
        each = torch.stack([gain(part, signal) for part in self.parts], 1)
        return each.gather(1, self.which[:, None])[:, 0]

    def _apply(self, call: Callable[[Operator, Tensor], Tensor], t: Tensor) -> Tensor:
        """Each part on its own samples, put back in order."""
        order = torch.argsort(self.which, stable=True)
        groups = order.split(torch.bincount(self.which, minlength=len(self.parts)).tolist())
        done = [
            call(part[group], t[group])
            for part, group in zip(self.parts, groups, strict=True)
            if len(group) or not len(t)
        ]
        return torch.cat(done)[torch.argsort(order)]

    def further(self, delta: float, rng: torch.Generator) -> Mixed | None:
        """A further corruption by every part that has one; the others stay as they are."""
        dropped = [part.further(delta, rng) for part in self.parts]
        if all(part is None for part in dropped):
            return None
        both = zip(self.parts, dropped, strict=True)
        return replace(self, parts=tuple(old if new is None else new for old, new in both))

    def condition(self) -> Tensor | None:
        """What the sample's own part shows.

        Parts that show different things are shown side by side, zero for parts that do not measure the
        sample, with one channel for each part that tells which one does.
        """
        shown = [part.condition() for part in self.parts]
        there = [c for c in shown if c is not None]
        if not there:
            return None
        own = [(self.which == k)[(..., *(None,) * (there[0].ndim - 1))] for k in range(len(shown))]
        gated = [c * mine for c, mine in zip(shown, own, strict=True) if c is not None]
        if len(there) == len(shown) and len({c.shape for c in there}) == 1:
            return torch.stack(gated).sum(0)
        return joined([*gated, *(mine.to(there[0]) for mine in own)])

    def tensors(self) -> dict[str, Tensor]:
        """`which`, and the tensors of the parts with the prefixes `0.`, `1.`, ..."""
        found = {"which": self.which} | ({} if self.scale is None else {"scale": self.scale})
        for k, part in enumerate(self.parts):
            found |= prefixed(str(k), part.tensors())
        return found

    def __getitem__(self, index: Tensor | slice) -> Mixed:
        own = None if self.scale is None else self.scale[index]
        return Mixed(tuple(part[index] for part in self.parts), self.which[index], own)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Mixed:
        """The same draws on another device, or in another floating type."""
        own = None if self.scale is None else self.scale.to(device=device, dtype=dtype)
        parts = tuple(part.to(device, dtype) for part in self.parts)
        return Mixed(parts, self.which.to(device=device), own)


@register("mixture")
@dataclass(frozen=True)
class Mixture:
    """Each sample is measured by one of several operators, and it is known by which.

    Args:
        of: The laws of the parts. All must measure signals in the same shape.
        weights: The probability of each part, up to a common factor; all alike by default.
    """

    of: tuple[OperatorLaw, ...] = (Identity(), Inpainting())
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.of:
            raise ValueError("of must name at least one operator, got none")
        if self.weights is None:
            return
        if len(self.weights) != len(self.of):
            raise ValueError(f"weights must be as many as operators, {len(self.of)}, got {len(self.weights)}")
        if not all(0 < w < float("inf") for w in self.weights):
            raise ValueError(f"weights must be > 0 and finite, got {list(self.weights)}")

    @property
    def linear(self) -> bool:
        """Whether all parts are."""
        return all(law.linear for law in self.of)

    @property
    def masks(self) -> bool:
        """Whether any part is: what it does not see must not be learned as data."""
        return any(law.masks for law in self.of)

    @property
    def random(self) -> bool:
        """Whether there are several parts, or the only one is random."""
        return len(self.of) > 1 or self.of[0].random

    @property
    def differentiable(self) -> bool:
        """Whether all parts are."""
        return all(law.linear or law.differentiable for law in self.of)

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Mixed:
        """`n` independent draws of the part, and of every part."""
        self.measured_shape(shape)
        weights = torch.tensor(self.weights or (1.0,) * len(self.of), device=rng.device)
        which = torch.multinomial(weights.expand(n, -1), 1, generator=rng).flatten()
        draws = Mixed(tuple(law.draw(shape, n, rng) for law in self.of), which)
        shown = self.masks or draws.condition() is not None or self.measured_shape(shape) != tuple(shape)
        if not shown:  # networks see measurements as they are
            return draws
        return replace(draws, scale=scale(draws, torch.empty(n, 0, *shape, device=rng.device)))

    def restore(self, tensors: dict[str, Tensor]) -> Mixed:
        """The draws that were stored."""
        parts = tuple(restored(law, str(k), tensors) for k, law in enumerate(self.of))
        return Mixed(parts, tensors["which"], tensors.get("scale"))

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of all parts.

        Raises:
            ValueError: Parts measure in different shapes.
        """
        shapes = [tuple(law.measured_shape(shape)) for law in self.of]
        if len(set(shapes)) > 1:
            each = ", ".join(f"{type(law).__name__} {s}" for law, s in zip(self.of, shapes, strict=True))
            raise ValueError(f"the operators of a mixture measure in one shape, those of {shape} are: {each}")
        return shapes[0]

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """If one part is, or all parts together by draws."""
        if any(law.identifiable(shape) for law in self.of):
            return True
        return self.linear and mean_has_full_rank(self, shape)
