"""The problem: learn the law of x from y = A(x) + sigma_y n. No field holds clean data."""

from __future__ import annotations

__all__ = ["Corruption", "Fake", "Measurement", "Problem", "Reference"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dcdbench.batch import randn_like

if TYPE_CHECKING:
    from dcdbench.protocols import Operator, OperatorLaw


@dataclass(frozen=True)
class Measurement:
    """Everything a method may see of some samples: `y = A(x) + sigma_y n`, and the draws of A."""

    y: Tensor  # (B, *measured)
    A: Operator
    sigma_y: float

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: Tensor | slice) -> Measurement:
        return Measurement(self.y[index], self.A[index], self.sigma_y)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Measurement:
        """The same measurements on another device, or in another floating type."""
        return Measurement(self.y.to(device=device, dtype=dtype), self.A.to(device, dtype), self.sigma_y)


@dataclass(frozen=True)
class Fake(Measurement):
    """A measurement of a generator's output `x`, which is known and carries the gradient.

    Its `sigma_y` is 0 where no measurement noise was added.
    """

    x: Tensor  # (B, *signal)


@dataclass(frozen=True)
class Corruption:
    """A law over operators, and the standard deviation `sigma_y >= 0` of white Gaussian noise."""

    operator: OperatorLaw
    sigma_y: float = 0.0

    def __post_init__(self) -> None:
        if not self.sigma_y >= 0:
            raise ValueError(f"sigma_y must be >= 0, got {self.sigma_y}")

    def __call__(self, x: Tensor, rng: torch.Generator) -> Measurement:
        """Measures signals `x`, `(B, *)`, each with a fresh draw of A and fresh noise."""
        fake = self.fake(x, rng)
        return Measurement(fake.y, fake.A, self.sigma_y)

    def fake(self, x: Tensor, rng: torch.Generator, *, noise: bool = True) -> Fake:
        """Measures a generator's output and keeps it, with or without measurement noise."""
        A = self.operator.draw(tuple(x.shape[1:]), len(x), rng).to(x.device, x.dtype)
        y = A(x)
        sigma_y = self.sigma_y if noise else 0.0
        if sigma_y > 0:
            y = y + sigma_y * A.restrict(randn_like(y, rng))
        return Fake(y, A, sigma_y, x)


@dataclass(frozen=True)
class Problem:
    """What a method is given: measurements for training and for choosing, never clean data."""

    train: Measurement
    val: Measurement
    corruption: Corruption
    shape: tuple[int, ...]  # of one signal

    def to(self, device: torch.device | str) -> Problem:
        """The same problem on another device."""
        return Problem(self.train.to(device), self.val.to(device), self.corruption, self.shape)


@dataclass(frozen=True)
class Reference:
    """What a metric may compare with. Only the harness holds one, and only to score."""

    clean: Tensor | None  # (n, *signal), held out
    test: Measurement  # held out
    corruption: Corruption
    law: Any = None  # the analytic law of clean data, where there is one (`analytic.Law`)
