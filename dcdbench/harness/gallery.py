"""One picture of a suite: a row for each task, from clean signals over measurements to samples."""

from __future__ import annotations

__all__ = ["Panel", "Row", "draw", "rows"]

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dcdbench.harness.board import Board
from dcdbench.harness.figures import save, subplots
from dcdbench.harness.pictures import limits_of, plane_of, show_images, show_points
from dcdbench.harness.plan import Cell, Plan
from dcdbench.harness.results import collect
from dcdbench.harness.revive import Unrevivable, parent, sampled
from dcdbench.harness.stages import data as data_stage
from dcdbench.harness.stages import measurement
from dcdbench.harness.store import Store
from dcdbench.problem import Measurement
from dcdbench.streams import Stream

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGES, POINTS = 32, 1000  # samples in a panel
COLUMNS = 4  # of images in a panel
WIDTH = 1.9  # inches of a panel
FIXED = {"clean": "#444444", "measured": "#999999"}
MADE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


@dataclass(frozen=True)
class Panel:
    """What one column shows of a task: signals, or why there are none; and a line about them."""

    name: str
    x: Tensor | None
    line: str = ""


@dataclass(frozen=True)
class Row:
    """A task's panels: clean, measured, then the methods."""

    task: str
    panels: tuple[Panel, ...]


def rows(plan: Plan, store: Store) -> list[Row]:
    """The panels of every task at its first seed; the latents are the same for all methods."""
    board = collect(plan, store)
    found = [_row(plan, store, board, task, plan.suite.seeds_of(task)[0]) for task in plan.suite.tasks]
    if any(row.panels[0].x is not None for row in found):
        return found
    return [Row(row.task, row.panels[1:]) for row in found]  # nobody has clean data


def draw(path: Path, found: list[Row], title: str) -> None:
    """Draws the rows into one figure."""
    wide = max(len(row.panels) for row in found)
    heights = [_height(row) for row in found]
    size = (WIDTH * wide + 0.4, sum(heights) * WIDTH + 0.42 * len(found) + 0.25)
    figure, axes = subplots(len(found), wide, size, gridspec_kw={"height_ratios": heights})
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.05, h_pad=0.06, wspace=0.01, hspace=0.02)
    for row, line in zip(found, axes, strict=True):
        _draw_row(row, line)
    figure.supxlabel(title, fontsize=7, color="#777777")
    save(figure, path)


def _row(plan: Plan, store: Store, board: Board, task: str, seed: int) -> Row:
    cells = {cell.method: cell for cell in plan.cells if cell.task == task and cell.seed == seed}
    any_cell = next((cell for cell in cells.values() if cell.stages), None)
    if any_cell is None or store.get(any_cell.stages["measurement"]) is None:
        names = ["clean", "measured", *(name for name in plan.suite.methods if name != plan.baseline)]
        why = {name: f"skipped: {c.reason}" for name, c in cells.items() if c.reason}
        shared = next(iter(why.values()), "not run") if any_cell is None else "not run"
        return Row(task, tuple(Panel(name, None, why.get(name, shared)) for name in names))
    base = _base(plan, store, board, task, any_cell)
    methods = (_panel(store, board, cell) for name, cell in cells.items() if name != plan.baseline)
    return Row(task, (*base, *methods))


def _base(plan: Plan, store: Store, board: Board, task: str, cell: Cell) -> Iterator[Panel]:
    """Clean signals with the floor of the score, and measurements with that of no model."""
    clean = data_stage.load(parent(store, cell.stages["data"])).reference
    spec = plan.suite.tasks[task]
    m = measurement.load(parent(store, cell.stages["measurement"]), "test", spec.corruption)
    n = _count(spec.data.shape())
    floor = _score(board, task, plan.baseline, "floor") if plan.baseline else _floor(board, task)
    yield Panel("clean", clean[:n] if len(clean) else None, floor if len(clean) else "none given")
    yield Panel(
        "measured", _shown(m[:n]), _score(board, task, plan.baseline, "scores") if plan.baseline else ""
    )


def _shown(m: Measurement) -> Tensor:
    """Measurements as signals; pixels of images that were not measured are NaN, which is drawn as such."""
    masks = m.A.further(0.5, Stream(0).rng()) is not None
    x = m.A.back(m.y) if m.apart or masks else m.y
    if x.ndim == 4 and x.shape == m.y.shape:
        seen = m.A.restrict(torch.ones_like(x))
        if torch.equal(m.A(torch.ones_like(x)), seen):  # a mask of pixels, not of some transform of them
            x = x.masked_fill(seen == 0, math.nan)
    return x


def _panel(store: Store, board: Board, cell: Cell) -> Panel:
    name = cell.method + (f" ({', '.join(cell.marks)})" if cell.marks else "")
    if cell.reason:
        return Panel(name, None, f"skipped: {cell.reason}")
    record = store.get(cell.stages["samples"])
    if record is None or record.status != "done":
        found = next(
            c for c in board.cells if (c.task, c.method, c.seed) == (cell.task, cell.method, cell.seed)
        )
        return Panel(name, None, f"{found.status}: {found.reason}".removesuffix(": "))
    try:
        source = sampled(store, record)
    except Unrevivable as error:
        return Panel(name, None, str(error))
    n = min(_count(source.problem.shape), int(record.result["n"]))
    drawn = source.draw(n, Stream(cell.seed) / "gallery")
    return Panel(name, drawn.x, _score(board, cell.task, cell.method, "scores"))


def _count(shape: tuple[int, ...]) -> int:
    return IMAGES if len(shape) == 3 else POINTS


def _floor(board: Board, task: str) -> str:
    methods = {cell.method for cell in board.cells if cell.task == task and cell.floor}
    return _score(board, task, min(methods), "floor") if methods else ""


def _score(board: Board, task: str, method: str, which: str) -> str:
    """The first primary value that the task has, its mean over seeds."""
    cells = [cell for cell in board.cells if (cell.task, cell.method) == (task, method)]
    for value in [*board.primary_of(task), *board.values]:
        found = [getattr(cell, which)[value] for cell in cells if value in getattr(cell, which)]
        if found and all(map(math.isfinite, found)):
            kind = "floor: " if which == "floor" else ""
            return f"{kind}{value} {fmean(found):.3g}"
    return ""


def _height(row: Row) -> float:
    """Of a row, in units of the panels' width."""
    shown = [panel.x for panel in row.panels if panel.x is not None]
    if shown and shown[0].ndim == 4:
        _, _, h, w = shown[0].shape
        return IMAGES / COLUMNS / COLUMNS * h / w
    return 1.0


def _draw_row(row: Row, line: Sequence[Axes]) -> None:
    shown = [panel.x for panel in row.panels if panel.x is not None]
    image = bool(shown) and shown[0].ndim == 4
    limits = limits_of(shown[0].nan_to_num()) if image else (-1.0, 1.0)
    plane = plane_of(shown[0], *shown[1:]) if shown and not image else None
    hues = cycle(MADE)
    for axis, panel in zip(line, row.panels, strict=False):
        color = FIXED.get(panel.name) or next(hues)
        axis.set_box_aspect(_height(row))
        _above(axis, panel.name, 15, fontsize=9, fontweight="bold")
        if panel.x is None:
            text = textwrap.fill(panel.line, 24)
            axis.text(0.5, 0.5, text, ha="center", va="center", fontsize=7, color="#777777")
            axis.set_axis_off()
            continue
        _above(axis, panel.line, 4, fontsize=7)
        if plane is None:
            show_images(axis, panel.x, COLUMNS, limits)
        else:
            show_points(axis, panel.x, plane, color)
    for axis in list(line)[len(row.panels) :]:
        axis.set_axis_off()
    line[0].text(
        -0.06, 0.5, row.task, rotation=90, ha="right", va="center", fontsize=9, transform=line[0].transAxes
    )


def _above(axis: Axes, text: str, points: float, **style: Any) -> None:
    """A line of text above a panel, however its frame was shrunk."""
    place: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "ha": "center",
        "va": "bottom",
    }
    axis.annotate(text, (0.5, 1.0), (0, points), **place, **style)
