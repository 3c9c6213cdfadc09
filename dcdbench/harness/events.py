"""What a run tells whoever listens."""

from __future__ import annotations

__all__ = [
    "Blocked",
    "Busy",
    "Cached",
    "Damaged",
    "Event",
    "Failed",
    "Finished",
    "Planned",
    "Progress",
    "Started",
]

from dataclasses import dataclass

from dcdbench.harness.stage import Stage
from dcdbench.harness.store import Damage, Failure


@dataclass(frozen=True)
class Planned:
    """The run begins. `stages` are all of them, each key once, in the order of the plan."""

    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Cached:
    """The store has the stage, perhaps since a moment ago, by another run."""

    stage: Stage
    status: str  # done or diverged


@dataclass(frozen=True)
class Damaged:
    """Stored files of the stage were damaged. They lie aside, and the stage is made again."""

    stage: Stage
    damage: tuple[Damage, ...]


@dataclass(frozen=True)
class Started:
    """A process works on the stage."""

    stage: Stage


@dataclass(frozen=True)
class Progress:
    """A working stage has come some way."""

    stage: Stage
    fraction: float  # in [0, 1]
    text: str


@dataclass(frozen=True)
class Finished:
    """The stage is in the store."""

    stage: Stage
    status: str  # done or diverged
    seconds: float


@dataclass(frozen=True)
class Failed:
    """The stage has no result. `remembered`: it failed in an earlier run and was not tried again."""

    stage: Stage
    failure: Failure
    remembered: bool = False


@dataclass(frozen=True)
class Blocked:
    """The stage cannot be made: a stage that it builds on failed (`blocked`) or diverged (`skipped`)."""

    stage: Stage
    status: str
    reason: str


@dataclass(frozen=True)
class Busy:
    """Another run works on the stage. It is looked at again later. Told once per stage."""

    stage: Stage


Event = Planned | Cached | Damaged | Started | Progress | Finished | Failed | Blocked | Busy
