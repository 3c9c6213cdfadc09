"""Pictures of a training: its statistics, and the choice among its checkpoints."""

from __future__ import annotations

__all__ = ["Panel", "draw", "panels"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcdbench.harness.figures import save, subplots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
OWNERS = {
    **{"critic": HUES[0], "generator": HUES[1], "student": HUES[1]},
    **{"discriminator": HUES[2], "teacher": HUES[3]},
}
PLAIN = "#444444"  # of what has no owner


@dataclass(frozen=True)
class Panel:
    """Statistics that are drawn together.

    Args:
        title: What they are.
        unit: That of the vertical axis.
        lines: The names of the statistics, each with its label.
        level: Where a horizontal line marks the ideal value; None for nowhere.
    """

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    level: float | None = None


# Statistics that end alike are drawn together: ending, title, unit.
TOGETHER = (
    ("gradient", "gradient norms before clipping", "norm"),
    ("variance", "variance of an entry, over a batch", "data unit^2"),
)
# Statistics with a level of their own: name, title, unit, level.
MARKED = (
    ("critic_lag", "critic lag: 0 is exact, > 0 is behind", "way left / way gone", 0.0),
    ("width", "width of fakes: 1 is that of measurements", "root mean square, relative", 1.0),
)


def panels(names: Sequence[str]) -> tuple[Panel, ...]:
    """The panels of some statistics: each loss by itself, then what is drawn together or has a level."""
    return tuple(_panels(list(names)))


def _panels(names: list[str]) -> Iterator[Panel]:
    marked = {name: Panel(title, unit, ((name, ""),), level) for name, title, unit, level in MARKED}
    together = [[name for name in names if name.split("_")[-1] == ending] for ending, *_ in TOGETHER]
    for name in names:
        if name not in marked and not any(name in group for group in together):
            yield Panel(name.replace("_", " "), "loss", ((name, ""),))
    for group, (ending, title, unit) in zip(together, TOGETHER, strict=True):
        if group:
            yield Panel(title, unit, tuple((n, n.removesuffix(ending).rstrip("_")) for n in group))
    yield from (panel for name, panel in marked.items() if name in names)


def draw(path: Path, title: str, result: Mapping[str, Any], regret: Mapping[str, list[Any]]) -> None:
    """Draws the statistics of the steps, and the curve of the checkpoints, into one figure."""
    history, curve = result.get("history", []), result.get("curve", [])
    drawn = panels([name for name in dict.fromkeys(n for row in history for n in row) if name != "step"])
    count = len(drawn) + bool(curve) + len(regret)
    rows = -(-count // COLUMNS)
    figure, axes = subplots(rows, COLUMNS, (3.4 * COLUMNS, 2.5 * rows + 0.4))
    flat = list(axes.flat)
    for axis, panel in zip(flat, drawn, strict=False):
        _statistics(axis, panel, history)
    if curve:
        _choice(flat[len(drawn)], "distance to held-out y", curve, [row["distance"] for row in curve], result)
    for axis, (name, values), hue in zip(flat[len(drawn) + 1 :], regret.items(), HUES[1:] * 9, strict=False):
        _choice(axis, f"{name}, against clean data", curve, values, result, hue)
    for axis in flat[count:]:
        axis.set_axis_off()
    figure.suptitle(title, fontsize=10)
    save(figure, path)


def _statistics(axis: Axes, panel: Panel, history: list[dict[str, Any]]) -> None:
    values: list[float] = []
    for name, label in panel.lines:
        pairs = [(row["step"], row[name]) for row in history if isinstance(row.get(name), int | float)]
        hue = OWNERS.get(name.split("_")[0], PLAIN)
        if pairs:
            axis.plot(*zip(*pairs, strict=True), color=hue, linewidth=1, label=label)
        values += [value for _, value in pairs]
    if panel.level is not None:
        axis.axhline(panel.level, color="#999999", linewidth=0.8, linestyle="--", zorder=0)
    if values and min(values) > 0 and max(values) > 10 * min(values):
        axis.set_yscale("log")
    if len(panel.lines) > 1:
        axis.legend(fontsize=7, frameon=False)
    axis.set_title(panel.title, fontsize=9)
    axis.set_xlabel("step", fontsize=8)
    axis.set_ylabel(panel.unit, fontsize=8)


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
