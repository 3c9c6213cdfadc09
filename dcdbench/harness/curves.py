"""Pictures of a training: its statistics, and the choice among its checkpoints."""

from __future__ import annotations

__all__ = ["draw"]

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcdbench.harness.figures import save, subplots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


def draw(path: Path, title: str, result: Mapping[str, Any], regret: Mapping[str, list[Any]]) -> None:
    """Draws the statistics of each step, and the curve of the checkpoints, into one figure."""
    history, curve = result.get("history", []), result.get("curve", [])
    names = [name for name in dict.fromkeys(n for row in history for n in row) if name != "step"]
    panels = len(names) + bool(curve) + len(regret)
    rows = -(-panels // COLUMNS)
    figure, axes = subplots(rows, COLUMNS, (3.4 * COLUMNS, 2.5 * rows + 0.4))
    flat = list(axes.flat)
    for axis, name in zip(flat, names, strict=False):
        _statistic(axis, name, history)
    if curve:
        _choice(flat[len(names)], "distance to held-out y", curve, [row["distance"] for row in curve], result)
    for axis, (name, values), hue in zip(flat[len(names) + 1 :], regret.items(), HUES[1:] * 9, strict=False):
        _choice(axis, f"{name}, against clean data", curve, values, result, hue)
    for axis in flat[panels:]:
        axis.set_axis_off()
    figure.suptitle(title, fontsize=10)
    save(figure, path)


def _statistic(axis: Axes, name: str, history: list[dict[str, Any]]) -> None:
    pairs = [(row["step"], row[name]) for row in history if isinstance(row.get(name), int | float)]
    axis.plot(*zip(*pairs, strict=True), color="#444444", linewidth=1)
    values = [value for _, value in pairs]
    if min(values) > 0 and max(values) > 10 * min(values):
        axis.set_yscale("log")
    axis.set_title(name.replace("_", " "), fontsize=9)
    axis.set_xlabel("step", fontsize=8)


def _choice(
    axis: Axes,
    title: str,
    curve: list[dict[str, Any]],
    values: list[Any],
    result: Mapping[str, Any],
    hue: str = HUES[0],
) -> None:
    pairs = [
        (row["nimg"] / 1000, value)
        for row, value in zip(curve, values, strict=False)
        if isinstance(value, int | float)
    ]
    if pairs:
        axis.plot(*zip(*pairs, strict=True), "o-", color=hue, markersize=4, linewidth=1)
    chosen = result.get("chosen")
    if chosen is not None and chosen < len(values):
        at = curve[chosen]["nimg"] / 1000
        axis.axvline(at, color="#999999", linewidth=0.8, linestyle="--", zorder=0)
        if isinstance(values[chosen], int | float):
            axis.plot([at], [values[chosen]], "o", markersize=10, markerfacecolor="none", color=hue)
            axis.annotate("chosen", (at, values[chosen]), (5, 7), textcoords="offset points", fontsize=8)
    axis.margins(0.12, 0.2)
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("thousands of images", fontsize=8)
