"""Which combinations of components run: every objective with every distiller on every operator.

Components have their default arguments. A method that holds an objective is combined with all of them, and
with all distillers if it holds one, too; the others stand for themselves.
"""

from __future__ import annotations

__all__ = ["Combination", "Table", "combinations", "default", "document", "lines", "tables"]

import itertools
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dcdbench.harness.case import Shape
from dcdbench.harness.conformance import SHAPES
from dcdbench.harness.resolve import FAMILIES, Desk, component, family_of, fields_of, registry
from dcdbench.problem import Corruption
from dcdbench.protocols import Distiller, Method, Noise, Objective, OperatorLaw
from dcdbench.streams import Stream

# The first that fits is asked about: small images, then vectors, then what is degenerate.
ORDINARY: tuple[Shape, ...] = ((1, 4, 4), (2, 6, 4), (3, 5, 3), (7,), *SHAPES)
RUNS = "runs"


@dataclass(frozen=True)
class Combination:
    """A method made of registered parts.

    Args:
        method: The method's name.
        objective: The objective's name; empty where the method is taken as it is.
        distiller: The distiller's name; empty where the method holds none.
        made: The method; None where a part has no defaults.
        reason: Why it is skipped; empty where it runs.
    """

    method: str
    objective: str
    distiller: str
    made: Method | None
    reason: str


@dataclass(frozen=True)
class Table:
    """All combinations on one operator.

    Args:
        operator: The operator's name.
        shape: The shape of a signal; empty where nothing runs.
        corruption: The measurements; None where nothing runs.
        reason: Why nothing runs; empty where something may.
        combinations: What there is to run.
    """

    operator: str
    shape: Shape
    corruption: Corruption | None
    reason: str
    combinations: tuple[Combination, ...]


def tables(sigma_y: float, noise: Noise | None = None) -> Iterator[Table]:
    """A table for each registered operator, with that measurement noise."""
    for name in registry("operators"):
        law, reason = default("operators", name)
        shape: Shape = ()
        if law is not None:
            shape, reason = _fitting(law)
        corruption = None if reason else Corruption(law, sigma_y, noise)
        found = () if corruption is None else tuple(combinations(corruption, shape))
        yield Table(name, shape, corruption, reason, found)


def combinations(corruption: Corruption, shape: Shape) -> Iterator[Combination]:
    """Every method on such measurements, with every objective and distiller where it holds them."""
    for name in registry("methods"):
        cls = registry("methods")[name]
        held = _held(cls)
        objectives = registry("objectives") if Objective in held else [""]
        distillers = registry("distillers") if {Objective, Distiller} <= held.keys() else [""]
        for objective, distiller in itertools.product(objectives, distillers):
            yield _combined(name, held, objective, distiller, corruption, shape)


def default(family: str, name: str) -> tuple[Any, str]:
    """The component with its default arguments, or None and the reason why it has none."""
    desk = Desk()
    made = component(desk, (), name, family)
    return made, "; ".join(mistake.message for mistake in desk.mistakes)


def _held(cls: type) -> dict[Any, str]:
    """The first field of a method that holds an objective, and a distiller, by what it holds."""
    found: dict[str, str] = {}
    for name, (hint, _) in fields_of(cls).items():
        for part in (hint, *typing.get_args(hint)):
            if family := family_of(part):
                found.setdefault(family, name)
    return {FAMILIES[family]: name for family, name in found.items()}


def _combined(
    method: str,
    held: dict[Any, str],
    objective: str,
    distiller: str,
    corruption: Corruption,
    shape: Shape,
) -> Combination:
    chosen = ((Objective, "objectives", objective), (Distiller, "distillers", distiller))
    parts = {held[kind]: default(family, name) for kind, family, name in chosen if name}
    made: Any = None
    reason = "; ".join(reason for _, reason in parts.values() if reason)
    if not parts:
        made, reason = default("methods", method)
    elif not reason:
        made = registry("methods")[method](**{field: part for field, (part, _) in parts.items()})
    return Combination(method, objective, distiller, made, reason or made.supports(corruption, shape) or "")


def _fitting(law: OperatorLaw) -> tuple[Shape, str]:
    """The most ordinary shape that the law takes, or none and what it says of the first."""
    first = ""
    for shape in ORDINARY:
        try:
            law.measured_shape(shape)
            law.draw(shape, 1, Stream(0).rng())
        except ValueError as error:
            first = first or str(error)
        else:
            return shape, ""
    return (), first


# For readers


def lines(table: Table) -> Iterator[str]:
    """A table as text: objectives as rows, distillers as columns, reasons as numbered footnotes."""
    if table.reason:
        yield f"{table.operator}: {table.reason}"
        return
    yield f"{table.operator}, signals of shape {table.shape}"
    notes: dict[str, int] = {}
    rows = _rows(table, notes)
    columns = list(dict.fromkeys(name for _, cells in rows for name in cells if name))
    header = ("", {name: name for name in columns})
    first = max(len(label) for label, _ in rows) + 2
    for label, cells in [header, *rows] if columns else rows:
        entries = [cells[""]] if "" in cells else [f"{cells[c]:<{max(len(c), len(RUNS))}}" for c in columns]
        yield f"{label:<{first}}{'  '.join(entries)}".rstrip()
    for reason, number in notes.items():
        yield f"  ({number}) {reason}"


def _rows(table: Table, notes: dict[str, int]) -> list[tuple[str, dict[str, str]]]:
    """Each row's label and its cells by column; a row that is one cell has it without a name.

    Such are methods that are taken as they are, and those that are skipped for one reason throughout.
    """
    rows: dict[str, dict[str, str]] = {}
    reasons: dict[str, set[str]] = {}
    for c in table.combinations:
        reasons.setdefault(c.method, set()).add(c.reason)
    for c in table.combinations:
        text = f"({notes.setdefault(c.reason, len(notes) + 1)})" if c.reason else RUNS
        if c.objective and reasons[c.method] == {c.reason} != {""}:
            rows[f"  {c.method}, every objective"] = {"": text}
        else:
            label = f"  {c.method}" + (f", {c.objective}" if c.objective else "")
            rows.setdefault(label, {})[c.distiller] = text
    return list(rows.items())


def document(table: Table) -> dict[str, Any]:
    """A table as JSON."""
    cells = [
        {name: value for name, value in vars(c).items() if name != "made"} | {RUNS: not c.reason}
        for c in table.combinations
    ]
    return {
        "operator": table.operator,
        "shape": list(table.shape),
        "reason": table.reason,
        "combinations": cells,
    }
