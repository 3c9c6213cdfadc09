"""The small world in which a law over operators is checked, and how numbers are compared there."""

from __future__ import annotations

__all__ = ["Broken", "Case", "Shape", "close", "fits", "global_state", "require"]

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from dcdbench.operators.identifiability import fits
from dcdbench.protocols import Operator, OperatorLaw
from dcdbench.streams import Stream

Shape: TypeAlias = tuple[int, ...]

# Algebra holds to rounding. The longest sums here have some hundred terms, and each of them
# may lose an epsilon of the greatest term.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}


class Broken(AssertionError):
    """A law of the contract that does not hold."""


@dataclass(frozen=True)
class Case:
    """A law over operators, and the small world in which it is checked.

    Args:
        law: The component.
        shape: The shape of one signal.
        n: The number of samples, >= 3.
        seed: The root of all random numbers.
        dtype: The floating type of signals.
    """

    law: OperatorLaw
    shape: Shape
    n: int = 5
    seed: int = 0
    dtype: torch.dtype = torch.float64

    @property
    def stream(self) -> Stream:
        """The address of everything random here."""
        return Stream(self.seed) / "conformance"

    def draw(self, name: str = "A") -> Operator:
        """The draws of A, the same at each call."""
        rng = (self.stream / name).rng()
        return self.law.draw(self.shape, self.n, rng).to("cpu", self.dtype)

    def signal(self, name: str = "x") -> Tensor:
        """Standard normal signals, `(n, *shape)`."""
        return self._normal(self.shape, name)

    def measured(self, name: str = "y") -> Tensor:
        """Standard normal tensors in the space of measurements."""
        return self._normal(tuple(self.law.measured_shape(self.shape)), name)

    def _normal(self, shape: Shape, name: str) -> Tensor:
        return torch.randn(self.n, *shape, generator=(self.stream / name).rng(), dtype=self.dtype)


def close(name: str, got: Tensor, expected: Tensor) -> float:
    """The greatest difference relative to the scale of `expected`; `Broken` if it is not rounding."""
    if got.shape != expected.shape:
        raise Broken(f"{name}: the shapes are {tuple(got.shape)} and {tuple(expected.shape)}")
    got, expected = got.detach(), expected.detach()
    scale = max(float(expected.abs().max()), 1.0) if expected.numel() else 1.0
    gap = float((got - expected).abs().max()) / scale if got.numel() else 0.0
    if not gap <= (limit := TOLERANCE[got.dtype]):
        raise Broken(f"{name}: the greatest relative difference is {gap:.1e}, more than {limit:.0e}")
    return gap


def require(condition: bool, message: str) -> None:
    """`Broken` unless the condition holds."""
    if not condition:
        raise Broken(message)


@contextmanager
def global_state() -> Iterator[None]:
    """Puts the global generators back, whatever a component did to them."""
    kept, kept_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        yield
    random.setstate(kept)
    np.random.set_state(kept_numpy)
