"""The tables that set methods against each other: students, claims, ranks, regret, speed."""

from __future__ import annotations

__all__ = ["ClaimResult", "claims", "comparison", "evaluate_claims", "pairs", "ranks", "regret", "speed_ups"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcdbench.harness.board import CONTROL, Board, Claim
from dcdbench.harness.standing import Standing, plural
from dcdbench.harness.statistics import (
    DOES_NOT,
    IMPROVES,
    UNDECIDED,
    Comparison,
    Estimate,
    compare,
    mean_interval,
    mean_ranks,
)
from dcdbench.harness.table import Entry, Table, amount, estimate, number
from dcdbench.streams import Stream

HOLDS, FAILS = "HOLDS", "FAILS"


def comparison(s: Standing, better: str, than: str, value: str, alpha: float = 0.05) -> Comparison:
    """Two methods on a task, paired over seeds, a diverged seed as infinitely bad."""
    return compare(s.outcomes(better, value), s.outcomes(than, value), s.direction(value), alpha)


def _interval(c: Comparison) -> Entry:
    d = c.difference
    if not d.n:
        return Entry("-")
    return Entry(number(d.mean, d.half), d.mean, d.low, d.high, d.n)


def _infinite(c: Comparison, what: str) -> str:
    total = c.infinite + c.difference.n
    return f"{what}: {c.infinite} of {plural(total, 'pair')} diverged or infinite, which the verdict counts."


def _p(p: float) -> Entry:
    return Entry("n/a") if math.isnan(p) else Entry(f"{p:.3g}", p)


def pairs(s: Standing) -> Table | None:
    """Students against samplers of their own teachers, in every value with a direction."""
    rows, notes = [], dict[str, None]()
    for pair in (p for p in s.board.pairs if p.task == s.task):
        for v in s.compared:
            c = comparison(s, pair.student, pair.teacher, v.name)
            if not c.difference.n and not c.infinite:
                continue
            means = (estimate(Estimate(e.mean, math.nan, math.nan, e.n)) for e in (c.than, c.better))
            names = (Entry(pair.student), Entry(pair.teacher), Entry(v.name))
            rows.append((*names, *means, _interval(c), Entry(c.verdict), _p(c.p)))
            if c.infinite:
                notes[_infinite(c, f"{pair.student} against {pair.teacher}")] = None
    if not rows:
        return None
    seeds = sorted({row[5].n or 0 for row in rows})
    return Table(
        f"{s.title}: student against teacher",
        f"Paired over {' to '.join(map(str, sorted({seeds[0], seeds[-1]})))} seeds. Difference: student "
        "minus teacher, with its 95 % interval; p: exact sign flips.",
        ("student", "teacher", "value", "teacher mean", "student mean", "difference", "verdict", "p"),
        tuple(rows),
        tuple(notes),
        keys=3,
    )


@dataclass(frozen=True)
class ClaimResult:
    """A claim, its verdict (HOLDS, FAILS or UNDECIDED), and the comparison on each task."""

    claim: Claim
    verdict: str
    evidence: tuple[tuple[str, Comparison], ...]


def evaluate_claims(board: Board) -> tuple[ClaimResult, ...]:
    """The verdicts on the board's claims.

    A claim holds if it holds on each of its tasks, and fails if it fails on one. Its interval
    has confidence `1 - alpha` on each task: holding on all needs no adjustment, since each
    must pass.
    """
    return tuple(_evaluate(claim, [Standing(board, task) for task in board.tasks]) for claim in board.claims)


def _evaluate(claim: Claim, standings: Sequence[Standing]) -> ClaimResult:
    evidence = []
    for s in standings:
        asked = claim.tasks is not None and s.task in claim.tasks
        both = s.cells(claim.better) and s.cells(claim.than)
        if asked or (claim.tasks is None and both and not _skipped(s, claim)):
            evidence.append((s.task, comparison(s, claim.better, claim.than, claim.metric, claim.alpha)))
    words = {c.verdict for _, c in evidence}
    if DOES_NOT in words:
        return ClaimResult(claim, FAILS, tuple(evidence))
    unseen = set(claim.tasks or ()) - {s.task for s in standings}
    holds = words == {IMPROVES} and not unseen
    return ClaimResult(claim, HOLDS if holds else UNDECIDED, tuple(evidence))


def _skipped(s: Standing, claim: Claim) -> bool:
    """Whether one of the two cannot work here. A student of a diverged teacher could have."""
    return any(
        all(c.status == "skipped" and "diverged" not in c.reason for c in s.cells(method))
        for method in (claim.better, claim.than)
    )


def claims(board: Board, standings: Sequence[Standing]) -> Table | None:
    """The claims with their evidence, a row for each task."""
    rows, notes = [], []
    words = {IMPROVES: HOLDS, DOES_NOT: FAILS, UNDECIDED: UNDECIDED, "": "n/a"}
    for result in evaluate_claims(board):
        name = Entry(result.claim.name)
        if len(result.evidence) != 1:
            rows.append((name, Entry("all"), Entry(""), Entry(""), Entry(result.verdict)))
        for task, c in result.evidence:
            entries = (Entry(task), Entry(result.claim.metric), _interval(c), Entry(words[c.verdict]))
            rows.append((name, *entries))
            if c.infinite:
                notes.append(_infinite(c, f"{result.claim.name}, {task}"))
    if not rows:
        return None
    return Table(
        "claims",
        "A claim holds if it holds on each of its tasks. Difference: better minus than, paired.",
        ("claim", "task", "value", "difference", "verdict"),
        tuple(rows),
        tuple(notes),
        keys=2,
    )


def regret(standings: Sequence[Standing]) -> Table | None:
    """What the choice of checkpoints by measurements alone has cost."""
    prefix = "regret:"
    found = {
        k: None
        for s in standings
        for m in s.names
        for c in s.done(m)
        for k in c.extra
        if k.startswith(prefix)
    }
    rows = []
    for s in standings:
        for m in s.methods:
            series = [s.extra(m, k) for k in found]
            if any(series):
                counts = s.extra(m, "checkpoints")
                of = amount(mean_interval(counts.values())) if counts else Entry("-")
                regrets = (estimate(mean_interval(x.values())) if x else Entry("-") for x in series)
                rows.append((Entry(s.task), Entry(m), of, *regrets))
    if not rows:
        return None
    caption = "By how many percent the checkpoint chosen on held-out measurements is worse than the best one."
    if any(e.text == "-" for row in rows for e in row[3:]):
        caption += (
            " A dash: not a primary value of the task, or the best score is 0, which has no percentage."
        )
    return Table(
        "selection regret",
        caption,
        ("task", "method", "checkpoints", *(f"{k.removeprefix(prefix)} %" for k in found)),
        tuple(rows),
        keys=2,
    )


def speed_ups(s: Standing) -> tuple[dict[str, Entry], tuple[str, ...]]:
    """How many times faster each student samples than its teacher: the least over its teachers."""
    found: dict[str, list[tuple[Estimate, str]]] = {}
    for pair in (p for p in s.board.pairs if p.task == s.task):
        own, theirs = s.cost(pair.student, "ms_per_sample"), s.cost(pair.teacher, "ms_per_sample")
        ratios = [theirs[seed] / own[seed] for seed in own if seed in theirs and own[seed] > 0]
        if ratios:
            found.setdefault(pair.student, []).append((mean_interval(ratios), pair.teacher))
    least = {m: min(x, key=lambda pair: (pair[0].mean, pair[1]))[0] for m, x in found.items()}
    notes = tuple(
        f"{m} samples {', '.join(f'{amount(e).text} times as fast as {teacher}' for e, teacher in x)}."
        for m, x in sorted(found.items())
        if len(x) > 1
    )
    return {m: amount(e, " x") for m, e in least.items()}, notes


def ranks(standings: Sequence[Standing]) -> list[Table]:
    """Mean ranks over the tasks that the shown methods share, a table for each judged value."""
    values = dict.fromkeys(v.name for s in standings for v in s.judged)
    tables = [_rank_table([s for s in standings if v in (x.name for x in s.judged)], v) for v in values]
    return [t for t in tables if t is not None]


def _rank_table(standings: Sequence[Standing], value: str) -> Table | None:
    ran = {s.task: {m for m in s.names if s.competes(m) and s.outcomes(m, value)} for s in standings}
    methods, tasks = _shared(ran)
    sign = -1 if standings[0].direction(value) == "higher" else 1
    losses, dropped = {}, 0
    for s in (s for s in standings if s.task in tasks):
        series = [s.outcomes(m, value) for m in methods]
        common = sorted(set.intersection(*(set(x) for x in series)))
        dropped += len({seed for x in series for seed in x}) - len(common)
        if common:
            losses[s.task] = np.array([[_loss(sign * x[seed]) for x in series] for seed in common])
    means = mean_ranks(losses, Stream(0) / "leaderboard" / "ranks" / value)
    if means is None:
        return None
    order = sorted(zip(means, methods, strict=True), key=lambda pair: (pair[0].mean, pair[1]))
    rows = tuple(
        (Entry(m), Entry(f"{e.mean:.2f} [{e.low:.2f}, {e.high:.2f}]", e.mean, e.low, e.high, e.n))
        for e, m in order
    )
    return Table(
        f"mean rank{_of(standings[0])}: {value}",
        f"Over {plural(len(losses), 'task')} that all shown methods share: {', '.join(sorted(losses))}. "
        "1 is best; ranks within task and seed; 95 % bootstrap interval over tasks and seeds.",
        ("method", "mean rank"),
        rows,
        (
            *_rank_notes(set().union(*ran.values()) - set(methods), sorted(set(ran) - set(losses)), dropped),
            *_controls(standings),
        ),
    )


def _controls(standings: Sequence[Standing]) -> list[str]:
    found = sorted({m for s in standings for m in s.names if CONTROL in s.marks(m)})
    return [f"Controls, which are in no rank: {', '.join(found)}."] if found else []


def _of(s: Standing) -> str:
    return f" ({s.board.track})" if s.board.track else ""


def _loss(x: float) -> float:
    return math.inf if math.isnan(x) else x


def _rank_notes(methods: set[str], tasks: Sequence[str], dropped: int) -> tuple[str, ...]:
    notes = ["A rank depends on who is in the table, and few tasks make its interval wide."]
    if methods:
        notes.append(f"Not shown, since not run on all of these tasks: {', '.join(sorted(methods))}.")
    if tasks:
        notes.append(f"Tasks not shared: {', '.join(tasks)}.")
    if dropped:
        notes.append(f"Left out: {plural(dropped, 'seed')} (counted by task) that some shown method lacks.")
    return tuple(notes)


def _shared(ran: dict[str, set[str]]) -> tuple[list[str], list[str]]:
    """The methods to rank and the tasks they share: all methods if they share two tasks or more.

    Otherwise the largest table (methods times tasks) of two methods or more on two tasks or more,
    among the sets of tasks on which some method ran.
    """
    everyone = sorted(set().union(*ran.values()))
    sets = {m: frozenset(task for task, names in ran.items() if m in names) for m in everyone}
    options = [([m for m in everyone if sets[m] >= tasks], sorted(tasks)) for tasks in set(sets.values())]
    common = sorted(frozenset(ran).intersection(*sets.values()))
    if len(everyone) > 1 and len(common) > 1:
        return everyone, common
    options = [(names, tasks) for names, tasks in options if len(names) > 1 and len(tasks) > 1]
    return max(options, key=lambda o: (len(o[0]) * len(o[1]), o), default=([], []))
