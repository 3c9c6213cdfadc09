r"""Panels of phase diagrams: verdicts by numbers, cell by cell, under the boundaries that theory gives.

A `Phase` panel has two parameters of a claim as its axes, and colours each cell by the verdict in its centre.
A `Profile` panel has one, and marks distances with the colour of their verdict. Where both distances of a
cell are known, in closed form or by a second computation, the boundary is drawn along which the student is
just so much nearer that a claim holds.
"""

from __future__ import annotations

__all__ = [
    "COLOURS",
    "HATCHED",
    "Axis",
    "Curve",
    "Phase",
    "Point",
    "Profile",
    "bracketed",
    "contrast",
    "hatch",
]

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from theory.check import FLOOR
from theory.claim import SMALLEST_GAIN, Check, Evidence, Verdict, verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
# Dark, middle and white with a hatch: told apart in grey, and by all kinds of colour vision.
COLOURS = {Verdict.HOLDS: "#2c6fad", Verdict.FAILS: "#f2b387", Verdict.UNDECIDED: "#ffffff"}
HATCH, HATCHED = "xxxx", "#555555"
COARSE = 1e-3  # the relative accuracy of distances in a cell
Point = tuple[float, float, Verdict]


@dataclass(frozen=True)
class Axis:
    """A parameter with its range."""

    label: str
    low: float
    high: float
    log: bool = False

    def ends(self, cells: int) -> Array:
        """Where cells begin and end, `(cells + 1,)`."""
        space = np.geomspace if self.log else np.linspace
        return np.asarray(space(self.low, self.high, cells + 1))

    def centres(self, cells: int) -> Array:
        """Their middles, `(cells,)`."""
        ends = self.ends(2 * cells)
        return ends[1::2]

    @property
    def curve(self) -> Array:
        """Many points, for a smooth curve."""
        return self.ends(300)


@dataclass(frozen=True)
class Curve:
    """A line that theory gives, or a rule of thumb."""

    label: str
    x: Array
    y: Array
    style: str = "-"
    colour: str = "black"

    def paint(self, axes: Axes) -> None:
        """Draws it."""
        axes.plot(self.x, self.y, self.style, color=self.colour, lw=1.3, label=self.label or None)


@dataclass(frozen=True)
class Phase:
    """Verdicts over two parameters; `cell` decides at a point, by distances or by bounds of them."""

    title: str
    x: Axis
    y: Axis
    cell: Callable[[float, float], Evidence | Verdict]
    curves: tuple[Curve, ...] = ()
    contour: bool = True

    def verdicts(self, cells: int) -> tuple[list[list[Verdict]], Array]:
        """Of all cells, row by row, with the logarithms of distances over those at which verdicts turn."""
        rows = [[self.cell(float(x), float(y)) for x in self.x.centres(cells)] for y in self.y.centres(cells)]
        found = [[verdict(each) if isinstance(each, Evidence) else each for each in row] for row in rows]
        return found, np.array([[_excess(each) for each in row] for row in rows])

    def paint(self, axes: Axes, cells: int) -> None:
        """Draws cells, boundary and curves."""
        found, excess = self.verdicts(cells)
        x, y = self.x.ends(cells), self.y.ends(cells)
        for row, low, high in zip(found, y, y[1:], strict=False):
            start = 0
            for each, run in groupby(row):
                stop = start + len(list(run))
                _fill(axes, each, (x[start], low, x[stop] - x[start], high - low))
                start = stop
        if self.contour and excess.min() < 0 < excess.max():  # never for a NaN, of bounds
            _boundary(axes, self, excess)
        for curve in self.curves:
            curve.paint(axes)
        _dress(axes, self.title, self.x, self.y)


@dataclass(frozen=True)
class Profile:
    """A distance over one parameter: numbers as points, each with its verdict, on the curves of theory."""

    title: str
    x: Axis
    y: Axis
    points: Callable[[int], list[Point]]
    curves: tuple[Curve, ...]

    def paint(self, axes: Axes, cells: int) -> None:
        """Draws curves and points."""
        for curve in self.curves:
            curve.paint(axes)
        for x, y, each in self.points(cells):
            axes.plot(x, y, "o", ms=4.5, mfc=COLOURS[each], mec="black", mew=0.6, zorder=3)
        _dress(axes, self.title, self.x, self.y)


def contrast(teacher: tuple[float, float], student: tuple[float, float]) -> Evidence:
    """The evidence of a cell, from each distance as computed in two ways; cells are coarse themselves.

    Beside the teacher's distance that of a student may be as good as 0: both are as accurate as it asks for.
    """
    floor = COARSE * abs(teacher[1]) if np.isfinite(teacher[1]) else FLOOR

    def both(name: str, first: float, second: float) -> Check:
        apart = abs(first - second) if first != second else 0.0
        return Check(name, first, second, COARSE, floor=floor, bound=apart)

    return Evidence(both("teacher", *teacher), both("student", *student))


def bracketed(teacher: tuple[float, float], student: tuple[float, float]) -> Verdict:
    """The verdict from bounds of both distances, which is certain or none."""

    def at(far: float, near: float) -> Verdict:
        return verdict(Evidence(Check("teacher", far, far), Check("student", near, near)))

    if at(teacher[0], student[1]) is Verdict.HOLDS:
        return Verdict.HOLDS
    return Verdict.FAILS if at(teacher[1], student[0]) is Verdict.FAILS else Verdict.UNDECIDED


def hatch(each: Verdict) -> str | None:
    """The pattern that marks a verdict, if any."""
    return HATCH if each is Verdict.UNDECIDED else None


def _excess(found: Evidence | Verdict) -> float:
    if not isinstance(found, Evidence):
        return float("nan")
    far, near = (1 - SMALLEST_GAIN) * found.teacher.closed, found.student.closed
    return float(np.log(max(near, 1e-12)) - np.log(max(far, 1e-12)))


def _fill(axes: Axes, each: Verdict, box: tuple[float, float, float, float]) -> None:
    from matplotlib.patches import Rectangle

    x, y, width, height = box
    mark = hatch(each)
    # A thin edge of the same colour closes seams; around hatched cells it would be a grid of its own.
    edge, lw = (HATCHED, 0.0) if mark else (COLOURS[each], 0.4)
    axes.add_patch(Rectangle((x, y), width, height, fc=COLOURS[each], ec=edge, lw=lw, hatch=mark))


def _boundary(axes: Axes, panel: Phase, excess: Array) -> None:
    """The line between centres of cells, continued to the edges of the panel."""
    wide = np.pad(excess, 1, mode="reflect", reflect_type="odd")
    n = len(excess)
    steps = (np.arange(n + 2) - 0.5) / n
    places = []
    for axis in (panel.x, panel.y):
        low, high = (np.log(end) if axis.log else end for end in (axis.low, axis.high))
        at = low + steps * (high - low)
        places.append(np.exp(at) if axis.log else at)
    axes.contour(*places, wide, levels=[0.0], colors="black", linewidths=1.3)


def _dress(axes: Axes, title: str, x: Axis, y: Axis) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(title=title, xlabel=x.label, ylabel=y.label)
    for axis, side in ((x, axes.xaxis), (y, axes.yaxis)):
        if not axis.log:
            continue
        (axes.set_xscale if side is axes.xaxis else axes.set_yscale)("log")
        decades = np.log10(axis.high / axis.low)
        side.set_major_locator(LogLocator(10, (1.0,) if decades > 2.5 else (1.0, 2.0, 5.0)))
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        side.set_minor_formatter(NullFormatter())
    axes.set(xlim=(x.low, x.high), ylim=(y.low, y.high))
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="best", framealpha=0.85, handlelength=1.6, borderpad=0.3)
