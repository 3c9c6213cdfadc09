"""How far the cells in a store have come: read from its files alone, also while a run is under way."""

from __future__ import annotations

__all__ = ["CellState", "Failed", "SuiteState", "Unfinished", "census", "disk_use", "state_of"]

import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dcdbench.harness.lookup import Place, labels, places
from dcdbench.harness.store import Store

STATES = ("done", "running", "missing", "blocked", "diverged", "failed", "crashed", "timeout", "skipped")
_FAILED = {"exception": "failed", "crash": "crashed", "timeout": "timeout"}


@dataclass(frozen=True)
class CellState:
    """How far one cell has come, and the stage that decides it."""

    place: Place
    status: str  # one of STATES
    key: str = ""  # the first stage that is not done
    reason: str = ""


@dataclass(frozen=True)
class Unfinished:
    """A training that was cut off, or is under way: the next run goes on from here."""

    key: str
    label: str
    running: bool
    step: int | None = None
    steps: int | None = None

    @property
    def share(self) -> float | None:
        """How much of it is saved, in [0, 1]; None where that is unknown."""
        return self.step / self.steps if self.step is not None and self.steps else None


@dataclass(frozen=True)
class Failed:
    """A remembered failure, and where its traceback and log are."""

    key: str
    label: str
    kind: str
    text: str
    log: str  # the path of a file


@dataclass(frozen=True)
class SuiteState:
    """The cells of a suite's last plan."""

    name: str
    path: str
    cells: tuple[CellState, ...]
    unfinished: tuple[Unfinished, ...] = ()
    failures: tuple[Failed, ...] = ()
    counts: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", Counter(cell.status for cell in self.cells))


def census(store: Store) -> list[SuiteState]:
    """The suites of a store. Nothing is changed, and no run is disturbed."""
    looks = _Looks(store)
    return [_suite(store, name, looks) for name in store.runs()]


def state_of(store: Store, place: Place) -> CellState:
    """How far one cell has come."""
    return _state(place, _Looks(store))


def disk_use(root: Path) -> int:
    """The bytes of all files below a folder."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:  # a run removes its scratch files
                continue
    return total


class _Looks:
    """Looks at each stage once, however many cells share it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._found: dict[str, tuple[str, str]] = {}

    def __call__(self, key: str) -> tuple[str, str]:
        """The state of a stage, and why."""
        if key not in self._found:
            self._found[key] = self._look(key)
        return self._found[key]

    def _look(self, key: str) -> tuple[str, str]:
        record = self.store.get(key)
        if record is not None and record.status == "diverged":
            return "diverged", f"{record.result.get('reason', '')} (step {record.result.get('address', '?')})"
        if record is not None:
            return "done", ""
        if self.held(key):
            return "running", ""
        failure = self.store.failure(key)
        if failure is not None:
            return _FAILED.get(failure.kind, "failed"), failure.text
        return "missing", ""

    def held(self, key: str) -> bool:
        """Whether a process works on the stage now."""
        if not (self.store.root / "locks" / f"{key}.lock").exists() or not self.store.scratch(key).exists():
            return False
        lock = self.store.lock(key)
        if lock is None:
            return True
        lock.release()
        return False


def _suite(store: Store, name: str, looks: _Looks) -> SuiteState:
    manifest = store.run(name) or {}
    cells = tuple(_state(place, looks) for place in places(store) if place.suite == name)
    named, planned = labels(store), manifest.get("stages", {})
    unfinished = [_unfinished(store, key, named.get(key, ""), planned[key], looks) for key in planned]
    failures = [
        _failure(store, key, named.get(key, "")) for key in planned if looks(key)[0] in _FAILED.values()
    ]
    path = str(manifest.get("path", ""))
    return SuiteState(name, path, cells, tuple(u for u in unfinished if u), tuple(f for f in failures if f))


def _state(place: Place, looks: _Looks) -> CellState:
    if place.reason:
        return CellState(place, "skipped", "", place.reason)
    for key in place.chain.values():
        status, reason = looks(key)
        if status != "done":
            return CellState(place, status, key, reason)
    return CellState(place, "done")


def _unfinished(
    store: Store, key: str, label: str, identity: Mapping[str, Any], looks: _Looks
) -> Unfinished | None:
    running = looks(key)[0] == "running"
    saved = store.scratch(key) / "state.safetensors"
    if not saved.exists() or looks(key)[0] in ("done", "diverged"):
        return Unfinished(key, label, True) if running else None
    phase = identity.get("params", {}).get("phase") or {}
    steps = math.ceil(1000 * phase["kimg"] / phase["batch"]) if {"kimg", "batch"} <= phase.keys() else None
    return Unfinished(key, label, running, _step(saved), steps)


def _step(path: Path) -> int | None:
    """The last step in the notes of a saved training, from the header of its file alone."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        history = json.loads(header["__metadata__"]["notes"])["history"]
    except (OSError, ValueError, KeyError):  # it is being replaced, or of another kind
        return None
    return int(history[-1]["step"]) if history else 0


def _failure(store: Store, key: str, label: str) -> Failed | None:
    failure = store.failure(key)
    if failure is None:
        return None
    log = store.root / "failures" / f"{key}.json"
    return Failed(key, label, failure.kind, failure.text, str(log))
