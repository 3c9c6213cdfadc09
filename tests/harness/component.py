"""What every component is, whatever its family, and the corruptions that tests offer to methods."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian
from dcdbench.datasets.laws import draw_splits
from dcdbench.harness.identity import describe
from dcdbench.operators import registry as operators
from dcdbench.problem import Corruption
from dcdbench.protocols import Data
from dcdbench.streams import Stream

SHAPES = ((5,), (1, 6, 5), (2, 4, 4))
SIGMAS = (0.0, 0.3)


def is_component(component: Any, protocol: type) -> None:
    """A documented frozen dataclass that keeps its protocol, can be pickled and has a description."""
    assert isinstance(component, protocol)
    assert is_dataclass(component) and component.__doc__ and component.__hash__ is not None
    name = fields(component)[0].name if fields(component) else "anything"
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        setattr(component, name, 1)
    assert pickle.loads(pickle.dumps(component)) == component
    said = describe(component)
    assert json.loads(json.dumps(said)) == said and said["class"].endswith(type(component).__qualname__)
    assert set(said) == {"class", *(f.name for f in fields(component))}


def is_reason(text: str | None) -> bool:
    """None, or a text that fits into a cell of a table."""
    return text is None or (isinstance(text, str) and 5 < len(text) < 120 and not text.endswith("."))


@contextmanager
def global_generator_at_rest() -> Iterator[None]:
    """Checks that nothing inside touches the global generator."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


def corruptions(shape: tuple[int, ...]) -> Iterator[Corruption]:
    """Every registered operator that takes such signals, with and without noise."""
    for name in operators:
        law = operators[name]()
        try:
            law.measured_shape(shape)
            law.draw(shape, 1, torch.Generator())
        except ValueError:
            continue
        for sigma_y in SIGMAS:
            yield Corruption(law, sigma_y)


@dataclass(frozen=True)
class Lawful:
    """Normal signals of any shape as a data source whose law is known."""

    size: tuple[int, ...]
    std: float = 0.5

    corrupted: ClassVar[bool] = False

    def shape(self) -> tuple[int, ...]:
        return self.size

    def law(self) -> Gaussian:
        d = math.prod(self.size)
        return Gaussian(torch.zeros(d), self.std**2 * torch.eye(d))

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        drawn = draw_splits(self.law(), train, heldout, stream)
        return Data(*(getattr(drawn, f.name).reshape(-1, *self.size) for f in fields(Data)[:5]))


def signals(n: int, shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Correlated signals of about unit size."""
    z = torch.randn(n, math.prod(shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mix = torch.randn(math.prod(shape), math.prod(shape), generator=torch.Generator().manual_seed(9))
    return (0.5 + z @ mix.double() / math.sqrt(math.prod(shape))).reshape(n, *shape).to(dtype)


def nearest(x: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """The distance of each of `x`, `(n, d)`, to the nearest of `points`, `(m, d)`, and which one that is.

    From differences: `torch.cdist` takes matrix products for many points, and then loses every distance below
    about `sqrt(eps)` times the size of the points, by how much depends on the processor.
    """
    found = torch.cdist(x, points, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    return found.values, found.indices
