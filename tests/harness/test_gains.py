"""Laws of the table of gains: the numbers of the contests, a mark for each verdict, nothing dropped."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dcdbench.cli import cli
from dcdbench.harness.board import Board, CellResult, Pair, Skip, ValueInfo
from dcdbench.harness.contests import pairs
from dcdbench.harness.gains import IMPROVED, MARKS, _signed, against, gains
from dcdbench.harness.render import WIDTH, render, text_width
from dcdbench.harness.standing import Standing

LONG = ("gaussian", "manifold-projections", "digits-inpaint-noise", "mri-phantom")
SHIFTS = {"better": -0.4, "worse": 0.3, "unclear": 0.0}
VERDICTS = {"better": "IMPROVES", "worse": "DOES NOT", "unclear": "UNDECIDED"}
WORDS = {
    "sw": ValueInfo("sw", "lower"),
    "fd": ValueInfo("fd", "lower"),
    "cover": ValueInfo("cover", "higher"),
}
BRAIN = "E[A^T A] is singular"


def board(
    tasks=LONG, seeds=4, students=tuple(SHIFTS), teachers=("teacher", "cut"), change=lambda c: c, **fields
):
    cells = []
    for i, task in enumerate(tasks):
        for k in range(seeds):
            for m in (*teachers, *students):
                x = (
                    2
                    + i
                    + SHIFTS.get(m.partition("@")[0], 0.0)
                    + (0.02 if m in teachers else 0.05) * (-1) ** k
                )
                scores = {"sw": x, "fd": x + 1, "cover": -x, "other": 1.0}
                cells.append(change(CellResult(task, m, k, "done", scores=scores)))
    whole = Board("suite", tuple(cells), WORDS, ("sw", "fd"))
    both = tuple(Pair(t, s, other) for t in tasks for s in students for other in teachers)
    return dataclasses.replace(whole, pairs=both, **fields)


def become(status, reason="", **where):
    def change(c):
        hit = all(getattr(c, k) == v for k, v in where.items())
        return CellResult(c.task, c.method, c.seed, status, reason) if hit else c

    return change


def entries(b, value=0, **options):
    """By teacher, student and column."""
    t = gains(b, **options).tables[value]
    return {
        (row[0].text, row[1].text, name): e
        for row in t.rows
        for name, e in zip(t.columns[2:], row[2:], strict=True)
    }


def told(b, *args, form="text", **options):
    return " ".join(render(gains(b, *args, **options), form).split())


BOARDS = {
    "whole": board(),
    "diverged": board(change=become("diverged", "3/student/812", method="better", task="gaussian", seed=1)),
    "all diverged": board(change=become("diverged", method="better")),
    "teacher diverged": board(change=become("diverged", method="teacher", seed=0)),
    "skipped": board(change=become("skipped", "100% of {masks} & _more_", task="gaussian", method="cut")),
    "failed": board(change=become("failed", "why", seed=2)),
    "missing": board(change=become("missing", method="worse", seed=3)),
    "nothing": board(change=become("missing")),
    "one seed": board(seeds=1),
    "no cells": Board("suite", (), WORDS, ("sw",)),
    "no students": board(students=()),
    "no teachers": board(teachers=()),
    "higher": board(primary=("cover",)),
    "own": board(own_primary={LONG[1]: ("cover",), LONG[3]: ("sw", "cover")}),
    "without values": board(primary=("sw", "unheard")),
    "many students": board(students=tuple(f"better@{i}" for i in range(20)), tasks=LONG[:3]),
    "many tasks": board(
        tasks=tuple(f"digits-{i}-inpaint-noise" for i in range(12)), students=("better", "unclear")
    ),
    "infinite": board(
        change=lambda c: dataclasses.replace(c, scores=c.scores | {"sw": math.inf}) if c.seed == 0 else c
    ),
}


@pytest.fixture(params=BOARDS, name="any_board")
def _any_board(request):
    return BOARDS[request.param]


def test_numbers_are_those_of_the_contests(any_board):
    seen = 0
    for value, t in enumerate(gains(any_board).tables[:-1]):
        name, found = t.title.split()[0], entries(any_board, value)
        for task in any_board.tasks:
            contests = pairs(Standing(any_board, task))
            for row in contests.rows if contests else ():
                if row[2].text != name or name not in any_board.primary_of(task):
                    continue
                e, mean, d = found[row[1].text, row[0].text, task], row[3].value, row[5]
                assert e.verdict == row[6].text
                if d.value is None or not math.isfinite(d.value):
                    assert e.value is None
                    continue
                wanted = [100 * x / abs(mean) for x in (d.value, d.low, d.high)]
                assert [e.value, e.low, e.high] == pytest.approx(wanted, nan_ok=True)
                assert e.n == d.n
                seen += 1
    assert seen or any_board in [BOARDS[k] for k in ("nothing", "no cells", "no students", "no teachers")]


def test_every_verdict_has_its_mark_and_the_marks_are_explained():
    for (_, student, column), e in entries(BOARDS["whole"]).items():
        if column != IMPROVED:
            assert e.verdict == VERDICTS[student]
            assert e.text.endswith(MARKS[e.verdict])
            assert e.best == (e.verdict == "IMPROVES")
    for form in ("text", "markdown"):
        text = told(BOARDS["whole"], form=form)
        for verdict, mark in MARKS.items():
            assert re.search(rf"{re.escape(mark)}[^;]*: {verdict}", text)
    assert len(set(MARKS.values())) == 3


def test_what_improves_is_bold_in_markdown_and_nothing_else_is():
    lines = render(gains(BOARDS["whole"]), "markdown").splitlines()
    rows = [line.split("|") for line in lines if line.startswith("| teacher") and "±" in line]
    assert len(rows) == 6
    for row in rows:
        bold = [cell.strip().startswith("**") for cell in row[3:-2]]
        assert set(bold) == {row[2].strip() == "better"}


def test_teacher_and_student_swapped_turn_the_verdict():
    b = BOARDS["whole"]
    swapped = dataclasses.replace(b, pairs=tuple(Pair(p.task, p.teacher, p.student) for p in b.pairs))
    for task in LONG:
        for student, verdict in (("better", "DOES NOT"), ("worse", "IMPROVES"), ("unclear", "UNDECIDED")):
            e, turned = entries(b)["teacher", student, task], entries(swapped)[student, "teacher", task]
            assert turned.verdict == verdict
            assert e.value * turned.value < 0 or e.value == turned.value == 0


def test_a_value_that_should_be_high_gains_by_a_positive_difference():
    e = entries(BOARDS["higher"])["teacher", "better", "gaussian"]
    assert e.verdict == "IMPROVES" and e.text.startswith("+20 ±")
    assert "Higher is better: a positive difference is a gain." in told(BOARDS["higher"])
    assert "a negative difference is a gain." in told(BOARDS["whole"])
    assert "a positive difference" not in told(BOARDS["whole"])


def test_a_divergence_is_seen_and_counts():
    good, bad = (entries(BOARDS[k])["teacher", "better", "gaussian"] for k in ("whole", "diverged"))
    assert (good.verdict, bad.verdict) == ("IMPROVES", "DOES NOT")
    assert bad.text.endswith("† (diverged 1/4)") and "diverged" not in good.text
    assert "A diverged or infinite seed" in told(BOARDS["diverged"])
    assert "A diverged or infinite seed" not in told(BOARDS["whole"])
    lost = entries(BOARDS["all diverged"])["teacher", "better", "gaussian"]
    assert lost.text == "† (diverged 4/4)" and lost.value is None
    other = entries(BOARDS["teacher diverged"])
    assert other["teacher", "worse", "gaussian"].text.endswith("(teacher diverged 1/4)")
    assert "diverged" not in other["cut", "worse", "gaussian"].text
    assert "(infinite 1/4)" in entries(BOARDS["infinite"])["teacher", "worse", "gaussian"].text


def test_a_diverged_teacher_takes_its_student_with_it():
    b = board(change=lambda c: become("diverged", seed=1)(c) if c.method in ("teacher", "better") else c)
    assert entries(b)["teacher", "better", "gaussian"].text.endswith("% ? (both diverged 1/4)")


def test_what_is_not_there_says_so():
    found = entries(BOARDS["skipped"])
    assert found["cut", "better", "gaussian"].text == "skipped"
    assert found["cut", "better", IMPROVED].text == "3 of 3"
    assert found["teacher", "better", IMPROVED].text == "4 of 4"
    assert "cut is skipped on gaussian: 100% of {masks}" in told(BOARDS["skipped"])
    assert "skipped" not in told(BOARDS["whole"])
    gone = tuple(c for c in board().cells if (c.task, c.method) != ("gaussian", "cut"))
    rest = tuple(p for p in board().pairs if (p.task, p.teacher) != ("gaussian", "cut"))
    planned = dataclasses.replace(
        board(), cells=gone, pairs=rest, skips=(Skip("gaussian", "cut", "no levels"),)
    )
    assert entries(planned)["cut", "worse", "gaussian"].text == "skipped"
    assert "cut is skipped on gaussian: no levels" in told(planned)
    unpaired = dataclasses.replace(board(), pairs=rest)
    assert entries(unpaired)["cut", "worse", "gaussian"].text == "-"
    assert "(missing 1/4)" in entries(BOARDS["missing"])["teacher", "worse", "gaussian"].text
    assert entries(BOARDS["nothing"])["teacher", "worse", "gaussian"].text == "missing 4/4"
    assert "(both failed 1/4)" in entries(BOARDS["failed"])["teacher", "worse", "gaussian"].text
    alone = board(change=lambda c: dataclasses.replace(c, scores={"sw": 1.0}) if c.method == "cut" else c)
    assert entries(alone, 1)["cut", "worse", "gaussian"].text == "n/a"


def test_one_seed_decides_nothing():
    verdicts = {e.verdict for (*_, column), e in entries(BOARDS["one seed"]).items() if column != IMPROVED}
    assert verdicts == {"UNDECIDED"}
    assert "1 seed, which gives no interval" in told(BOARDS["one seed"])
    assert "4 seeds." in told(BOARDS["whole"])
    assert "not adjusted for their number (48)" in told(BOARDS["whole"])


def test_the_count_is_that_of_improvements():
    found = entries(BOARDS["diverged"])
    for teacher, student, column in found:
        if column == IMPROVED:
            each = [found[teacher, student, task].verdict for task in LONG]
            assert found[teacher, student, column].value == each.count("IMPROVES")
            assert found[teacher, student, column].n == len(LONG)


def test_the_summary_wants_one_improvement_and_nothing_worse_on_identifiable_tasks():
    def change(c):
        if c.method != "better" or c.task not in LONG[:2]:
            return c
        shift = {"gaussian": 0.4, "manifold-projections": 0.8}[c.task]
        return dataclasses.replace(c, scores=c.scores | {"fd": c.scores["fd"] + shift})

    def which(b, reasons):
        rows = gains(b, reasons).tables[-1].rows
        return {(row[0].text, row[1].text): (row[2].text, row[3].text) for row in rows}

    b = board(change=change)
    assert entries(b, 1)["teacher", "better", "gaussian"].verdict == "UNDECIDED"
    assert entries(b, 1)["teacher", "better", "manifold-projections"].verdict == "DOES NOT"
    mark = {"mri-phantom": BRAIN}
    assert which(b, mark)["teacher", "better"] == ("2 of 3", "gaussian, digits-inpaint-noise")
    assert which(b, {})["teacher", "better"][0] == "3 of 4"
    assert which(b, mark)["teacher", "worse"] == ("0 of 3", "")
    assert "improves in one of the primary values, and is worse in none" in told(b)


def test_unidentifiable_tasks_are_marked_and_told():
    columns = gains(BOARDS["whole"], {"mri-phantom": BRAIN}).tables[0].columns
    assert "mri-phantom §" in columns and "gaussian" in columns
    assert f"§ mri-phantom is not identifiable: {BRAIN}." in told(BOARDS["whole"], {"mri-phantom": BRAIN})
    assert "§" not in told(BOARDS["whole"], {"elsewhere": BRAIN})


def test_the_narrower_way_is_chosen_for_people():
    many, few = BOARDS["many tasks"], BOARDS["many students"]
    flat, turned = (gains(many, turn=turn).tables[0] for turn in (False, True))
    assert text_width(flat) > WIDTH >= text_width(turned)
    assert [row[0].text for row in turned.rows] == [*many.tasks, IMPROVED]
    for i, name in enumerate(turned.columns[1:]):
        assert name == "{1} against {0}".format(*(e.text for e in flat.rows[i][:2]))
        assert [row[i + 1] for row in turned.rows] == list(flat.rows[i][2:])
    assert gains(few, turn=True) == gains(few)


def test_text_fits_the_page_and_heads_are_whole_when_joined(any_board):
    tables = gains(any_board, turn=True)
    text = render(tables)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "\x1b" not in text and "\x1b[1m" in render(tables, color=True)
    if any_board is BOARDS["many tasks"]:
        assert all(name in text for name in any_board.tasks)


@pytest.mark.parametrize("turn", [False, True])
def test_all_forms_parse(any_board, turn):
    tables = gains(any_board, {"gaussian": BRAIN}, turn)
    document = json.loads(render(tables, "json"), parse_constant=pytest.fail)
    shown = [[[e["text"] for e in row] for row in t["rows"]] for t in document["tables"]]
    assert shown == [[[e.text for e in row] for row in t.rows] for t in tables.tables]
    lines = list(csv.reader(io.StringIO(render(tables, "csv"))))
    assert {len(line) for line in lines} == {8}
    for line in render(tables, "markdown").splitlines():
        if line.startswith("|"):
            bars = len(re.findall(r"(?<!\\)\|", line)) - 1
            assert bars in {len(t.columns) for t in tables.tables}
    tex = render(tables, "latex")
    assert not set("✓†§±↓↑") & set(tex) and tex.count(r"\toprule") == len(tables.tables)
    assert len(re.findall(r"(?<!\\)\{", tex)) == len(re.findall(r"(?<!\\)\}", tex))


def test_json_has_verdicts_as_words():
    document = json.loads(render(gains(BOARDS["whole"]), "json"))
    row = next(row for row in document["tables"][0]["rows"] if row[1]["text"] == "better")
    assert {e["verdict"] for e in row[2:-1]} == {"IMPROVES"} and "verdict" not in row[0]
    assert {"value", "low", "high", "n"} <= row[2].keys()


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9) | st.just(math.nan))
def test_a_written_difference_is_near_and_signed(x, half):
    text = _signed(x, half)
    shown = float(text.split(" ")[0])
    assert abs(shown - x) <= max(0.05 * abs(x), 0.05 if abs(x) < 10 and not half >= 1 else 0.5) + 1e-9 * abs(
        x
    )
    assert shown == 0 or text[0] == "+-"[x < 0]
    assert ("±" in text) == math.isfinite(half)


@pytest.mark.parametrize(
    ("x", "half", "text"),
    [
        (-45.2, 8.3, "-45 ± 8"),
        (3.14, 0.92, "+3.1 ± 0.9"),
        (-0.2, 4.0, "0 ± 4"),
        (2.0, 0.001, "+2.0 ± <0.1"),
        (-45.2, 0.3, "-45 ± <1"),
        (0.0, 0.0, "0.0 ± 0.0"),
        (-45.2, math.nan, "-45"),
        (250_000.0, 1e5, "+2.5e+05 ± 1.0e+05"),
    ],
)
def test_percentages(x, half, text):
    assert _signed(x, half) == text


def test_the_command_shows_and_writes_gains(tmp_path):
    suite = str(Path(__file__).parents[2] / "suites" / "quick.yaml")
    call = [*("leaderboard", suite, "--gains", "--store", str(tmp_path / "store"))]
    shown = CliRunner().invoke(cli, [*call, "--json"])
    assert shown.exit_code == 3, "nothing is finished"
    document = json.loads(shown.stdout)
    assert [t["title"] for t in document["tables"]][:2] == ["sliced_w2 ↓", "frechet ↓"]
    assert all(e["text"].startswith("missing") for e in document["tables"][0]["rows"][0][2:-1])
    page = tmp_path / "page.md"
    page.write_text("<!-- leaderboard:begin -->\n<!-- leaderboard:end -->\n")
    assert CliRunner().invoke(cli, [*call, "--into", str(page)]).exit_code == 0
    assert "improves in one of the primary values" in page.read_text()


def test_a_value_is_shown_on_the_tasks_that_it_is_primary_for():
    """And the verdict of a task goes by its own values: here one is better in all but `fd`."""
    b = board(own_primary={LONG[1]: ("cover",), LONG[3]: ("sw", "cover")})
    columns = {t.title.split()[0]: t.columns[2:-1] for t in gains(b).tables[:-1]}
    assert columns == {
        "sw": (LONG[0], LONG[2], LONG[3]),
        "fd": (LONG[0], LONG[2]),
        "cover": (LONG[1], LONG[3]),
    }
    assert "on each task those that are primary there" in told(b)

    def bad(c):
        return dataclasses.replace(c, scores=c.scores | {"fd": 99.0}) if c.method == "better" else c

    own = {task: ("sw", "cover") for task in LONG}
    better = [
        next(row[2].value for row in gains(x).tables[-1].rows if row[1].text == "better")
        for x in (board(change=bad), board(change=bad, own_primary=own))
    ]
    assert better == [0, len(LONG)]


def test_rivals_take_the_place_of_teachers():
    b = against(BOARDS["whole"], ["worse", "cut"])
    found = entries(b, other="rival")
    assert {key[:2] for key in found} == {
        ("worse", "better"),
        ("worse", "unclear"),
        *(("cut", student) for student in SHIFTS),
    }, "each student against each rival, and none against itself"
    assert found["worse", "better", "gaussian"].verdict == "IMPROVES"
    assert found["cut", "worse", "gaussian"] == entries(BOARDS["whole"])["cut", "worse", "gaussian"]
    text = told(b, other="rival")
    assert "students against rivals" in text and "in percent of the rival's mean" in text
    assert "teacher" not in text.split("Made by")[0]


def test_a_rival_that_diverges_loses_and_is_named():
    b = against(BOARDS["diverged"], ["better"])
    e = entries(b, other="rival")["better", "worse", "gaussian"]
    assert e.text.endswith("(better diverged 1/4)") and e.verdict != "DOES NOT"


def test_an_unknown_rival_is_told_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"no method is called 'em'.*better, worse"):
        against(BOARDS["whole"], ["em"])


def test_the_command_writes_rivals_into_a_place_of_their_own(tmp_path):
    suite = str(Path(__file__).parents[2] / "suites" / "quick.yaml")
    call = [*("leaderboard", suite, "--store", str(tmp_path / "store"), "--against")]
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- {x}:begin -->\n<!-- {x}:end -->\n" for x in ("leaderboard", "rivals")))
    done = CliRunner().invoke(cli, [*call, "observed", "--into", str(page)])
    assert done.exit_code == 0, done.output
    first, second = page.read_text().split("<!-- leaderboard:end -->")
    assert first == "<!-- leaderboard:begin -->\n" and "students against rivals" in second
    wrong = CliRunner().invoke(cli, [*call, "observd"])
    assert wrong.exit_code == 2 and "'observd'" in wrong.output and "observed" in wrong.output
