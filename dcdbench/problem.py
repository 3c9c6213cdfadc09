"""The problem: learn the law of x from y = A(x) + sigma_y n. No field holds clean data."""

from __future__ import annotations

__all__ = ["Corruption", "Fake", "Measurement", "Problem", "Reference"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dcdbench.batch import randn_like

if TYPE_CHECKING:
    from dcdbench.protocols import Classifier, Noise, Operator, OperatorLaw


@dataclass(frozen=True)
class Measurement:
    """Everything a method may see of some samples: `y = A(x) + sigma_y n`, and the draws of A."""

    y: Tensor  # (B, *measured)
    A: Operator
    sigma_y: float
    shape: tuple[int, ...]  # of one signal

    @property
    def apart(self) -> bool:
        """Whether measurements have another shape than signals."""
        return tuple(self.y.shape[1:]) != self.shape

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: Tensor | slice) -> Measurement:
        return Measurement(self.y[index], self.A[index], self.sigma_y, self.shape)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Measurement:
        """The same measurements on another device, or in another floating type."""
        y = self.y.to(device=device, dtype=dtype)
        return Measurement(y, self.A.to(device, dtype), self.sigma_y, self.shape)


@dataclass(frozen=True)
class Fake(Measurement):
    """A measurement of a generator's output `x`, which is known and carries the gradient.

    Its `sigma_y` is 0 where no white noise was added.
    """

    x: Tensor  # (B, *signal)
    u: Tensor  # (B, *measured): `y` without its white noise


@dataclass(frozen=True)
class Corruption:
    """How signals become measurements.

    Args:
        operator: The law over operators.
        sigma_y: The standard deviation, `>= 0`, of white Gaussian noise.
        noise: Noise of another law, between the operator and the white noise; None for none.
    """

    operator: OperatorLaw
    sigma_y: float = 0.0
    noise: Noise | None = None

    def __post_init__(self) -> None:
        if not self.sigma_y >= 0:
            raise ValueError(f"sigma_y must be >= 0, got {self.sigma_y}")

    def __call__(self, x: Tensor, rng: torch.Generator) -> Measurement:
        """Measures signals `x`, `(B, *)`, each with a fresh draw of A and fresh noise."""
        fake = self.fake(x, rng)
        return Measurement(fake.y, fake.A, self.sigma_y, fake.shape)

    def fake(self, x: Tensor, rng: torch.Generator, *, noise: bool = True) -> Fake:
        """Measures a generator's output and keeps it, with or without white noise."""
        shape = tuple(x.shape[1:])
        A = self.operator.draw(shape, len(x), rng).to(x.device, x.dtype)
        u = A(x)
        if self.noise is not None:
            u = A.restrict(self.noise(u, rng))
        sigma_y = self.sigma_y if noise else 0.0
        y = u + sigma_y * A.restrict(randn_like(u, rng)) if sigma_y > 0 else u
        return Fake(y, A, sigma_y, shape, x, u)


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
    train: Tensor | None = None  # clean signals behind the training measurements, where they are known
    labels: Tensor | None = None  # (n,), the classes of `clean`, where they are known
    classifier: Classifier | None = None  # trained on `clean` and `labels`, where a metric needs it
