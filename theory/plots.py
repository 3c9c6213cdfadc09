"""Figures of phase diagrams: their panels in rows, under one legend."""

from __future__ import annotations

__all__ = ["Diagram", "figure", "save"]

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.panels import COLOURS, HATCHED, Phase, Profile, hatch

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BOUNDARY = "1 % nearer than the teacher, from which on a claim holds"
STYLE: dict[Any, Any] = {  # keys of matplotlib, which names all of them in its types
    "svg.hashsalt": "theory",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.linewidth": 0.7,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 8,
}
SIZE = (2.9, 2.5)  # of a panel, in inches
WIDE = 3  # columns of panels, over which a legend fits in one row


@dataclass(frozen=True)
class Diagram:
    """Panels, and the claims that they extend.

    Args:
        panels: In rows.
        columns: Panels in a row.
        cells: Along an axis of a panel.
        quick: The same, where a rough picture will do.
        claims: The claims of whose parameters it shows more values.
    """

    panels: tuple[Phase | Profile, ...]
    columns: int
    cells: int
    quick: int
    claims: tuple[str, ...]


def figure(diagram: Diagram, quick: bool = False) -> Figure:
    """Draws a diagram."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        rows = -(-len(diagram.panels) // diagram.columns)
        size = SIZE[0] * diagram.columns + 0.3, SIZE[1] * rows + 0.45
        drawn = Figure(figsize=size, layout="constrained")
        axes = np.ravel(drawn.subplots(rows, diagram.columns, squeeze=False))
        for panel, each in zip(diagram.panels, axes, strict=True):
            panel.paint(each, diagram.quick if quick else diagram.cells)
        _share_labels(diagram, list(axes))
        lined = any(each.collections for each in axes)
        wide = diagram.columns >= WIDE
        drawn.legend(handles=_keys(lined), loc="outside upper center", ncols=4 if wide else 2, frameon=False)
    return drawn


def _share_labels(diagram: Diagram, axes: list[Axes]) -> None:
    """A label once for panels that share an axis."""
    for i, panel in enumerate(diagram.panels):
        if i + diagram.columns < len(axes) and diagram.panels[i + diagram.columns].x == panel.x:
            axes[i].set_xlabel("")
        if i % diagram.columns and diagram.panels[i - 1].y == panel.y:
            axes[i].set_ylabel("")


def _keys(lined: bool) -> list[Artist]:
    """What is told by colours, and by the boundary if there is one."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys: list[Artist] = [
        Patch(fc=colour, ec=HATCHED, lw=0.5, label=str(each), hatch=hatch(each))
        for each, colour in COLOURS.items()
    ]
    return [*keys, Line2D([], [], color="black", lw=1.3, label=BOUNDARY)] if lined else keys


def save(drawn: Figure, path: Path) -> None:
    """Writes a figure, the same bytes for the same figure; the format is that of the suffix."""
    import matplotlib

    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        drawn.savefig(path, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else None)
