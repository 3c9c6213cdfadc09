"""What students gain over teachers, or over rivals: one table a value, in percent of the other's mean."""

from __future__ import annotations

__all__ = ["against", "gain", "gains"]

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from dcdbench.harness.board import CONTROL, Board, Pair, ValueInfo
from dcdbench.harness.contests import comparison
from dcdbench.harness.leaderboard import ARROWS, heading, made_by
from dcdbench.harness.render import WIDTH, text_width
from dcdbench.harness.standing import Standing, span
from dcdbench.harness.statistics import DOES_NOT, IMPROVES, UNDECIDED, Comparison
from dcdbench.harness.table import Entry, Table, Tables

MARKS = {IMPROVES: "✓", DOES_NOT: "†", UNDECIDED: "?"}
UNIDENTIFIED = "§"
BODY, HEADS = 15, 9  # to which entries and heads are broken, so that many columns have room
LARGE = 1e5  # percent, from which on they are powers of ten
IMPROVED = "tasks improved"
MEANING = {
    "lower": "Lower is better: a negative difference is a gain.",
    "higher": "Higher is better: a positive difference is a gain.",
}


def against(board: Board, rivals: Sequence[str]) -> Board:
    """The same board, its students set against these methods instead of their teachers.

    Raises:
        ValueError: If a name is of no method on the board.
    """
    known = dict.fromkeys(c.method for c in board.cells) | dict.fromkeys(x.method for x in board.skips)
    for name in rivals:
        if name not in known:
            raise ValueError(f"no method is called {name!r}; there are {', '.join(known)}")
    students = dict.fromkeys(p.student for p in board.pairs)
    both = tuple(
        Pair(task, student, rival)
        for task in board.tasks
        for rival in rivals
        for student in students
        if student != rival
    )
    return replace(board, pairs=both)


def gains(
    board: Board, unidentified: Mapping[str, str] | None = None, turn: bool = False, other: str = "teacher"
) -> Tables:
    """The gains of all students on all tasks of a board, which may be partial.

    Args:
        board: The results.
        unidentified: The tasks that measurements do not determine, each with the reason.
        turn: Whether tasks may be rows and students columns, where that is narrower and the other
            way is wider than a page. Otherwise tasks are columns.
        other: What those are that students are set against: teachers, or rivals.
    """
    found = _Gains(board, dict(unidentified or {}), other)
    tables = [found.table(v) for v in found.values if found.rivals]
    if turn and tables and max(map(text_width, tables)) > WIDTH:
        turned = [found.turned(t) for t in tables]
        if max(map(text_width, turned)) < max(map(text_width, tables)):
            tables = turned
    if tables:
        tables[-1] = replace(tables[-1], notes=found.notes())
        tables.append(found.summary())
    return Tables(f"{heading(board)}: students against {other}s", tuple(tables), found.footer())


def gain(s: Standing, student: str, teacher: str, value: str) -> Entry:
    """What a student gains over a teacher on one task, in percent, and what is missing for it."""
    if _skipped(s, student) or _skipped(s, teacher):
        return Entry("skipped")
    if Pair(s.task, student, teacher) not in s.board.pairs:
        return Entry("-")
    c = comparison(s, student, teacher, value)
    lost = _lost(s, student, teacher, c)
    if not c.difference.n and not c.infinite:
        return Entry(lost or "n/a")
    e = _percent(c)
    parts = (e.text, MARKS.get(c.verdict, ""), f"({lost})" if lost else "")
    return replace(e, text=" ".join(filter(None, parts)), best=c.verdict == IMPROVES, verdict=c.verdict)


def _percent(c: Comparison) -> Entry:
    """The difference in percent of the teacher's mean; without a text where there is none."""
    d, scale = c.difference, abs(c.than.mean)
    if not d.n:
        return Entry("")
    if not scale:
        return Entry("n/a", n=d.n)
    factor = 100 / scale
    text = _signed(factor * d.mean, factor * d.half)
    return Entry(f"{text} %", factor * d.mean, factor * d.low, factor * d.high, d.n)


def _signed(x: float, half: float) -> str:
    """A difference and half its interval, in the decimals that the interval leaves."""
    known = math.isfinite(half)
    if max(abs(x), half if known else 0) >= LARGE:
        return f"{x:+.1e}" + (f" ± {half:.1e}" if known else "")
    places = int(abs(x) < 10 and not half >= 1)
    rounded = round(x, places)
    text = f"{rounded:+.{places}f}" if rounded else f"{0:.{places}f}"
    if not known:
        return text
    hidden = 0 < half < 0.5 * 10**-places
    return f"{text} ± <{10**-places}" if hidden else f"{text} ± {half:.{places}f}"


def _skipped(s: Standing, method: str) -> bool:
    cells = s.cells(method)
    return method in s.names and all(c.status == "skipped" for c in cells)


def _lost(s: Standing, student: str, teacher: str, c: Comparison) -> str:
    """Which seeds have no finite difference, by what became of them: `diverged 1/3`."""
    own, theirs = ({x.seed: x.status for x in s.cells(m)} for m in (student, teacher))
    seeds, kinds = own.keys() | theirs.keys(), Counter[str]()
    for seed in sorted(seeds):
        mine, other = own.get(seed, "missing"), theirs.get(seed, "missing")
        if mine == other != "done":
            kinds[mine if mine == "missing" else f"both {mine}"] += 1
            continue
        kinds.update(
            name for name, status in ((mine, mine), (f"{teacher} {other}", other)) if status != "done"
        )
    diverged = sum("diverged" in (own.get(seed), theirs.get(seed)) for seed in own.keys() & theirs.keys())
    kinds["infinite"] = max(0, c.infinite - diverged)
    return ", ".join(f"{kind} {n}/{len(seeds)}" for kind, n in kinds.items() if n)


@dataclass(frozen=True)
class _Gains:
    """The entries of a board's students, by value, rival and task."""

    board: Board
    unidentified: Mapping[str, str]
    other: str

    @cached_property
    def standings(self) -> dict[str, Standing]:
        return {task: Standing(self.board, task) for task in self.board.tasks}

    @cached_property
    def rivals(self) -> tuple[tuple[str, str], ...]:
        """Teachers and students that are a pair on some task, in order of the teachers."""
        found = dict.fromkeys((p.teacher, p.student) for p in self.board.pairs)
        teachers = list(dict.fromkeys(teacher for teacher, _ in found))
        return tuple(sorted(found, key=lambda rival: teachers.index(rival[0])))

    @cached_property
    def values(self) -> tuple[ValueInfo, ...]:
        """The primary values; where no task has a score in one of them, those that tell methods apart."""
        judged = {v.name: v for s in self.standings.values() for v in s.judged}
        known = self.board.values
        primary = [known[name] for name in self.board.every_primary if name in known]
        directed = tuple(v for v in primary if v.direction != "neither")
        seen = judged.keys() & set(self.board.every_primary)
        return directed if seen or not judged else tuple(judged.values())

    @cached_property
    def entries(self) -> dict[tuple[str, str, str, str], Entry]:
        """By value, teacher, student and task."""
        return {
            (v.name, teacher, student, task): gain(s, student, teacher, v.name)
            for v in self.values
            for teacher, student in self.rivals
            for task, s in self.standings.items()
        }

    def counted(self, v: ValueInfo) -> list[str]:
        """The tasks that a value is primary for; all of them where it is for none."""
        tasks = self.board.tasks
        return [t for t in tasks if v.name in self.board.primary_of(t)] or list(tasks)

    def able(self, teacher: str, student: str) -> list[str]:
        """The tasks on which the two can be set against each other."""
        pairs = {p.task for p in self.board.pairs if (p.teacher, p.student) == (teacher, student)}
        return [
            task
            for task, s in self.standings.items()
            if task in pairs and not _skipped(s, teacher) and not _skipped(s, student)
        ]

    def head(self, task: str) -> str:
        return f"{task} {UNIDENTIFIED}" if task in self.unidentified else task

    def table(self, v: ValueInfo) -> Table:
        """The gains in one value, with tasks as columns."""
        rows, tasks = [], self.counted(v)
        for teacher, student in self.rivals:
            entries = [self.entries[v.name, teacher, student, task] for task in tasks]
            count = sum(e.verdict == IMPROVES for e in entries)
            n = len(set(tasks) & set(self.able(teacher, student)))
            improved = Entry(f"{count} of {n}", count, n=n)
            rows.append((Entry(teacher), Entry(student), *entries, improved))
        return Table(
            f"{v.name}{ARROWS[v.direction]}",
            f"Student minus {self.other}, in percent of the {self.other}'s mean. {MEANING[v.direction]}",
            ("against", "student", *map(self.head, tasks), IMPROVED),
            tuple(rows),
            keys=2,
            wrap=BODY,
            wrap_heads=HEADS,
        )

    def turned(self, t: Table) -> Table:
        """The same table with tasks as rows."""
        names = [f"{row[1].text} against {row[0].text}" for row in t.rows]
        rows = tuple(
            (Entry(name), *(row[i] for row in t.rows)) for i, name in enumerate(t.columns) if i >= t.keys
        )
        return replace(t, columns=("task", *names), rows=rows, keys=1)

    def summary(self) -> Table:
        """On which tasks a student improves, and in nothing that counts is worse."""
        rows = [(Entry(a), Entry(b), *self._better(a, b)) for a, b in self.rivals]
        which = ", on each task those that are primary there" if self.board.own_primary else ""
        return Table(
            "improves in one of the primary values, and is worse in none",
            f"Of {', '.join(v.name for v in self.values)}{which}: "
            "IMPROVES in one or more and DOES NOT in none, which counts a tie as worse. "
            "Over identifiable tasks on which both can work.",
            ("against", "student", "tasks", "which"),
            tuple(rows),
            keys=2,
            wrap=60,
        )

    def _better(self, teacher: str, student: str) -> tuple[Entry, Entry]:
        tasks = [task for task in self.able(teacher, student) if task not in self.unidentified]
        verdicts = {
            t: {
                self.entries[v.name, teacher, student, t].verdict for v in self.values if t in self.counted(v)
            }
            for t in tasks
        }
        better = [t for t in tasks if IMPROVES in verdicts[t] and DOES_NOT not in verdicts[t]]
        return Entry(f"{len(better)} of {len(tasks)}", len(better), n=len(tasks)), Entry(", ".join(better))

    def notes(self) -> tuple[str, ...]:
        """What marks and words in the tables stand for, of those that are there."""
        shown = {task: reason for task, reason in self.unidentified.items() if task in self.standings}
        return (
            *(f"{UNIDENTIFIED} {task} is not identifiable: {reason}." for task, reason in shown.items()),
            *self._skips(),
            *self._words(),
            *self._controls(),
        )

    def _skips(self) -> list[str]:
        methods = dict.fromkeys(name for rival in self.rivals for name in rival)
        reasons: dict[tuple[str, str], list[str]] = {}
        for task, s in self.standings.items():
            for m in (m for m in methods if _skipped(s, m)):
                told = [x.reason for x in self.board.skips if (x.task, x.method) == (task, m)]
                told += [c.reason for c in s.cells(m)]
                reasons.setdefault((m, told[0]), []).append(task)
        return [f"{m} is skipped on {', '.join(tasks)}: {why}" for (m, why), tasks in reasons.items()]

    def _controls(self) -> list[str]:
        """The rivals that are controls."""
        marked = {c.method for c in self.board.cells if CONTROL in c.marks}
        rivals = dict.fromkeys(teacher for teacher, _ in self.rivals if teacher in marked)
        return [f"{name} is a control, a simple or closed model that is in no rank." for name in rivals]

    def _words(self) -> list[str]:
        texts, lines = [e.text for e in self.entries.values()], []
        if any("diverged" in text or "infinite" in text for text in texts):
            lines.append(
                "A diverged or infinite seed is in no difference, but in the verdict: infinitely bad for "
                "the method that it befell."
            )
        if any(text.startswith("n/a") for text in texts):
            lines.append(f"n/a: the value does not apply here, or the {self.other}'s mean is 0.")
        return lines

    @property
    def paired(self) -> str:
        """What two methods have in common at a seed."""
        if self.other == "teacher":
            return "the student and the teacher it was trained from"
        return "both learn from the same measurements"

    def footer(self) -> tuple[str, ...]:
        if not self.rivals:
            return (
                "No student here has a method that samples its own teacher beside it.",
                *made_by(self.board),
            )
        counts = self.board.counts
        alone = ", which gives" if counts == (1,) else "; one alone gives"
        verdicts = sum(bool(e.verdict) for e in self.entries.values())
        return (
            "A difference is the mean ± half of the 95 % interval over seeds, paired by seed: "
            f"{self.paired}. {span(counts, 'seed')}"
            + (f"{alone} no interval and decides nothing." if counts[0] == 1 else "."),
            _legend(),
            f"Verdicts are per comparison, not adjusted for their number ({verdicts}).",
            *made_by(self.board),
        )


def _legend() -> str:
    return (
        f"{MARKS[IMPROVES]} (and bold, where there is bold): IMPROVES, the whole interval is beyond a gain "
        f"of 1 %; {MARKS[DOES_NOT]}: DOES NOT, none of it is; {MARKS[UNDECIDED]}: UNDECIDED."
    )
