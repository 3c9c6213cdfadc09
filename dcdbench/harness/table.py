"""A table as a value: entries that keep their numbers beside their text."""

from __future__ import annotations

__all__ = ["NA", "Entry", "Table", "Tables", "amount", "estimate", "number"]

import math
from dataclasses import dataclass

from dcdbench.harness.statistics import Estimate


@dataclass(frozen=True)
class Entry:
    """One entry: its text, and the numbers behind it where there are any."""

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    best: bool = False  # in the best tie group, or an improvement
    verdict: str = ""  # that of a comparison


NA = Entry("n/a")


@dataclass(frozen=True)
class Table:
    """Rows of entries under columns. The first `keys` columns name the row.

    As text, entries are broken into lines of `wrap` characters, and the names of columns, also at
    hyphens, into lines of `wrap_heads`, if that is not 0.
    """

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    notes: tuple[str, ...] = ()
    keys: int = 1
    wrap: int = 36
    wrap_heads: int = 0

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: a row of {len(row)} under {len(self.columns)} columns")


@dataclass(frozen=True)
class Tables:
    """A leaderboard: its tables, and what holds for all of them."""

    title: str
    tables: tuple[Table, ...]
    footer: tuple[str, ...] = ()


def _decimals(scale: float) -> int:
    return max(0, 2 - math.floor(math.log10(scale)))


def _exponent(scale: float) -> int:
    """The power of ten to take out, 0 for sizes that read well as they are."""
    if scale == 0 or 1e-4 <= scale < 1e6:
        return 0
    return math.floor(math.log10(scale))


def _small(half: float, places: int) -> str:
    """`half` in so many decimals, with a bound where they would show a false zero."""
    hidden = 0 < half < 0.5 * 10**-places
    return f"<{10**-places:.{places}f}" if hidden else f"{half:.{places}f}"


def number(x: float, half: float = math.nan) -> str:
    """Three significant digits; `half`, half the width of an interval, in the same decimals.

    The larger of the two sets the decimals: digits far below the interval tell nothing.
    """
    if not math.isfinite(x):
        return str(x)
    scale = max(abs(x), half) if math.isfinite(half) else abs(x)
    power = _exponent(scale)
    places = _decimals(scale / 10**power) if scale else 2
    text = f"{x / 10**power:.{places}f}"
    if math.isfinite(half):
        text += f" ± {_small(half / 10**power, places)}"
    if not power:
        return text
    return f"({text})e{power:+03d}" if math.isfinite(half) else f"{text}e{power:+03d}"


def estimate(e: Estimate, *, tie: str = "", best: bool = False, factor: float = 1.0) -> Entry:
    """The entry of a mean and its interval, times `factor`, with its tie group's letters."""
    mean, low, high = (factor * v for v in (e.mean, e.low, e.high))
    text = number(mean, factor * e.half) + (f" {tie}" if tie else "")
    return Entry(text, mean, low, high, e.n, best)


def amount(e: Estimate, suffix: str = "") -> Entry:
    """Like `estimate`, but without an interval where all seeds agree (counts, for example)."""
    if e.half == 0:
        whole = float(e.mean).is_integer() and abs(e.mean) < 1e6
        return Entry((f"{e.mean:.0f}" if whole else number(e.mean)) + suffix, e.mean, e.low, e.high, e.n)
    return Entry(number(e.mean, e.half) + suffix, e.mean, e.low, e.high, e.n)
