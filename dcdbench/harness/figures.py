"""Figures that look alike, and are the same bytes for the same numbers."""

from __future__ import annotations

__all__ = ["PICTURES", "save", "subplots"]

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg", ".pdf")
DPI = 200  # twice what a browser assumes, so that small type stays sharp


def subplots(rows: int, columns: int, size: tuple[float, float], **more: Any) -> tuple[Figure, np.ndarray]:
    """A figure of `size` inches with a grid of axes, drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(size, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **more)
    for axis in axes.flat:
        axis.tick_params(which="both", labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Figure, path: Path) -> None:
    """Writes the figure, aside first.

    Raises:
        ValueError: The ending is not one of `PICTURES`.
    """
    from matplotlib import rc_context

    suffix = path.suffix.lower()
    if suffix not in PICTURES:
        raise ValueError(f"a picture ends in {', '.join(PICTURES)}, got {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.aside")
    undated: dict[str, Any] = {
        ".png": {"Software": None},
        ".svg": {"Date": None},
        ".pdf": {"CreationDate": None},
    }
    try:
        with rc_context({"svg.hashsalt": "dcdbench", "svg.fonttype": "none"}):
            figure.savefig(aside, format=suffix[1:], dpi=DPI, metadata=undated[suffix])
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
