"""The front of quality and cost: which methods no other one beats in both, a panel for each task."""

from __future__ import annotations

__all__ = ["COSTS", "Point", "draw", "front", "points"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcdbench.harness.board import Board, ValueInfo
from dcdbench.harness.figures import save, subplots
from dcdbench.harness.standing import Standing
from dcdbench.harness.statistics import Estimate, mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COSTS = {  # what a board knows of costs, and what each is
    "ms_per_sample": "milliseconds per sample",
    "nfe": "network calls per sample",
    "train_gflops": "GFLOPs of training, all phases",
    "train_seconds_total": "seconds of training, all phases",
}
COLUMNS = 3
LETTER, LINE = 0.017, 0.052  # of a name: the width of a letter and the height of a line, in axes
HUE, CLEAN_HUE = "#0072b2", "#999999"


@dataclass(frozen=True)
class Point:
    """A method on one task.

    Args:
        method: Its name.
        cost: The mean of its cost over seeds, > 0.
        quality: The mean of its value, with an interval over seeds.
        competes: Whether it stands on the front: controls, and what was granted clean data, do not.
    """

    method: str
    cost: float
    quality: Estimate
    competes: bool


def points(board: Board, task: str, value: str, cost: str) -> list[Point]:
    """The methods of a task that have the value and a cost, and of which no seed diverged."""
    s = Standing(board.tracks()[0], task)  # a few clean signals are a track of their own
    found = []
    for method in s.names:
        spent = mean_interval(s.cost(method, cost).values()).mean
        quality = mean_interval(s.outcomes(method, value).values())
        if math.isfinite(spent) and spent > 0 and math.isfinite(quality.mean):
            found.append(Point(method, spent, quality, s.competes(method)))
    return found


def front(found: Sequence[Point], direction: str) -> list[Point]:
    """The competing methods that none is at least as good as at no more cost, by cost."""
    sign = -1 if direction == "higher" else 1
    best, kept = math.inf, []
    for p in sorted((p for p in found if p.competes), key=lambda p: (p.cost, sign * p.quality.mean)):
        if sign * p.quality.mean < best:
            best = sign * p.quality.mean
            kept.append(p)
    return kept


def draw(path: Path, board: Board, info: ValueInfo, cost: str) -> int:
    """Draws a panel for each task that has points, into one figure; says how many."""
    shown = [(task, found) for task in board.tasks if (found := points(board, task, info.name, cost))]
    if not shown:
        return 0
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = subplots(rows, columns, (4.0 * columns, 3.0 * rows + 0.5))
    for axis, (task, found) in zip(axes.flat, shown, strict=False):
        _panel(axis, task, found, info, mean_interval(Standing(board, task).floor(info.name).values()).mean)
        axis.set_xlabel(COSTS[cost], fontsize=8)
    for axis in list(axes.flat)[len(shown) :]:
        axis.set_axis_off()
    better = {"lower": "down and left", "higher": "up and left"}.get(info.direction, "")
    figure.suptitle(
        f"suite {board.suite}: {info.name} and cost, mean and 95 % interval over seeds; {better} is better",
        fontsize=10,
    )
    save(figure, path)
    return len(shown)


def _panel(axis: Axes, task: str, found: list[Point], info: ValueInfo, floor: float) -> None:
    for p in found:
        hue = HUE if p.competes else CLEAN_HUE
        half = p.quality.half if math.isfinite(p.quality.half) else 0.0
        low = min(half, 0.9 * p.quality.mean) if p.quality.mean > 0 else half  # drawn on a logarithm
        axis.errorbar(p.cost, p.quality.mean, [[low], [half]], fmt="o", color=hue, markersize=4, linewidth=1)
    best = front(found, info.direction)
    axis.step([p.cost for p in best], [p.quality.mean for p in best], where="post", color=HUE, linewidth=0.8)
    if math.isfinite(floor) and floor > 0:
        axis.axhline(floor, color="#555555", linewidth=0.8, linestyle=":")
        axis.annotate(
            "floor",
            (0, floor),
            (2, 2),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=6.5,
            color="#555555",
        )
    axis.set_xscale("log")
    if all(p.quality.mean > 0 for p in found):
        axis.set_yscale("log")
    axis.margins(0.2, 0.12)
    _name(axis, found)
    axis.set_title(task, fontsize=9)
    axis.set_ylabel(f"{info.name}, {info.unit}" if info.unit else info.name, fontsize=8)


def _name(axis: Axes, found: list[Point]) -> None:
    """The methods' names beside their points, moved up where they would cover each other."""
    axis.set_xlim(axis.get_xlim())  # they are settled when they are asked for
    axis.set_ylim(axis.get_ylim())
    within = axis.transData + axis.transAxes.inverted()
    placed: list[tuple[float, float, float]] = []  # of each name: from, to, and its height, in the axes
    at = {p.method: within.transform((p.cost, p.quality.mean)).tolist() for p in found}
    for name in sorted(at, key=lambda name: (at[name][1], name)):
        x, y = at[name]
        start, end, height = x + 0.02, x + 0.02 + LETTER * len(name), y + 0.015
        for left, right, other in sorted(placed, key=lambda box: box[2]):
            if left < end and start < right and abs(height - other) < LINE:
                height = other + LINE
        placed.append((start, end, height))
        line = {"arrowstyle": "-", "linewidth": 0.4, "color": "#888888", "shrinkA": 0, "shrinkB": 1}
        axis.annotate(
            name,
            (x, y),
            (start, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            fontsize=6.5,
            arrowprops=line if height - y > LINE else None,
        )
