"""The results of one task, by method and value: what its tables are filled from."""

from __future__ import annotations

__all__ = ["Standing", "plural", "span"]

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dcdbench.harness.board import CLEAN, CONTROL, Board, CellResult, ValueInfo
from dcdbench.harness.statistics import mean_interval, tie_groups

Series = dict[int, float]


def plural(n: int, noun: str) -> str:
    """`3 seeds`, `1 seed`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def span(counts: Sequence[int], noun: str) -> str:
    """`3 seeds`; `3 to 5 seeds` where counts differ."""
    return plural(counts[0], noun) if len(counts) == 1 else f"{counts[0]} to {counts[-1]} {noun}s"


@dataclass(frozen=True)
class Standing:
    """How the methods stand on one task of a board."""

    board: Board
    task: str

    @property
    def title(self) -> str:
        """The task, and the track of the board if it has several."""
        return f"{self.task} ({self.board.track})" if self.board.track else self.task

    @property
    def primary(self) -> tuple[str, ...]:
        """The names of the values that rank methods here."""
        return self.board.primary_of(self.task)

    def cells(self, method: str) -> tuple[CellResult, ...]:
        """The method's cells in order of seeds; none where it was never planned."""
        return self.board.grouped[self.task].get(method, ())

    def done(self, method: str) -> tuple[CellResult, ...]:
        """The method's cells that have a result."""
        return tuple(c for c in self.cells(method) if c.status == "done")

    def scores(self, method: str, value: str) -> Series:
        """The value by seed, over the seeds that are done."""
        return {c.seed: c.scores[value] for c in self.done(method) if value in c.scores}

    def direction(self, value: str) -> str:
        """Which direction is better: `lower`, `higher` or `neither`, the last also if unknown."""
        info = self.board.values.get(value)
        return info.direction if info else "neither"

    def outcomes(self, method: str, value: str) -> Series:
        """Like `scores`, with diverged seeds as infinitely bad."""
        worst = -math.inf if self.direction(value) == "higher" else math.inf
        lost = {c.seed: worst for c in self.cells(method) if c.status == "diverged"}
        return self.scores(method, value) | lost

    def theory(self, method: str, value: str) -> Series:
        """What theory's ideal result scores, by seed."""
        return {c.seed: c.theory[value] for c in self.done(method) if value in c.theory}

    def cost(self, method: str, name: str) -> Series:
        """A cost by seed."""
        return {c.seed: c.cost[name] for c in self.done(method) if name in c.cost}

    def extra(self, method: str, name: str) -> Series:
        """A further number by seed."""
        return {c.seed: c.extra[name] for c in self.done(method) if name in c.extra}

    def floor(self, value: str) -> Series:
        """Clean against clean by seed: the same for every method."""
        cells = [c for method in self.names for c in self.done(method) if value in c.floor]
        return {c.seed: c.floor[value] for c in reversed(cells)}

    def marks(self, method: str) -> tuple[str, ...]:
        """The marks of the method's cells."""
        return tuple(dict.fromkeys(mark for c in self.cells(method) for mark in c.marks))

    def competes(self, method: str) -> bool:
        """Whether the method takes part in ranks and tie groups."""
        return not {CLEAN, CONTROL} & {*self.marks(method)}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The methods in the order of the board."""
        return tuple(self.board.grouped[self.task])

    @cached_property
    def values(self) -> tuple[ValueInfo, ...]:
        """The values that some method has here, primary ones first."""
        present = {v for name in self.names for c in self.done(name) for v in c.scores}
        order = dict.fromkeys((*self.primary, *self.board.values, *sorted(present)))
        known = self.board.values
        return tuple(known.get(v) or ValueInfo(v, "neither") for v in order if v in present)

    @cached_property
    def judged(self) -> tuple[ValueInfo, ...]:
        """The values by which methods are told apart: the primary ones, else the first directed."""
        directed = [v for v in self.values if v.direction != "neither"]
        return tuple(v for v in directed if v.name in self.primary) or tuple(directed[:1])

    @cached_property
    def compared(self) -> tuple[ValueInfo, ...]:
        """The values by which a student is compared: those on clean data, else those there are."""
        directed = [v for v in self.values if v.direction != "neither"]
        return tuple(v for v in directed if v.clean) or tuple(directed)

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The methods in order of the first judged value, those without it last."""
        if not self.judged:
            return tuple(sorted(self.names))
        first = self.judged[0]
        sign = -1 if first.direction == "higher" else 1

        def place(method: str) -> tuple[bool, float, str]:
            mean = sign * mean_interval(self.scores(method, first.name).values()).mean
            return (math.isnan(mean), 0.0 if math.isnan(mean) else mean, method)

        return tuple(sorted(self.names, key=place))

    def ties(self, value: ValueInfo) -> dict[str, str]:
        """The tie groups' letters, of the methods that can be tested: none diverged, two seeds or more."""
        series = {m: self.outcomes(m, value.name) for m in self.methods if self.competes(m)}
        able = {m: s for m, s in series.items() if len(s) > 1 and all(map(math.isfinite, s.values()))}
        return tie_groups(able, value.direction) if len(able) > 1 else {}

    def tally(self, method: str) -> str:
        """How many seeds are done, of how many, and what became of the others."""
        counts = Counter(c.status for c in self.cells(method))
        if not counts:
            return "skipped"
        rest = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()) if status != "done")
        if len(counts) == 1 and rest:
            return next(iter(counts))
        return f"{counts['done']} of {counts.total()}, {rest}" if rest else f"{counts['done']}"

    def _where(self, method: str, seeds: list[int]) -> str:
        if len(seeds) == len(self.cells(method)):
            return ""
        return f" at seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"

    def accounts(self) -> tuple[str, ...]:
        """A sentence for each method, status and reason that left cells without a result."""
        groups: dict[tuple[str, str, str], list[int]] = {}
        for method in self.methods:
            for c in self.cells(method):
                if c.status not in ("done", "missing"):
                    groups.setdefault((method, c.status, c.reason), []).append(c.seed)
        known = {(method, reason) for method, _, reason in groups}
        skips = [s for s in self.board.skips if s.task == self.task and (s.method, s.reason) not in known]
        return (
            *(
                f"{method}: {status}{self._where(method, seeds)}" + (f": {reason}" if reason else "")
                for (method, status, reason), seeds in groups.items()
            ),
            *(f"{s.method}: skipped: {s.reason}" for s in sorted(skips, key=lambda s: s.method)),
        )
