"""Learning curves as tables, and as a document for programs."""

from __future__ import annotations

__all__ = ["document", "tables", "unfinished"]

import math
from collections.abc import Iterator, Sequence
from typing import Any

from dcdbench.harness.board import Board
from dcdbench.harness.leaderboard import ARROWS, heading, made_by
from dcdbench.harness.learning import PHASES, Line, Panel, Point
from dcdbench.harness.standing import Standing, span
from dcdbench.harness.table import Entry, Table, Tables, estimate, number


def tables(found: Sequence[Panel], board: Board, aside: Sequence[str] = ()) -> Tables:
    """A table for each panel, with a row for each number of steps.

    Args:
        found: The panels.
        board: What they were made from.
        aside: The tasks that have no curve.
    """
    notes = [f"Without a result: {line}." for line in unfinished(found, board)]
    if aside:
        notes.append(f"Without a curve, because the budget does not vary: {', '.join(aside)}.")
    notes.append(f"{_reading(board)} Each was trained from the start, for so many steps.")
    return Tables(f"{heading(board)}: learning curves", tuple(map(_table, found)), (*notes, *made_by(board)))


def _reading(board: Board) -> str:
    if board.counts == (1,):
        return "One seed, which gives no interval."
    return f"Mean ± half of the 95 % interval over {span(board.counts, 'seed')}."


def _table(panel: Panel) -> Table:
    columns = ("steps", *(line.label for line in panel.lines))
    counts = sorted({p.steps for line in panel.lines for p in line.points})
    rows = [(Entry(f"{n}", float(n)), *(_entry(line, n) for line in panel.lines)) for n in counts]
    if math.isfinite(panel.floor):
        floor = Entry(number(panel.floor), panel.floor)
        rows.append((Entry("floor"), *(floor for _ in panel.lines)))
    unit = f", {panel.info.unit}" if panel.info.unit else ""
    caption = f"By {PHASES[panel.phase]}{unit}."
    title = f"{panel.task}: {panel.info.name}{ARROWS[panel.info.direction]}"
    return Table(title, caption, columns, tuple(rows))


def _entry(line: Line, count: int) -> Entry:
    """The number of a line after so many steps, or what became of it."""
    found = [estimate(p.quality) if p.drawn else Entry(p.state) for p in line.points if p.steps == count]
    # Budgets that are scaled for equal operations may have equal steps.
    return found[0] if len(found) == 1 else Entry(" / ".join(e.text for e in found))


def unfinished(found: Sequence[Panel], board: Board) -> list[str]:
    """A phrase for each line and reason for which some of its cells have no result: after how many steps."""
    steps: dict[tuple[str, str], list[int]] = {}
    for panel in found:
        for line in panel.lines:
            for point in line.points:
                reasons = list(_reasons(board, point.task, line.method))
                for reason in reasons or [point.state] * (not point.drawn):
                    known = steps.setdefault((f"{panel.task}: {line.label}", reason), [])
                    known += [point.steps] * (point.steps not in known)
    return [f"{line}, steps {', '.join(map(str, n))}: {reason}" for (line, reason), n in steps.items()]


def _reasons(board: Board, task: str, method: str) -> Iterator[str]:
    """Why a method has no result on a task, with the seeds if that is so for some of them only."""
    cells = Standing(board, task).cells(method)
    seeds: dict[str, list[int]] = {}
    for c in cells:
        if c.status != "done":
            seeds.setdefault(f"{c.status}: {c.reason}" if c.reason else c.status, []).append(c.seed)
    for reason, some in seeds.items():
        yield reason if len(some) == len(cells) else f"seeds {', '.join(map(str, some))} {reason}"
    for skip in board.skips:
        if (skip.task, skip.method) == (task, method):
            yield f"skipped: {skip.reason}"


def document(found: Sequence[Panel], board: Board, aside: Sequence[str] = ()) -> dict[str, Any]:
    """The curves as JSON; a number that is not finite is null."""
    return {
        "suite": board.suite,
        "panels": [_panel(panel) for panel in found],
        "without_result": unfinished(found, board),
        "without_curve": list(aside),
    }


def _panel(panel: Panel) -> dict[str, Any]:
    info = panel.info
    return {
        "task": panel.task,
        "value": info.name,
        "direction": info.direction,
        "unit": info.unit,
        "phase": panel.phase,
        "floor": _finite(panel.floor),
        "lines": [
            {
                "method": line.method,
                "batch": line.batch,
                "marks": list(line.marks),
                "points": [_point(p) for p in line.points],
            }
            for line in panel.lines
        ],
    }


def _point(p: Point) -> dict[str, Any]:
    q = p.quality
    numbers = {"mean": _finite(q.mean), "low": _finite(q.low), "high": _finite(q.high), "n": q.n}
    return {"steps": p.steps, "task": p.task, **numbers, "state": p.state}


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None
