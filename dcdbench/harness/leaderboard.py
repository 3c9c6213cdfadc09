"""The leaderboard: a pure function from a board to tables."""

from __future__ import annotations

__all__ = ["ARROWS", "heading", "leaderboard", "made_by"]

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dcdbench.harness.board import CLEAN, CONTROL, Board, ValueInfo
from dcdbench.harness.contests import claims, pairs, ranks, regret, speed_ups
from dcdbench.harness.standing import Standing, plural, span
from dcdbench.harness.statistics import gap_closed, mean_interval, sign_flip_floor
from dcdbench.harness.table import NA, Entry, Table, Tables, amount, estimate

ARROWS = {"lower": " ↓", "higher": " ↑", "neither": ""}
COSTS = {
    "nfe": "NFE",
    "ms_per_sample": "ms/sample",
    "train_seconds": "train s",
    "train_seconds_total": "all train s",
    "train_gflops": "GFLOPs",
    "images": "images",
    "peak_mb": "peak MB",
}
Column = tuple[str, dict[str, Entry]]


def leaderboard(board: Board) -> Tables:
    """All tables of a board, which may be partial."""
    tables: list[Table] = []
    tracks = [tuple(Standing(part, task) for task in part.tasks) for part in board.tracks()]
    for s in (s for track in tracks for s in track):
        tables += [t for t in (*_scores(s), _costs(s), pairs(s)) if t is not None]
    standings = tuple(Standing(board, task) for task in board.tasks)
    ranked = [table for track in tracks for table in ranks(track)]
    for table in (claims(board, standings), regret(standings), *ranked, _legend(standings)):
        if table is not None:
            tables.append(table)
    return Tables(heading(board), tuple(tables), _footer(board, tables))


def heading(board: Board) -> str:
    """The suite's name, and whether cells are missing."""
    missing = sum(c.status == "missing" for c in board.cells)
    partial = f" (partial: {missing} of {plural(len(board.cells), 'cell')} missing)" if missing else ""
    return f"{board.suite}{partial}"


def _scores(s: Standing) -> list[Table]:
    """The table of clean-data values and that of measurement-space values; empty ones are left out."""
    parts = [tuple(v for v in s.values if v.clean is clean) for clean in (True, False)]
    tables = [
        _score_table(s, values, title, first=i == 0 or not parts[0])
        for i, (values, title) in enumerate(
            zip(parts, (s.title, f"{s.title}: measurement space"), strict=True)
        )
        if values
    ]
    return tables or [_score_table(s, (), s.title, first=True)]


def _score_table(s: Standing, values: Sequence[ValueInfo], title: str, first: bool) -> Table:
    columns: list[Column] = [("seeds", {m: Entry(s.tally(m)) for m in s.names})]
    judged = [v for v in values if v in s.judged]
    for v in judged:
        columns += [_value(s, v), *_theory(s, v), *_gap(s, v)]
    for v in values:
        if v not in judged:
            columns += [_value(s, v), *_theory(s, v)]
    rows = [_row(_label(s, m), m, columns) for m in s.methods]
    if any(s.floor(v.name) for v in values):
        rows.append(_row("floor", "floor", columns))
    notes = _notes(s, rows) if first else ()
    return Table(title, _caption(s, values), ("method", *(name for name, _ in columns)), tuple(rows), notes)


def _row(label: str, method: str, columns: Sequence[Column]) -> tuple[Entry, ...]:
    return (Entry(label), *(entries.get(method, Entry("")) for _, entries in columns))


def _label(s: Standing, method: str) -> str:
    marks = s.marks(method)
    return f"{method} [{', '.join(marks)}]" if marks else method


def _value(s: Standing, v: ValueInfo) -> Column:
    ties = s.ties(v) if v in s.judged else {}
    entries = {}
    for m in s.methods:
        scores, tie = s.scores(m, v.name), ties.get(m, "")
        if scores:
            entries[m] = estimate(mean_interval(scores.values()), tie=tie, best="a" in tie)
        else:
            entries[m] = NA if s.done(m) else Entry("-")
    if floor := s.floor(v.name):
        entries["floor"] = estimate(mean_interval(floor.values()))
    return v.name + ARROWS[v.direction], entries


def _theory(s: Standing, v: ValueInfo) -> list[Column]:
    series = {m: s.theory(m, v.name) for m in s.methods}
    if not any(series.values()):
        return []
    entries = {m: amount(mean_interval(x.values())) if x else Entry("") for m, x in series.items()}
    return [(f"{v.name} in theory", entries)]


def _gap(s: Standing, v: ValueInfo) -> list[Column]:
    baseline, floor = s.scores(s.board.baseline, v.name), s.floor(v.name)
    if not v.clean or not baseline or not floor:
        return []
    entries = {}
    for m in s.methods:
        scores = s.scores(m, v.name)
        closed = gap_closed(scores, baseline, floor, v.direction)
        if m == s.board.baseline and closed:
            entries[m] = Entry("0", 0.0, n=closed.n)
        elif closed:
            entries[m] = estimate(closed, factor=100)
        else:
            entries[m] = NA if scores else Entry("-")
    return [(f"{v.name} gap %", entries)]


def _caption(s: Standing, values: Sequence[ValueInfo]) -> str:
    if not values:
        return "No cell has a score."
    return f"In order of {s.judged[0].name}." if s.judged else ""


def _notes(s: Standing, rows: Sequence[tuple[Entry, ...]]) -> tuple[str, ...]:
    notes = list(s.accounts())
    if any(c.status == "diverged" for m in s.names for c in s.cells(m)):
        notes.append(
            "Means are over the seeds that are done, which flatters a method that diverges; in ranks and "
            "verdicts a diverged seed counts as infinitely bad, and its method is in no tie group."
        )
    marks = {mark for m in s.names for mark in s.marks(m)}
    if CLEAN in marks:
        notes.append("Methods that were given clean data are in no rank and no tie group.")
    if CONTROL in marks:
        notes.append(
            "Controls, which are simple or closed models to compare with, are in no rank and no tie group; "
            "statements on all methods leave them out."
        )
    if any("n/a" in e.text for row in rows for e in row[1:]):
        notes.append("n/a: the value does not apply to this method or problem, or there is no gap to close.")
    if found := {seed: x for m in s.names for seed, x in s.extra(m, "classifier").items()}:
        notes.append(
            "Values that need labels rest on a classifier of the clean references, one per seed, which "
            f"finds the class of at least {100 * min(found.values()):.1f} % of held-out clean signals."
        )
    alone = [m for m in s.names if len(s.done(m)) == 1]
    if alone:
        notes.append(f"One seed gives no interval and no test: {', '.join(sorted(alone))}.")
    return tuple(notes)


def _costs(s: Standing) -> Table | None:
    columns: list[Column] = []
    for key, name in COSTS.items():
        series = {m: s.cost(m, key) for m in s.methods}
        scaled = key != "images" or any(x != 1 for own in series.values() for x in own.values())
        if scaled and any(series.values()):
            entries = {m: amount(mean_interval(x.values())) if x else Entry("-") for m, x in series.items()}
            columns.append((name, entries))
    speed, notes = speed_ups(s)
    if speed:
        columns.append(("speed-up", speed))
    if not columns:
        return None
    caption = "Train s: of the last phase; all train s and GFLOPs: of all phases."
    if COSTS["images"] in (name for name, _ in columns):
        caption += " Images: of all trainings, over those of the suite, so that operations are equal."
    if speed:
        caption += " Speed-up: the teacher's ms/sample over the student's."
    rows = tuple(_row(_label(s, m), m, columns) for m in s.methods if s.done(m))
    names = ("method", *(name for name, _ in columns))
    return Table(f"{s.title}: cost", caption, names, rows, (*notes, *_unmatched(s)))


def _unmatched(s: Standing) -> Iterator[str]:
    """A sentence for each method whose operations ought to be equal, and are not."""
    for m in s.methods:
        for why in dict.fromkeys(c.unmatched for c in s.done(m) if c.unmatched):
            yield f"{m} has the images of the suite, not equal operations: {why}."


def _legend(standings: Sequence[Standing]) -> Table | None:
    values = {v.name: v for s in standings for v in s.values}
    if not values:
        return None
    rows = tuple(
        (Entry(v.name), Entry(v.direction), Entry(v.unit), Entry(v.sampling_unit), Entry(v.needs))
        for v in values.values()
    )
    return Table("values", "What each value is.", ("value", "better", "unit", "over", "needs"), rows)


def _footer(board: Board, tables: Sequence[Table]) -> tuple[str, ...]:
    counts = Counter(c.status for c in board.cells)
    cells = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
    verdicts = sum(
        bool(row[t.columns.index("difference")].text)
        for t in tables
        for row in t.rows
        if "verdict" in t.columns
    )
    lines = [
        _reading(board, tables),
        f"Cells: {len(board.cells)} planned" + (f": {cells}." if cells else "."),
        "Sampling unit: a seed, which is fresh data, corruption, training and sampling. "
        "Intervals lean on Student's t.",
        _least(board.counts),
    ]
    if verdicts:
        lines.append(
            f"Verdicts are per comparison, not adjusted for their number ({verdicts}): IMPROVES if the whole "
            "interval of the paired difference is beyond 1 % of the teacher's mean, DOES NOT if none of it "
            "is, else UNDECIDED."
        )
    return (*lines, *made_by(board))


def _least(counts: Sequence[int]) -> str:
    """What the exact test can reach with as many seeds as tasks have."""
    floors = [sign_flip_floor(n) for n in counts]
    text = f"{span(counts, 'seed')}: an exact sign-flip p cannot be below {floors[0]:.3g}"
    if len(counts) > 1:
        text += f" to {floors[-1]:.3g}, by the seeds of the task"
    if floors[-1] > 0.05:
        return f"{text}, so it cannot reach 0.05 (that takes 6 seeds)."
    return f"{text}; 0.05 takes 6 seeds." if floors[0] > 0.05 else f"{text}."


def made_by(board: Board) -> tuple[str, ...]:
    """The line that says where the board comes from, where that is known."""
    return ("Made by: " + ", ".join(_flat(board.provenance)) + ".",) if board.provenance else ()


def _reading(board: Board, tables: Sequence[Table]) -> str:
    """How to read the columns that are there."""
    columns = {c for t in tables for c in t.columns}
    text = "Mean ± half of the 95 % interval over seeds."
    if any(e.text.split()[-1:] == ["a"] for t in tables for row in t.rows for e in row[t.keys :]):
        text += " Methods that share a letter are not told apart (paired t-tests, Holm, 5 %)."
    if any(row[0].text == "floor" for t in tables for row in t.rows):
        text += " Floor: clean data against clean data at the same n."
    if any(c.endswith(" gap %") for c in columns):
        text += f" Gap: how much is closed, ({board.baseline} - method) / ({board.baseline} - floor) by seed."
    return text


def _flat(provenance: Mapping[str, Any]) -> list[str]:
    parts = []
    for key, value in provenance.items():
        if isinstance(value, Mapping):
            parts += _flat(value)
        elif isinstance(value, (list, tuple)):
            parts.append(f"{key} {' and '.join(map(str, value))}")
        elif value not in (None, ""):
            parts.append(f"{key} {value}")
    return parts
