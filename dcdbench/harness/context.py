"""What the code of a stage is given, and what it gives back."""

from __future__ import annotations

__all__ = ["Context", "Interrupted", "Outcome", "Parent"]

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from dcdbench.streams import Stream


class Interrupted(Exception):
    """The run is to stop. A stage saves its unfinished work in its scratch folder and re-raises."""


@dataclass(frozen=True)
class Parent:
    """A finished stage that another one builds on."""

    record: dict[str, Any]  # the content of its record.json
    read: Callable[[str], dict[str, Tensor]]

    @property
    def result(self) -> dict[str, Any]:
        """What the parent returned as its result."""
        result: dict[str, Any] = self.record["result"]
        return result

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of the parent's file `name` (without its ending), on the CPU."""
        return self.read(name)


@dataclass
class Context:
    """Where a stage runs.

    Args:
        stream: The stage's randomness, `Stream(seed) / kind`.
        device: The device to compute on.
        scratch: A folder of this key alone, for checkpoints of unfinished work. It survives
            a killed run and is removed when the record is written.
        parents: The parent stages, by role.
        tick: Reports progress, a fraction in [0, 1] and a short text. Cheap, so that long
            loops call it at every step. Raises `Interrupted` when the run is to stop.
    """

    stream: Stream
    device: str
    scratch: Path
    parents: dict[str, Parent]
    tick: Callable[[float, str], None]


@dataclass
class Outcome:
    """What a stage made.

    Args:
        result: JSON, the same bits in every run on the same machine and thread count.
        tensors: File name (without its ending) to named tensors, equally reproducible.
        status: `"done"`, or `"diverged"`, which is a result too.
        cost: What differs from run to run: seconds and the like. Kept in the receipt.
    """

    result: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    status: str = "done"
    cost: dict[str, float] = field(default_factory=dict)
