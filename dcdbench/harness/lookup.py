"""What a user means by a KEY: a stage's key, the beginning of one, or a cell's label."""

from __future__ import annotations

__all__ = ["Found", "Place", "UnknownKey", "find", "labels", "places"]

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dcdbench.harness.store import Store

SHOWN = 8  # candidates that an error lists


class UnknownKey(LookupError):
    """A KEY that names nothing, or several things. Its text suggests what was meant."""

    exit_code = 2


@dataclass(frozen=True)
class Place:
    """A cell of the last plan of a suite, as its manifest has it.

    Args:
        suite: The suite's name.
        task: The task's name.
        method: The method's name.
        seed: The seed.
        reason: Why the method cannot work on the task; such a cell has no stages.
        marks: What a reader must know of the method.
        stages: Keys by role.
        trained: The keys of its trainings, in order.
        share: By how much its budget is scaled: `factor`, and the `reason` why not.
    """

    suite: str
    task: str
    method: str
    seed: int
    reason: str = ""
    marks: tuple[str, ...] = ()
    stages: Mapping[str, str] = field(default_factory=dict)
    trained: tuple[str, ...] = ()
    share: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """`task/method/seed`."""
        return f"{self.task}/{self.method}/{self.seed}"

    @property
    def chain(self) -> dict[str, str]:
        """The stages that lead to its scores, by what they are called, in order."""
        if not self.stages:
            return {}
        trained = {key.rpartition("-")[0]: key for key in self.trained}
        first = ("data", "measurement", *(role for role in ("classifier",) if role in self.stages))
        last = ("samples", "scores")
        return {r: self.stages[r] for r in first} | trained | {r: self.stages[r] for r in last}


@dataclass(frozen=True)
class Found:
    """A stage, or a cell: one of the two is None."""

    key: str | None = None
    place: Place | None = None


def places(store: Store) -> list[Place]:
    """The cells of all suites whose last plan is known."""
    return [
        Place(name, **{**cell, "marks": tuple(cell["marks"]), "trained": tuple(cell["trained"])})
        for name in store.runs()
        for cell in (store.run(name) or {}).get("cells", ())
    ]


def labels(store: Store) -> dict[str, str]:
    """What is known of planned stages, by key: their labels."""
    return {k: v for name in store.runs() for k, v in (store.run(name) or {}).get("labels", {}).items()}


def find(store: Store, text: str) -> Found:
    """The stage or cell that `text` names.

    A stage is named by its key or the unique beginning of one, with or without its kind; a cell
    by `task/method/seed`, where a suite with one seed needs none, and `suite:` may come first. A
    cell's stage is `task/method/seed/student`.

    Raises:
        UnknownKey: There is none, or more than one.
    """
    text = text.strip().replace("/seed ", "/")
    planned = labels(store)
    keys = dict.fromkeys([*store.keys(), *planned])
    if text in keys:
        return Found(key=text)
    cells = places(store)
    if found := _stage_of_a_cell(cells, text) or _cell(cells, text):
        return found
    near = (
        [key for key in keys if key.startswith(text) or key.rpartition("-")[2].startswith(text)]
        if text
        else []
    )
    if len(near) == 1:
        return Found(key=near[0])
    if near:
        raise UnknownKey(_several(text, (_line(key, planned) for key in near)))
    raise UnknownKey(_none(store, text, [*keys, *(place.label for place in cells)]))


def _cell(cells: Iterable[Place], text: str) -> Found | None:
    names = [(place, {place.label, f"{place.suite}:{place.label}"}) for place in cells]
    found = [place for place, own in names if text in own]
    found = found or [place for place, own in names if any(name.rpartition("/")[0] == text for name in own)]
    if not found:
        return None
    if len({(place.label, place.trained, tuple(place.stages.items())) for place in found}) > 1:
        several = len({place.suite for place in found}) > 1
        raise UnknownKey(_several(text, (f"{p.suite}:{p.label}" if several else p.label for p in found)))
    return Found(place=found[0])


def _stage_of_a_cell(cells: Iterable[Place], text: str) -> Found | None:
    start, _, role = text.rpartition("/")
    exact = [place for place in cells if start in (place.label, f"{place.suite}:{place.label}")]
    if not exact:
        return None
    found = _cell(exact, start)
    assert found is not None and found.place is not None
    roles = {**found.place.stages, **found.place.chain}
    if role not in roles:
        known = ", ".join(roles) or f"none: {found.place.reason}"
        raise UnknownKey(f"{start} has no stage {role!r}; there are: {known}")
    return Found(key=roles[role])


def _line(key: str, planned: Mapping[str, Any]) -> str:
    return f"{key}  {planned.get(key, '')}".rstrip()


def _several(text: str, found: Iterable[str]) -> str:
    names = list(dict.fromkeys(found))
    more = [f"... and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return "\n  ".join([f"{text!r} may mean any of {len(names)}; say which:", *names[:SHOWN], *more])


def _none(store: Store, text: str, known: list[str]) -> str:
    if not known:
        return f"nothing is stored in {store.root}: run a suite first, or name its folder with --store"
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`dcdbench status` lists the cells"
    return f"no stage or cell {text!r} in {store.root}; {hint}"
