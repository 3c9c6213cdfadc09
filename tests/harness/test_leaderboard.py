"""Laws of the leaderboard: nothing is dropped, nothing is ranked that may not be, all formats parse."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import random
import re

import pytest

from dcdbench.harness.board import CLEAN, FEW, Board, CellResult, Claim, Pair, Skip, ValueInfo
from dcdbench.harness.contests import evaluate_claims
from dcdbench.harness.leaderboard import leaderboard
from dcdbench.harness.render import FORMATS, into, render, wants_color
from dcdbench.harness.statistics import mean_interval
from dcdbench.harness.table import number

LEVELS = {"nothing": 0.3, "heun": 0.11, "heun_cut": 0.095, "one_step": 0.08, "cheat": 0.06}
VALUES = {
    v.name: v
    for v in (
        ValueInfo("sw", "lower", "signal units", "sample"),
        ValueInfo("fd", "lower", "signal units squared", "sample"),
        ValueInfo("cover", "higher", "share", "sample"),
        ValueInfo("kl", "lower", "nat", "sample", "density"),
        ValueInfo("sw_y", "lower", "signal units", "sample", "measurements"),
    )
}
REPLAY = "3/student/generator/812"


def cell(task, method, seed):
    shared = random.Random(f"{task}/{seed}").gauss(0, 0.003)
    x = LEVELS[method] + shared + random.Random(f"{task}/{method}/{seed}").gauss(0, 0.002)
    nfe = {"nothing": 0, "one_step": 1}.get(method, 35)
    return CellResult(
        task,
        method,
        seed,
        "done",
        scores={"sw": x, "fd": 20 * x, "cover": 1 - x, "kl": 5 * x, "sw_y": x / 2},
        floor={"sw": 0.05 + shared, "fd": 0.3, "cover": 0.97},
        theory={"sw": 0.0777} if method == "one_step" and task == "low_rank" else {},
        cost={"nfe": nfe, "ms_per_sample": 0.01 + 0.02 * nfe, "train_seconds": 60.0 + seed},
        extra={"checkpoints": 8, "regret:sw": 2.5 + seed} if method == "one_step" else {},
        marks=(CLEAN,) if method == "cheat" else (),
    )


def board(tasks=("ring", "low_rank"), seeds=5, change=lambda c: c, **fields):
    cells = [cell(*place) for place in itertools.product(tasks, LEVELS, range(seeds))]
    cells = [new for c in cells if (new := change(c)) is not None]
    pairs = tuple(Pair(t, "one_step", other) for t in tasks for other in ("heun", "heun_cut"))
    claim = Claim("a step suffices", "one_step", "heun", "sw")
    whole = Board("suite", tuple(cells), VALUES, ("sw", "fd"), pairs, (claim,), baseline="nothing")
    return dataclasses.replace(whole, **fields)


def become(status, reason="", **where):
    def change(c):
        hit = all(getattr(c, k) == v for k, v in where.items())
        return CellResult(c.task, c.method, c.seed, status, reason, marks=c.marks) if hit else c

    return change


def table(b, title):
    return next(t for t in leaderboard(b).tables if t.title == title)


def titles(b):
    return [t.title for t in leaderboard(b).tables]


def column(b, title, name, key=0):
    t = table(b, title)
    return {row[key].text: row[t.columns.index(name)] for row in t.rows}


def everything(b):
    return render(leaderboard(b))


BOARDS = {
    "whole": board(),
    "diverged": board(change=become("diverged", REPLAY, method="one_step", seed=3)),
    "all diverged": board(change=become("diverged", REPLAY, method="one_step")),
    "failed": board(change=become("failed", "RuntimeError: 100% of \\memory {&_#~^$|*<x>", seed=2)),
    "skipped": board(change=become("skipped", "needs masks", task="ring", method="heun")),
    "missing": board(change=become("missing", method="one_step", seed=4)),
    "nothing done": board(change=become("missing")),
    "one seed": board(seeds=1),
    "one task": board(tasks=("ring",)),
    "no cells": Board("suite", (), VALUES),
    "no clean data": board(
        change=lambda c: dataclasses.replace(c, scores={"sw_y": c.scores["sw_y"]}, floor={}, theory={})
    ),
    "infinite": board(
        change=lambda c: dataclasses.replace(c, scores=c.scores | {"kl": float("inf"), "fd": float("nan")})
    ),
    "many values": board(
        change=lambda c: dataclasses.replace(c, scores={f"value_{i}": i for i in range(30)})
    ),
}


@pytest.fixture(params=BOARDS, name="any_board")
def _any_board(request):
    return BOARDS[request.param]


def balanced(tex):
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", tex):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def test_json_parses_back(any_board):
    def refuse(word):
        raise ValueError(word)

    tables = leaderboard(any_board)
    document = json.loads(render(tables, "json"), parse_constant=refuse)
    assert [t["title"] for t in document["tables"]] == [t.title for t in tables.tables]
    for shown, t in zip(document["tables"], tables.tables, strict=True):
        assert [[e["text"] for e in row] for row in shown["rows"]] == [
            [e.text for e in row] for row in t.rows
        ]


def test_csv_parses_back(any_board):
    tables = leaderboard(any_board)
    head, *lines = csv.reader(io.StringIO(render(tables, "csv")))
    assert all(len(line) == len(head) for line in lines)
    entries = [line for line in lines if line[2] != "note"]
    assert len(entries) == sum(len(row) - t.keys for t in tables.tables for row in t.rows)
    assert all(float(line[4]) == float(line[4]) for line in entries if line[4])


def test_latex_is_balanced(any_board):
    tex = render(leaderboard(any_board), "latex")
    assert balanced(tex)
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == tex.count(r"\toprule")
    for line in tex.splitlines():
        assert line.startswith("%") or not re.search(r"(?<!\\)[%#_]", line)


def test_the_check_of_braces_sees_a_missing_one():
    tex = render(leaderboard(board()), "latex")
    assert r"\textbf{" in tex
    assert not balanced(tex.replace(r"\textbf{", r"\textbf", 1))


def test_text_is_narrow_and_plain(any_board):
    text = everything(any_board)
    assert max(map(len, text.splitlines())) <= 110
    assert "\x1b" not in text


def test_markdown_rows_have_as_many_bars_as_their_header(any_board):
    lines = render(leaderboard(any_board), "markdown").splitlines()
    blocks = [list(group) for bar, group in itertools.groupby(lines, lambda x: x.startswith("|")) if bar]
    assert len(blocks) == len(leaderboard(any_board).tables)
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block}) == 1


def test_color_is_for_terminals_alone():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    assert wants_color(Terminal(), {})
    assert not wants_color(Terminal(), {"NO_COLOR": "1"})
    assert not wants_color(Terminal(), {"TERM": "dumb"})
    assert not wants_color(io.StringIO(), {})
    assert "\x1b[1m" in render(leaderboard(board()), "text", color=True)


def test_an_unknown_format_is_named():
    with pytest.raises(ValueError, match=", ".join(FORMATS)):
        render(leaderboard(board()), "yaml")


def test_rows_stand_in_order_of_the_first_primary_value():
    t = table(board(), "ring")
    names = [row[0].text for row in t.rows]
    assert names == ["cheat [clean data]", "one_step", "heun_cut", "heun", "nothing", "floor"]
    upside = table(board(primary=("cover",)), "ring")
    assert [row[0].text for row in upside.rows] == names
    down = table(board(values=VALUES | {"sw": ValueInfo("sw", "higher")}), "ring")
    assert [row[0].text for row in down.rows] != names


def test_a_task_may_be_ranked_by_values_of_its_own():
    """Its rows, letters and ranks go by those, and the other task's as before."""
    b, plain = board(own_primary={"ring": ("cover",)}), board()
    assert b.every_primary == ("sw", "fd", "cover")
    first, other = table(b, "ring"), table(b, "low_rank")
    assert [t.caption for t in (first, other)] == ["In order of cover.", "In order of sw."]
    assert "cover gap %" in first.columns and "sw gap %" not in first.columns
    assert other == table(plain, "low_rank")
    assert [t.title for t in leaderboard(b).tables if t.title.startswith("mean rank")] == []  # none is shared
    many = board(tasks=("ring", "low_rank", "c", "d"), own_primary={"ring": ("cover",), "c": ("cover",)})
    rank = {t.title: t.caption for t in leaderboard(many).tables if t.title.startswith("mean rank")}
    assert set(rank) == {f"mean rank: {v}" for v in ("sw", "fd", "cover")}
    assert "c, ring" in rank["mean rank: cover"] and "d, low_rank" in rank["mean rank: sw"]
    brief = b.brief()
    assert {c.task: set(c.scores) for c in brief.cells} == {"ring": {"cover"}, "low_rank": {"sw", "fd"}}
    assert set(brief.values) == {"sw", "fd", "cover"}


def test_entries_carry_the_numbers_that_they_show():
    b = board()
    e = column(b, "ring", "sw ↓")["heun"]
    expected = mean_interval(c.scores["sw"] for c in b.cells if (c.task, c.method) == ("ring", "heun"))
    assert (e.value, e.low, e.high, e.n) == (expected.mean, expected.low, expected.high, 5)


def test_a_divergence_is_shown_with_its_address_and_counts_against_the_method():
    good, bad = BOARDS["whole"], BOARDS["diverged"]
    assert column(bad, "ring", "seeds")["one_step"].text == "4 of 5, 1 diverged"
    assert any(REPLAY in note for note in table(bad, "ring").notes)
    assert REPLAY not in everything(good)
    assert column(good, "ring", "sw ↓")["one_step"].best
    assert not column(bad, "ring", "sw ↓")["one_step"].best
    assert set(column(good, "ring: student against teacher", "verdict", key=2).values()) != set(
        column(bad, "ring: student against teacher", "verdict", key=2).values()
    )
    assert {e.text for e in column(bad, "ring: student against teacher", "verdict", key=2).values()} == {
        "DOES NOT"
    }
    rank = {
        k: column(b, "mean rank: sw", "mean rank")["one_step"].value
        for k, b in (("good", good), ("bad", bad))
    }
    assert rank["good"] < rank["bad"]


def test_a_method_that_always_diverges_keeps_its_row():
    b = BOARDS["all diverged"]
    assert column(b, "ring", "seeds")["one_step"].text == "diverged"
    assert column(b, "ring", "sw ↓")["one_step"].text == "-"
    assert column(b, "mean rank: sw", "mean rank")["one_step"].value == 4


def test_skips_and_failures_keep_their_rows_and_reasons():
    skip = Skip("ring", "masked", "the objective needs masks")
    b = dataclasses.replace(BOARDS["failed"], skips=(skip,))
    assert column(b, "ring", "seeds")["masked"].text == "skipped"
    notes = table(b, "ring").notes
    assert "masked: skipped: the objective needs masks" in notes
    assert any("heun: failed at seed 2: RuntimeError" in note for note in notes)
    assert column(BOARDS["skipped"], "ring", "seeds")["heun"].text == "skipped"
    assert "heun: skipped: needs masks" in table(BOARDS["skipped"], "ring").notes


def test_a_partial_board_says_so():
    assert "partial: 2 of 50 cells missing" in everything(BOARDS["missing"])
    assert "partial" not in everything(BOARDS["whole"])
    assert "partial" in everything(BOARDS["nothing done"])


def test_marked_methods_are_in_no_rank_and_no_tie_group():
    b = board()
    marked, plain = "cheat [clean data]", "one_step"
    shown = column(b, "ring", "sw ↓")
    assert not shown[marked].best and shown[plain].best
    assert not shown[marked].text.endswith("a") and shown[plain].text.endswith("a")
    assert set(column(b, "mean rank: sw", "mean rank")) == set(LEVELS) - {"cheat"}
    unmarked = board(change=lambda c: dataclasses.replace(c, marks=()))
    assert "cheat" in column(unmarked, "mean rank: sw", "mean rank")
    assert column(unmarked, "ring", "sw ↓")["cheat"].best


def test_without_clean_data_there_are_measurement_tables_alone():
    b = BOARDS["no clean data"]
    for t in leaderboard(b).tables:
        assert not {"sw ↓", "fd ↓", "cover ↑"} & set(t.columns), t.title
        assert not any("gap" in c for c in t.columns)
        assert all(any(row[i].text for row in t.rows) for i in range(len(t.columns))), t.title
    assert "ring: measurement space" in titles(b) and "ring" not in titles(b)
    assert "floor" not in column(b, "ring: measurement space", "seeds")
    assert column(b, "ring: measurement space", "sw_y ↓")["one_step"].best
    assert "sw ↓" in table(board(), "ring").columns


def test_one_seed_gives_numbers_but_no_verdicts():
    b = BOARDS["one seed"]
    assert "±" not in column(b, "ring", "sw ↓")["one_step"].text
    assert {e.text for e in column(b, "ring: student against teacher", "verdict", key=2).values()} == {
        "UNDECIDED"
    }
    assert "1 seed: an exact sign-flip p cannot be below 1" in everything(b)
    assert "One seed gives no interval" in everything(b)
    assert "5 seeds: an exact sign-flip p cannot be below 0.0625" in everything(board()).replace("\n", " ")


def test_gap_and_theory_stand_beside_the_measured_value():
    b = board()
    gap = column(b, "ring", "sw gap %")
    assert gap["nothing"].value == 0
    assert 80 < gap["one_step"].value < 100
    assert column(b, "low_rank", "sw in theory")["one_step"].text == "0.0777"
    assert "sw in theory" not in table(b, "ring").columns
    assert not any("gap" in c for c in table(board(baseline=""), "ring").columns)


def test_a_value_that_one_method_lacks_is_not_applicable():
    b = board(
        change=lambda c: dataclasses.replace(c, scores={"sw": c.scores["sw"]}) if c.method == "nothing" else c
    )
    assert column(b, "ring", "kl ↓")["nothing"].text == "n/a"
    assert any(note.startswith("n/a") for note in table(b, "ring").notes)
    assert not any(note.startswith("n/a") for note in table(board(), "ring").notes)


def test_speed_up_is_a_ratio_within_seeds():
    assert column(board(), "ring: cost", "speed-up")["one_step"].value == pytest.approx(0.71 / 0.03)


def test_regret_is_shown_in_percent():
    t = table(board(), "selection regret")
    assert t.columns == ("task", "method", "checkpoints", "sw %")
    assert t.rows[0][3].value == pytest.approx(4.5)


@pytest.mark.parametrize(
    ("better", "than", "verdict"), [("one_step", "heun", "HOLDS"), ("heun", "one_step", "FAILS")]
)
def test_claims(better, than, verdict):
    (result,) = evaluate_claims(board(claims=(Claim("c", better, than, "sw"),)))
    assert result.verdict == verdict
    assert [task for task, _ in result.evidence] == ["ring", "low_rank"]


def test_a_claim_without_evidence_is_undecided():
    for b in (
        BOARDS["one seed"],
        BOARDS["nothing done"],
        board(claims=(Claim("c", "one_step", "heun", "no"),)),
    ):
        assert [r.verdict for r in evaluate_claims(b)] == ["UNDECIDED"]
    elsewhere = Claim("c", "one_step", "heun", "sw", ("ring", "not on this board"))
    assert [r.verdict for r in evaluate_claims(board(claims=(elsewhere,)))] == ["UNDECIDED"]


def test_ranks_use_only_tasks_that_the_shown_methods_share():
    b = board(
        tasks=("ring", "low_rank", "third"), change=become("skipped", "no", task="third", method="heun")
    )
    t = table(b, "mean rank: sw")
    assert "low_rank, ring." in t.caption
    assert "Tasks not shared: third." in t.notes
    assert "mean rank: sw" not in titles(BOARDS["one task"])


def test_a_few_clean_signals_share_no_table_and_no_rank_with_none():
    few = board(
        change=lambda c: dataclasses.replace(c, marks=(FEW,)) if c.method in ("heun", "heun_cut") else c
    )
    without, alone = (
        {row[0].text.split(" [")[0] for row in table(few, t).rows} for t in ("ring", "ring (few-shot)")
    )
    assert without & alone == {"nothing", "cheat", "floor"}  # what frames both
    assert "one_step" in without and {"heun", "heun_cut"} <= alone
    ranks = [
        {row[0].text for row in t.rows} for t in leaderboard(few).tables if t.title.startswith("mean rank")
    ]
    assert ranks and not any({"one_step", "heun"} <= names for names in ranks)
    together = {row[0].text.split(" [")[0] for row in table(board(), "ring").rows}  # control: no marks
    assert {"one_step", "heun"} <= together and "ring (few-shot)" not in titles(board())


def test_the_order_of_cells_changes_nothing():
    b = board(change=become("diverged", REPLAY, method="heun", seed=1))
    cells = list(b.cells)
    random.Random(0).shuffle(cells)
    cells.sort(key=lambda c: b.tasks.index(c.task))
    moved = dataclasses.replace(b, cells=tuple(cells))
    assert moved.cells != b.cells
    assert [render(leaderboard(moved), f) for f in FORMATS] == [render(leaderboard(b), f) for f in FORMATS]


def test_units_change_no_verdict_and_no_letter():
    def scaled(c):
        return dataclasses.replace(
            c,
            scores={k: 1000 * v for k, v in c.scores.items()},
            floor={k: 1000 * v for k, v in c.floor.items()},
        )

    old, new = board(), board(change=scaled)
    title = "ring: student against teacher"
    assert [row[6].text for row in table(old, title).rows] == [row[6].text for row in table(new, title).rows]
    tails = [
        {m: e.text.split()[-1] for m, e in column(b, "ring", "sw ↓").items() if e.best} for b in (old, new)
    ]
    assert tails[0] == tails[1] != {}


def test_two_results_for_one_cell_are_refused():
    c = cell("ring", "heun", 0)
    with pytest.raises(ValueError, match="once"):
        Board("suite", (c, c), VALUES)


@pytest.mark.parametrize(
    ("x", "half", "text"),
    [
        (0.123456, 0.0234, "0.123 ± 0.023"),
        (123.456, 1.26, "123 ± 1"),
        (2.16, 0.004, "2.16 ± <0.01"),
        (2.16, 0.0, "2.16 ± 0.00"),
        (0.00012, 0.0321, "0.0001 ± 0.0321"),
        (1.23456e-7, 1e-8, "(1.23 ± 0.10)e-07"),
        (0.0, 0.0, "0.00 ± 0.00"),
        (float("inf"), float("nan"), "inf"),
    ],
)
def test_numbers(x, half, text):
    assert number(x, half) == text


def test_into_replaces_a_block_and_nothing_else(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- BOARD:begin -->\nold\n<!-- BOARD:end -->\nafter\n")
    assert into(path, "BOARD", "new \\1 text\n")
    assert path.read_text() == "before\n<!-- BOARD:begin -->\nnew \\1 text\n<!-- BOARD:end -->\nafter\n"
    assert not into(path, "BOARD", "new \\1 text")
    assert [p.name for p in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    "text", ["", "<!-- B:begin -->", "<!-- B:end --><!-- B:begin -->", 2 * "<!-- B:begin --><!-- B:end -->"]
)
def test_into_refuses_a_file_without_the_block(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(ValueError, match="once each"):
        into(path, "B", "x")
    assert path.read_text() == text
