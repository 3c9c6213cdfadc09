"""Tables as text, Markdown, CSV, JSON and LaTeX, and blocks of them inside other files."""

from __future__ import annotations

__all__ = ["FORMATS", "WIDTH", "into", "render", "text_width", "wants_color"]

import csv
import io
import json
import math
import os
import re
import tempfile
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from dcdbench.harness.table import Entry, Table, Tables

WIDTH = 110
KEY = 36  # to which names of rows are broken
SYMBOLS = {
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "✓": r"$\surd$",
    "†": r"$\dagger$",
    "§": r"\S{}",
}
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def render(tables: Tables, form: str = "text", color: bool = False) -> str:
    """The tables in one of `FORMATS`, ending in a newline. `color` makes bold text on a terminal."""
    if form not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {form!r}")
    return _text(tables, color) if form == "text" else FORMATS[form](tables)


def wants_color(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to send ANSI codes: to a terminal only, and NO_COLOR and TERM=dumb forbid it."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _grid(table: Table, style: str, cell: Callable[[Entry], str], head: Callable[[str], str] = str) -> str:
    from tabulate import tabulate

    rows = [[cell(e) for e in row] for row in table.rows]
    columns = [head(c) for c in table.columns]
    align = ["left"] * len(columns)
    return str(
        tabulate(rows, columns, tablefmt=style, disable_numparse=True, colalign=align if rows else None)
    )


def _text(tables: Tables, color: bool) -> str:
    def cell(e: Entry) -> str:
        return f"{BOLD}{e.text}{PLAIN}" if color and e.best else e.text

    def bold(text: str) -> str:
        return f"{BOLD}{text}{PLAIN}" if color else text

    blocks = [bold(tables.title)]
    for table in tables.tables:
        parts = [_grid(part, "simple", cell) for part in _split(_wrapped(table))]
        blocks.append("\n".join([bold(table.title), *_fill(table.caption), "", "\n\n".join(parts)]))
        if table.notes:
            blocks.append("\n".join(line for note in table.notes for line in _fill(note, "* ")))
    blocks.append("\n".join(line for note in tables.footer for line in _fill(note)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _fill(text: str, bullet: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=bullet, subsequent_indent=" " * len(bullet), break_on_hyphens=False
    )


def _wrapped(table: Table) -> Table:
    """The same table with long entries broken into lines, so that one long name leaves room."""

    def wrap(e: Entry, width: int) -> Entry:
        lines = textwrap.wrap(e.text, width, break_on_hyphens=False)
        return replace(e, text="\n".join(lines)) if len(lines) > 1 else e

    def head(name: str) -> str:
        if not table.wrap_heads:
            return name
        return "\n".join(textwrap.wrap(name, table.wrap_heads, break_long_words=False))

    widths = [KEY if i < table.keys else table.wrap for i in range(len(table.columns))]
    rows = tuple(tuple(wrap(e, w) for e, w in zip(row, widths, strict=True)) for row in table.rows)
    return replace(table, columns=tuple(map(head, table.columns)), rows=rows)


def text_width(table: Table) -> int:
    """How many characters the table takes as text, if it is not split."""
    return sum(w + 2 for w in _widths(_wrapped(table))) - 2


def _widths(table: Table) -> list[int]:
    """The width of each column."""
    # tabulate pads each name by two
    return [
        max(_longest(name) + 2, *(_longest(row[i].text) for row in table.rows), 0)
        for i, name in enumerate(table.columns)
    ]


def _longest(text: str) -> int:
    return max(map(len, text.split("\n")))


def _split(table: Table) -> list[Table]:
    """Parts that fit into the width, each with the key columns."""
    widths = _widths(table)
    keys = list(range(table.keys))
    parts: list[list[int]] = [[]]
    for i in range(table.keys, len(widths)):
        if parts[-1] and sum(widths[j] + 2 for j in (*keys, *parts[-1], i)) - 2 > WIDTH:
            parts.append([])
        parts[-1].append(i)
    return [_columns(table, (*keys, *part)) for part in parts]


def _columns(table: Table, index: Sequence[int]) -> Table:
    rows = tuple(tuple(row[i] for i in index) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in index), rows=rows)


def _markdown(tables: Tables) -> str:
    def safe(text: str) -> str:
        return re.sub(r"([\\|*_<>`\[\]])", r"\\\1", text).replace("\n", " ")

    def cell(e: Entry) -> str:
        return f"**{safe(e.text)}**" if e.best else safe(e.text)

    blocks = [f"**{safe(tables.title)}**"]
    for table in tables.tables:
        blocks += [f"**{safe(table.title)}.** {safe(table.caption)}", _grid(table, "pipe", cell, safe)]
        if table.notes:
            blocks.append("\n".join(f"- {safe(note)}" for note in table.notes))
    blocks += [safe(note) for note in tables.footer]
    return "\n\n".join(blocks) + "\n"


def _csv(tables: Tables) -> str:
    """One entry a line, so that tables of any shape share one header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("table", "row", "column", "text", "value", "low", "high", "n"))
    for table in tables.tables:
        for row in table.rows:
            label = " | ".join(e.text for e in row[: table.keys])
            for name, e in zip(table.columns[table.keys :], row[table.keys :], strict=True):
                numbers = ("" if x is None or x != x else x for x in (e.value, e.low, e.high, e.n))
                writer.writerow((table.title, label, name, e.text, *numbers))
        writer.writerows((table.title, "", "note", note, "", "", "", "") for note in table.notes)
    writer.writerows((tables.title, "", "note", note, "", "", "", "") for note in tables.footer)
    return out.getvalue()


def _json(tables: Tables) -> str:
    document = {
        "schema": 1,
        "title": tables.title,
        "tables": [
            {
                "title": t.title,
                "caption": t.caption,
                "columns": list(t.columns),
                "rows": [[_entry(e) for e in row] for row in t.rows],
                "notes": list(t.notes),
            }
            for t in tables.tables
        ],
        "footer": list(tables.footer),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _entry(e: Entry) -> dict[str, Any]:
    """An entry as JSON, which knows no NaN and no infinity: those stand in the text alone."""
    numbers = {"value": e.value, "low": e.low, "high": e.high, "n": e.n}
    finite = {k: v for k, v in numbers.items() if v is not None and math.isfinite(v)}
    words = {"best": e.best, "verdict": e.verdict}
    return {"text": e.text, **finite, **{k: v for k, v in words.items() if v}}


def _latex(tables: Tables) -> str:
    # tabulate escapes what it prints, so bold enters as control characters and is set afterwards
    def cell(e: Entry) -> str:
        return f"\x02{e.text}\x03" if e.best else e.text

    blocks = [f"% {tables.title}", "% needs \\usepackage{booktabs}"]
    for table in tables.tables:
        grid = (
            _symbols(_grid(table, "latex_booktabs", cell)).replace("\x02", r"\textbf{").replace("\x03", "}")
        )
        notes = "".join(f"\n\\par\\footnotesize {_tex(note)}" for note in table.notes)
        caption = f"\\caption{{{_tex(f'{table.title}. {table.caption}')}}}"
        blocks.append(f"\\begin{{table}}\n\\centering\n{caption}\n{grid}{notes}\n\\end{{table}}")
    blocks += [_tex(note) for note in tables.footer]
    return "\n\n".join(blocks) + "\n"


def _symbols(text: str) -> str:
    for symbol, tex in SYMBOLS.items():
        text = text.replace(symbol, tex)
    return text


def _tex(text: str) -> str:
    names = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return _symbols(re.sub(r"[\\~^#$%&_{}]", lambda m: names.get(m[0], "\\" + m[0]), text).replace("\n", " "))


FORMATS: dict[str, Callable[[Tables], str]] = {
    "text": lambda tables: _text(tables, False),
    "markdown": _markdown,
    "csv": _csv,
    "json": _json,
    "latex": _latex,
}


def into(path: Path | str, block: str, text: str) -> bool:
    """Replaces what stands between `<!-- BLOCK:begin -->` and `<!-- BLOCK:end -->` in a file.

    Returns:
        Whether the file changed. It is written aside and renamed.

    Raises:
        ValueError: If the two markers do not stand there exactly once, in this order.
    """
    path = Path(path)
    begin, end = f"<!-- {block}:begin -->", f"<!-- {block}:end -->"
    old = path.read_text(encoding="utf-8")
    start, stop = old.find(begin), old.find(end)
    if old.count(begin) != 1 or old.count(end) != 1 or stop < start:
        raise ValueError(f"{path} needs the lines {begin!r} and {end!r} once each, in this order")
    new = f"{old[: start + len(begin)]}\n{text.strip()}\n{old[stop:]}"
    if new == old:
        return False
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as f:
        f.write(new)
    os.chmod(f.name, path.stat().st_mode)
    os.replace(f.name, path)
    return True
