"""Why a stage is what it is: its inputs, and what differs from its nearest relative in the store."""

from __future__ import annotations

__all__ = ["Change", "Explanation", "explain"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dcdbench.harness.identity import canonical
from dcdbench.harness.store import Store, kind_of

_ABSENT = object()


@dataclass(frozen=True)
class Change:
    """One entry of an identity that differs. None stands for an entry that is not there."""

    entry: str  # "params.objective.delta", "code.dcdbench.problem", "parents.teacher", "seed"
    old: Any
    new: Any

    def __str__(self) -> str:
        family, _, name = self.entry.partition(".")
        if family in ("code", "files"):
            what = "content" if family == "files" else "code"
            return f"{what} of {name} {_verb(self.old, self.new)}"
        if family == "parents":
            return f"parent {name}: {self.old} -> {self.new} (follow it: why {self.new})"
        return f"{self.entry}: {_show(self.old)} -> {_show(self.new)}"


@dataclass(frozen=True)
class Explanation:
    """What a key stands for.

    Args:
        key: The key that was asked for.
        state: done, diverged, failed or missing.
        identity: Everything that the key covers.
        nearest: The most similar other stage of its kind in the store, None if there is none.
        changes: What differs, from `nearest` to this one.
    """

    key: str
    state: str
    identity: dict[str, Any]
    nearest: str | None
    changes: tuple[Change, ...]

    def lines(self) -> list[str]:
        """The explanation for humans."""
        inputs = [f"  {entry}: {_show(value)}" for entry, value in _entries(self.identity).items()]
        if self.nearest is None:
            return [f"{self.key}: {self.state}", *inputs, f"no other {kind_of(self.key)} is in the store"]
        changes = [f"  {change}" for change in self.changes]
        return [f"{self.key}: {self.state}", *inputs, f"compared with {self.nearest}:", *changes]


def explain(store: Store, key: str, planned: Mapping[str, dict[str, Any]] | None = None) -> Explanation:
    """Tells what a key covers, and what changed since the most similar stored stage.

    Args:
        store: Where to look.
        key: A key in the store, in a plan, or in the last plan of any suite.
        planned: The identities of the current plan, by key.

    Raises:
        KeyError: Nothing is known of the key.
    """
    planned = planned or {}
    identity = _identity(store, key, planned)
    nearest, old = _nearest(store, key, identity, planned)
    changes = () if old is None else tuple(_changes(_entries(old), _entries(identity)))
    return Explanation(key, _state(store, key), identity, nearest, changes)


def _identity(store: Store, key: str, planned: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    if key in planned:
        return planned[key]
    record = store.get(key)
    if record is not None:
        return record.identity
    for name in store.runs():
        stages: dict[str, dict[str, Any]] = (store.run(name) or {}).get("stages", {})
        if key in stages:
            return stages[key]
    raise KeyError(f"{key} is neither in the store {store.root}, nor in the plan of a suite run there")


def _state(store: Store, key: str) -> str:
    record = store.get(key)
    if record is not None:
        return record.status
    return "missing" if store.failure(key) is None else "failed"


def _nearest(
    store: Store, key: str, identity: dict[str, Any], planned: Mapping[str, dict[str, Any]]
) -> tuple[str | None, dict[str, Any] | None]:
    """The stored stage of the same kind with the fewest differing entries.

    Among equals, one of another plan comes first: it is likelier an older version of this
    stage than a sibling of it.
    """
    best: tuple[tuple[Any, ...], str, dict[str, Any]] | None = None
    new = _entries(identity)
    for other in store.keys(kind_of(key)):
        record = store.get(other) if other != key else None
        if record is None:
            continue
        rank = _distance(_entries(record.identity), new, other in planned)
        if best is None or (rank, other) < best[:2]:
            best = (rank, other, record.identity)
    return (None, None) if best is None else best[1:]


def _distance(old: dict[str, Any], new: dict[str, Any], in_plan: bool) -> tuple[Any, ...]:
    changed = [change.entry.partition(".")[0] for change in _changes(old, new)]
    # An edit often touches several modules; they count as one, or another seed would be nearer.
    count = len([family for family in changed if family != "code"]) + ("code" in changed)
    return count, in_plan, "seed" in changed, "params" in changed


def _changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for entry in sorted(old.keys() | new.keys()):
        before, after = old.get(entry, _ABSENT), new.get(entry, _ABSENT)
        if before is _ABSENT or after is _ABSENT or canonical(before) != canonical(after):
            yield Change(entry, _plain(before), _plain(after))


def _entries(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested mappings, by dotted path; lists are leaves unless they hold mappings."""
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        value = {str(number): item for number, item in enumerate(value)}
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for name, item in value.items():
        found |= _entries(item, f"{path}.{name}" if path else name)
    return found


def _plain(value: Any) -> Any:
    return None if value is _ABSENT else value


def _show(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def _verb(old: Any, new: Any) -> str:
    if old is None:
        return "is new"
    return "is no longer used" if new is None else "changed"
