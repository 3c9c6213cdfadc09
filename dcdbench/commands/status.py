"""`dcdbench status`: how far the suites of a store are."""

from __future__ import annotations

__all__ = ["command"]

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dcdbench.commands.options import json_output, store_folder, write_json

if TYPE_CHECKING:
    from dcdbench.harness.census import SuiteState, Unfinished
    from dcdbench.harness.store import Store

PERIOD = 2.0  # seconds between two looks of --watch
COLORS = {"done": "green", "running": "cyan", "diverged": "yellow"}
OPEN = {"running", "missing"}  # what a run under way may still change


@click.command(short_help="Tell how far the runs in a store are.")
@store_folder
@click.option("-w", "--watch", is_flag=True, help="Look again every 2 s, until nothing is left to do.")
@json_output
def command(store: Path, watch: bool, as_json: bool) -> int:
    """Tell how far the runs in a store are: cells, what can resume, failures, disk use.

    Also while a run is under way in another shell. Exit code 3: nothing has been run here.
    """
    from dcdbench.harness.store import Store

    shelf = Store(store)
    if watch and (as_json or not sys.stdout.isatty()):
        raise click.UsageError("--watch needs a terminal; elsewhere, ask again from time to time")
    if not shelf.runs():
        if as_json:
            write_json("status", _document(shelf))
        click.echo(f"nothing has been run in {shelf.root}", err=True)
        return 3
    if as_json:
        write_json("status", _document(shelf))
    elif watch:
        _watch(shelf)
    else:
        click.echo("\n".join(_report(shelf)))
    return 0


def _watch(store: Store) -> None:
    from dcdbench.harness.census import census

    try:
        while True:
            text = "\n".join([*_report(store), "", time.strftime("%H:%M:%S") + ", Ctrl-C to leave"])
            click.echo("\x1b[H\x1b[2J" + text)
            if not any(OPEN & state.counts.keys() for state in census(store)):
                return
            time.sleep(PERIOD)
    except KeyboardInterrupt:
        return


def _document(store: Store) -> dict[str, Any]:
    from dcdbench.harness.census import census, disk_use

    suites = [
        {
            "suite": state.name,
            "path": state.path,
            "counts": dict(state.counts),
            "cells": [
                {
                    "cell": cell.place.label,
                    "task": cell.place.task,
                    "method": cell.place.method,
                    "seed": cell.place.seed,
                    "status": cell.status,
                    "stage": cell.key,
                    "reason": cell.reason,
                }
                for cell in state.cells
            ],
            "unfinished": [asdict(entry) for entry in state.unfinished],
            "failures": [asdict(entry) for entry in state.failures],
        }
        for state in census(store)
    ]
    return {"store": str(store.root), "bytes": disk_use(store.root), "suites": suites}


def _report(store: Store) -> Iterator[str]:
    from dcdbench.harness.census import census, disk_use

    for state in census(store):
        yield from _suite(state)
        yield ""
    damaged = store.root / "damaged"
    aside = f", of which {_size(disk_use(damaged))} were damaged and set aside" if damaged.exists() else ""
    yield f"{_size(disk_use(store.root))} in {store.root}{aside}"


def _suite(state: SuiteState) -> Iterator[str]:
    counts = ", ".join(_coloured(status, f"{n} {status}") for status, n in _ordered(state.counts))
    yield f"{click.style(state.name, bold=True)} ({state.path}): {len(state.cells)} cells: {counts}"
    yield from _matrix(state)
    for entry in state.unfinished:
        yield f"  {'running' if entry.running else 'cut off'}: {entry.label or entry.key}{_saved(entry)}"
    for cell in _once(state):
        yield f"  {_coloured(cell.status, cell.status)}: {cell.place.label}: {cell.reason}"
        yield f"    {_advice(cell, state)}"


def _once(state: SuiteState) -> Iterator[Any]:
    """The cells that ended badly, one for each stage to blame."""
    seen = set()
    for cell in state.cells:
        if cell.status not in (*OPEN, "done", "skipped", "blocked") and cell.key not in seen:
            seen.add(cell.key)
            yield cell


def _advice(cell: Any, state: SuiteState) -> str:
    if cell.status == "diverged":
        return f"a result; to see it happen again: dcdbench replay {cell.key}"
    log = next((failure.log for failure in state.failures if failure.key == cell.key), "")
    return f"traceback and log: dcdbench show {cell.key}, or {os.path.relpath(log)}"


def _matrix(state: SuiteState) -> Iterator[str]:
    """One line for each task and method: how many of its seeds are in each state."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for cell in state.cells:
        rows.setdefault((cell.place.task, cell.place.method), Counter())[cell.status] += 1
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)] if rows else [0, 0]
    last = ""
    for (task, method), counts in rows.items():
        text = ", ".join(_coloured(status, f"{n} {status}") for status, n in _ordered(counts))
        yield f"  {'' if task == last else task:<{widths[0]}}  {method:<{widths[1]}}  {text}"
        last = task


def _saved(entry: Unfinished) -> str:
    if entry.share is None:
        return ""
    return f", saved at step {entry.step} of {entry.steps} ({100 * entry.share:.0f} %)"


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    from dcdbench.harness.census import STATES

    return [(status, counts[status]) for status in STATES if counts[status]]


def _coloured(status: str, text: str) -> str:
    color = COLORS.get(status, None if status in ("missing", "skipped") else "red")
    return click.style(text, fg=color) if color else text


def _size(count: int) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count = count / 1000  # type: ignore[assignment]
    return f"{count:.1f} GB"
