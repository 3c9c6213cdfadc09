"""Learning curves as a picture: a panel for each task and value, a line for each method and batch size."""

from __future__ import annotations

__all__ = ["HUES", "LOOKS", "draw"]

import math
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dcdbench.harness.figures import save, subplots
from dcdbench.harness.learning import PHASES, Line, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
COLUMNS = 3
MOST_TICKS = 6
# One for each method: Okabe and Ito's, which colour-blind readers tell apart, https://jfly.uni-koeln.de/color/
HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
# A marker and a style of lines for each batch size.
LOOKS = (
    ("o", "-"),
    ("s", ":"),
    ("^", "-."),
    ("D", (0, (8, 2))),
    ("v", (0, (5, 1, 1, 1))),
    ("P", (0, (1, 3))),
)


def draw(path: Path, title: str, found: Sequence[Panel]) -> int:
    """Draws the panels that have points into one figure; says how many.

    Raises:
        ValueError: There are more methods than `HUES`, or more batch sizes than `LOOKS`.
    """
    shown = [panel for panel in found if any(p.drawn for line in panel.lines for p in line.points)]
    if not shown:
        return 0
    hues = _assigned([line.method for p in found for line in p.lines], HUES, "methods")
    looks = _assigned(sorted({line.batch for p in found for line in p.lines}), LOOKS, "batch sizes")
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = subplots(rows, columns, (4.0 * columns, 3.0 * rows + 0.9))
    handles: dict[tuple[int, int, str], Any] = {}
    for axis, panel in zip(axes.flat, shown, strict=False):
        for line in panel.lines:
            place = list(hues).index(line.method), line.batch, line.label
            handles[place] = _line(axis, line, hues[line.method], looks[line.batch])
        _frame(axis, panel)
    for axis in list(axes.flat)[len(shown) :]:
        axis.set_axis_off()
    order = sorted(handles)  # by method and batch size
    _legend(figure, [handles[place] for place in order], [label for *_, label in order], columns)
    figure.suptitle(title, fontsize=10)
    save(figure, path)
    return len(shown)


def _legend(figure: Figure, handles: list[Any], labels: list[str], columns: int) -> None:
    """One for all panels."""
    more: Any = {"ncols": columns, "fontsize": 8, "frameon": False}
    figure.legend(handles, labels, loc="outside lower center", **more)


def _assigned(members: Iterable[K], marks: Sequence[V], noun: str) -> dict[K, V]:
    """A mark for each member, all different."""
    members = list(dict.fromkeys(members))
    if len(members) > len(marks):
        raise ValueError(f"a picture tells {len(marks)} {noun} apart, got {len(members)}")
    return dict(zip(members, marks, strict=False))


def _line(axis: Axes, line: Line, hue: str, look: tuple[str, Any]) -> Any:
    """Draws the points that have numbers, with their intervals."""
    points = [p for p in line.points if p.drawn]
    halves = [p.quality.half if math.isfinite(p.quality.half) else 0.0 for p in points]
    means = [p.quality.mean for p in points]
    # An axis may be a logarithm, on which no interval of a positive mean reaches 0.
    lows = [min(h, 0.9 * m) if m > 0 else h for h, m in zip(halves, means, strict=True)]
    return axis.errorbar(
        [p.steps for p in points],
        means,
        [lows, halves],
        color=hue,
        marker=look[0],
        linestyle=look[1],
        markersize=4,
        linewidth=1.2,
        elinewidth=0.8,
    )


def _frame(axis: Axes, panel: Panel) -> None:
    """The floor, the scales and the names of the axes."""
    info, drawn = panel.info, [p for line in panel.lines for p in line.points if p.drawn]
    heights = [p.quality.mean for p in drawn]
    if math.isfinite(panel.floor):
        heights.append(panel.floor)
        axis.axhline(panel.floor, color="#555555", linewidth=0.9, linestyle="--", zorder=0)
        place: Any = ("axes fraction", "data")
        axis.annotate(
            "floor",
            (0, panel.floor),
            (2, 2),
            xycoords=place,
            textcoords="offset points",
            fontsize=6.5,
            color="#555555",
        )
    axis.set_xscale("log")
    _ticks(axis, sorted({p.steps for p in drawn}))
    if min(heights) > 0 and max(heights) > 10 * min(heights):
        axis.set_yscale("log")
    axis.margins(0.08, 0.12)
    better = "" if info.direction == "neither" else f" ({info.direction} is better)"
    axis.set_title(f"{panel.task}: {info.name}{better}", fontsize=9)
    axis.set_xlabel(PHASES[panel.phase], fontsize=8)
    axis.set_ylabel(f"{info.name}, {info.unit}" if info.unit else info.name, fontsize=8)


def _ticks(axis: Axes, counts: Sequence[int]) -> None:
    """A tick at each number of steps, where they are few."""
    if len(counts) <= MOST_TICKS:
        axis.set_xticks(counts, labels=[str(n) for n in counts])
        axis.set_xticks([], minor=True)
