"""Laws of learning curves: their points are the leaderboard's numbers, and nothing is left out silently."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dcdbench.cli import cli
from dcdbench.harness import learning_picture, results
from dcdbench.harness.board import CLEAN, Board, CellResult, Skip
from dcdbench.harness.costs import steps_of
from dcdbench.harness.leaderboard import leaderboard
from dcdbench.harness.learning import Panel, panels, steps
from dcdbench.harness.learning_picture import HUES, draw
from dcdbench.harness.learning_table import document, tables
from dcdbench.harness.matching import Share
from dcdbench.harness.mistakes import SuiteError
from dcdbench.harness.plan import Plan, make_plan
from dcdbench.harness.results import collect
from dcdbench.harness.store import Store
from dcdbench.harness.suitefile import load_suite

SUITES = Path(__file__).parents[2] / "suites"
GRID = """{grid: [
    {teacher_kimg: 2, student_kimg: 1, batch: 32}, {teacher_kimg: 2, student_kimg: 4.01, batch: 32},
    {teacher_kimg: 4, student_kimg: 8, batch: 64}, {teacher_kimg: 4, student_kimg: 2, batch: 64}]}"""
SUITE = """
seeds: [0, 1]
network: {mlp: {width: 8, depth: 1}}
tasks:
  dots: {data: {gaussian: {dim: 4, rank: 2}}, operator: identity, sigma_y: SIGMA, budget: BUDGET}
  single:
    {data: digits, operator: identity, sigma_y: 0.2, budget: {teacher_kimg: 1, student_kimg: 1, batch: 32}}
methods: {teacher: teacher, dcd: dcd}
metrics: [sliced_w2, frechet, manifold]
primary: [sliced_w2, recall]
reference: dcd
"""


def plan(folder: Path, budget: str = GRID, sigma: str = "0.5", text: str = SUITE) -> Plan:
    path = folder / "steps.yaml"
    path.write_text(text.replace("BUDGET", budget).replace("SIGMA", sigma), encoding="utf-8")
    return make_plan(load_suite(path))


@pytest.fixture
def made(tmp_path: Path) -> Plan:
    return plan(tmp_path)


def board(made: Plan, folder: Path, change: Callable[[CellResult], CellResult] = lambda c: c) -> Board:
    """Random results of all cells of a plan, after a change."""
    rng, empty = random.Random(0), collect(made, Store(folder / "none"))
    floors = {seed: {"sliced_w2": rng.random(), "recall": rng.random()} for seed in (0, 1)}

    def finished(c: CellResult) -> CellResult:
        scores = {name: rng.random() for name in empty.values}
        return replace(c, status="done", scores=scores, floor=floors[c.seed])

    return replace(empty, cells=tuple(change(finished(c)) for c in empty.cells))


def first(c: CellResult) -> bool:
    return "student_kimg(1)" in c.task and c.method == "dcd" and c.seed == 1


def qualities(found: tuple[Panel, ...]) -> dict[tuple[str, str, str], tuple[float, ...]]:
    """Mean and interval of each point, by variant, method and value."""
    return {
        (p.task, line.method, panel.info.name): (p.quality.mean, p.quality.low, p.quality.high)
        for panel in found
        for line in panel.lines
        for p in line.points
    }


# Steps


@pytest.mark.parametrize(
    ("kimg", "batch", "count"),
    [(64, 128, 500), (0.128, 128, 1), (0.129, 128, 2), (1e-6, 128, 1), (3, 1, 3000)],
)
def test_the_last_step_is_a_whole_one(kimg: float, batch: int, count: int) -> None:
    assert steps(kimg, batch) == count


def test_steps_are_the_lengths_of_the_trainings(made: Plan, tmp_path: Path) -> None:
    """Those of the phases that are trained, and of budgets that are scaled for equal operations too."""
    lengths = {
        (cell.task, cell.method): [
            steps_of(s.spec["phase"]) for s in made.stages if s.key == cell.trained[-1]
        ]
        for cell in made.cells
    }
    full = board(made, tmp_path)
    (panel, _) = panels(made, full)
    assert panel.phase == "student"
    for line in panel.lines:
        if line.method == "dcd":
            assert [[p.steps] for p in line.points] == [lengths[p.task, "dcd"] for p in line.points]
            assert [p.steps for p in line.points] == {32: [32, 126], 64: [32, 125]}[line.batch]
    half = replace(made, cells=tuple(replace(c, share=Share(0.5)) for c in made.cells))
    scaled = panels(half, full)[0].lines[-1]
    assert [p.steps for p in scaled.points] == [16, 63]
    least = replace(made, cells=tuple(replace(c, share=Share(1e-3)) for c in made.cells))
    equal = tables(panels(least, full), full).tables[0].rows
    assert [row[0].text for row in equal] == ["1", "floor"]
    assert [entry.text.count(" / ") for entry in equal[0]] == [0, 1, 1, 1, 1]


# Numbers


def test_points_are_the_numbers_of_the_leaderboard(made: Plan, tmp_path: Path) -> None:
    full = board(made, tmp_path)
    found = qualities(panels(made, full))
    rows = {
        (table.title, row[0].text, column.split()[0]): (entry.value, entry.low, entry.high)
        for table in leaderboard(full).tables
        for row in table.rows
        for column, entry in zip(table.columns, row, strict=True)
    }
    assert len(found) == 4 * 2 * 2
    assert found == {place: rows[place] for place in found}
    floors = {panel.info.name: panel.floor for panel in panels(made, full)}
    assert floors == {name: rows[full.tasks[0], "floor", name][0] for name in ("sliced_w2", "recall")}
    other = board(made, tmp_path, lambda c: replace(c, scores={**c.scores, "recall": 2.0}) if first(c) else c)
    moved = [place for place, numbers in qualities(panels(made, other)).items() if numbers != found[place]]
    assert [(method, value) for _, method, value in moved] == [("dcd", "recall")]


def test_the_order_of_cells_and_of_the_grid_moves_nothing(made: Plan, tmp_path: Path) -> None:
    full = board(made, tmp_path)
    mixed = replace(full, cells=tuple(random.Random(1).sample(full.cells, len(full.cells))))
    tasks = dict(reversed(made.suite.tasks.items()))
    turned = replace(made, suite=replace(made.suite, tasks=tasks))
    assert panels(turned, full) == panels(made, full)
    one, two = panels(made, full), panels(turned, mixed)
    assert [p.info.name for p in one] == [p.info.name for p in two] == ["sliced_w2", "recall"]
    assert [{(line.method, line.batch): line for line in p.lines} for p in one] == [
        {(line.method, line.batch): line for line in p.lines} for p in two
    ]


def test_marks_are_told(made: Plan, tmp_path: Path) -> None:
    def granted(c: CellResult) -> CellResult:
        return replace(c, marks=(CLEAN,)) if c.method == "teacher" else c

    for change, marks in ((lambda c: c, ""), (granted, " [clean data]")):
        full = board(made, tmp_path, change)
        columns = tables(panels(made, full), full).tables[0].columns
        lines = [f"teacher{marks}, batch 32", f"teacher{marks}, batch 64", "dcd, batch 32", "dcd, batch 64"]
        assert columns == ("steps", *lines)


# What has no result


@pytest.mark.parametrize("status", ["missing", "diverged", "failed", "skipped"])
def test_what_has_no_result_is_named_and_not_drawn(made: Plan, tmp_path: Path, status: str) -> None:
    def lost(c: CellResult) -> CellResult:
        return replace(c, status=status, reason="because", scores={}, floor={}) if first(c) else c

    whole, part = board(made, tmp_path), board(made, tmp_path, lost)
    if status == "skipped":  # a method that cannot work has no cells
        (name,) = {c.task for c in part.cells if first(c)}
        kept = tuple(c for c in part.cells if (c.task, c.method) != (name, "dcd"))
        part = replace(part, cells=kept, skips=(Skip(name, "dcd", "because"),))
    for full, named in ((whole, False), (part, True)):
        found = panels(made, full)
        notes = [n for n in tables(found, full).footer if n.startswith("Without a result")]
        told = document(found, full)["without_result"]
        assert len(told) == len(notes) == named
        assert all(
            "dots: dcd, batch 32, steps 32: " in n and f"{status}: because" in n for n in (*notes, *told)
        )
        gone = [p for panel in found for line in panel.lines for p in line.points if not p.drawn]
        assert bool(gone) == (named and status in ("diverged", "skipped"))  # else one of two seeds is there


def test_a_value_that_does_not_apply_is_no_number(made: Plan, tmp_path: Path) -> None:
    def without(c: CellResult) -> CellResult:
        return replace(c, scores={"sliced_w2": 1.0})

    blind = board(made, tmp_path, without)
    (_, panel) = panels(made, blind)
    assert not any(p.drawn for line in panel.lines for p in line.points)
    assert "no recall" in {e.text for row in tables([panel], blind).tables[0].rows for e in row}
    told = json.loads(json.dumps(document([panel], blind), allow_nan=False))["without_result"]
    assert told[0] == "dots: teacher, batch 32, steps 32, 126: no recall" and len(told) == 4


# Suites without curves


@pytest.mark.parametrize(
    ("budget", "sigma", "words"),
    [
        (
            "{teacher_kimg: 2, student_kimg: 1, batch: {grid: [32, 64]}}",
            "0.5",
            "tasks: a learning curve needs",
        ),
        (
            "{teacher_kimg: {grid: [2, 4]}, student_kimg: {grid: [1, 2]}}",
            "0.5",
            "varies the length of one phase",
        ),
        (
            "{teacher_kimg: {grid: [2, 4]}, student_kimg: 1}",
            "{grid: [0.5, 1]}",
            r"length of a phase alone.*\['sigma_y'\]",
        ),
        (
            "{teacher_kimg: {grid: [2, 4]}, student_kimg: 1, match: {grid: [images, flops]}}",
            "0.5",
            r"length of a phase alone.*\['budget.match'\]",
        ),
        ("{teacher_kimg: {grid: [2, 2.1]}, student_kimg: 1}", "0.5", r"at batch 256 .*\[8, 9\]"),
        ("{teacher_kimg: {grid: [2, 2.01]}, student_kimg: 1}", "0.5", r"at batch 256 .*\[8, 8\]"),
    ],
)
def test_what_is_no_curve_is_one_mistake(tmp_path: Path, budget: str, sigma: str, words: str) -> None:
    other = plan(tmp_path, budget, sigma)
    if "8, 9" in words:  # control: these are different
        assert [p.steps for p in panels(other, board(other, tmp_path))[0].lines[0].points] == [8, 9]
        return
    with pytest.raises(SuiteError, match=words) as caught:
        panels(other, board(other, tmp_path))
    assert len(caught.value.mistakes) == 1


# The picture


def test_what_is_drawn_is_what_there_is(made: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(learning_picture, "save", lambda figure, path: figures.append(figure))

    def lost(c: CellResult) -> CellResult:
        return replace(c, status="diverged", scores={}) if first(c) else c

    found = panels(made, board(made, tmp_path, lost))
    assert draw(tmp_path / "x.svg", "title", found) == 2
    for axis, panel in zip(figures[0].axes, found, strict=True):
        assert axis.get_xscale() == "log"
        curves = [axis.containers[i].lines[0].get_xydata().tolist() for i in range(len(panel.lines))]
        drawn = [[p for p in line.points if p.drawn] for line in panel.lines]
        assert curves == [[[p.steps, p.quality.mean] for p in points] for points in drawn]
        assert sum(map(len, curves)) == 4 * 2 - 1
        bars = [bar for c in axis.containers for bar in c.lines[2][0].get_segments()]
        tops = [p.quality.high for points in drawn for p in points]
        assert [bar[1, 1] for bar in bars] == pytest.approx(tops)
        (floor,) = [line for line in axis.lines if line.get_linestyle() == "--"]
        assert set(floor.get_ydata()) == {panel.floor}
        assert panel.info.direction in axis.get_title() and panel.info.unit in axis.get_ylabel()
    looks = {(c.lines[0].get_color(), c.lines[0].get_marker()) for c in figures[0].axes[0].containers}
    assert len(looks) == 4
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [line.label for line in found[0].lines]
    draw(tmp_path / "x.svg", "title", (replace(found[0], lines=found[0].lines[1::2]), found[1]))
    assert [text.get_text() for text in figures[1].legends[0].get_texts()] == [
        text.get_text() for text in legend.get_texts()
    ]


def test_the_picture_is_the_same_bytes_each_time(made: Plan, tmp_path: Path) -> None:
    found = panels(made, board(made, tmp_path))
    one, two = tmp_path / "one.svg", tmp_path / "two.svg"
    assert draw(one, "title", found) == draw(two, "title", found) == 2
    assert one.read_bytes() == two.read_bytes()


def test_lines_that_cannot_be_told_apart_are_refused(made: Plan, tmp_path: Path) -> None:
    (panel, _) = panels(made, board(made, tmp_path))
    many = replace(panel, lines=tuple(replace(panel.lines[0], method=str(i)) for i in range(len(HUES) + 1)))
    with pytest.raises(ValueError, match=f"{len(HUES)} methods apart, got {len(HUES) + 1}"):
        draw(tmp_path / "x.svg", "title", [many])


# The verb


@pytest.fixture
def invoke(made: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The verb, on a board of random results."""

    def call(*arguments: object, full: bool = True) -> Result:
        with monkeypatch.context() as patch:
            patch.setenv("NO_COLOR", "1")
            if full:
                patch.setattr(results, "collect", lambda plan, store: board(plan, tmp_path))
            where = ("--store", tmp_path / "none", "-o", tmp_path / "c.svg")
            return CliRunner().invoke(cli, ["curves", *map(str, (*arguments, *where))])

    return call


def test_the_verb_prints_draws_and_writes(made: Plan, tmp_path: Path, invoke: Callable[..., Result]) -> None:
    path = made.suite.path
    printed = invoke(path)
    assert printed.exit_code == 0 and (tmp_path / "c.svg").stat().st_size > 1000
    assert "dots: recall ↑" in printed.stdout and "does not vary: single" in printed.stdout
    told = json.loads(invoke(path, "--json", "--value", "frechet").stdout)
    assert told["schema"] == "dcdbench.curves/1" and told["without_curve"] == ["single"]
    assert [(p["value"], p["phase"], p["floor"]) for p in told["panels"]] == [("frechet", "student", None)]
    page = tmp_path / "page.md"
    page.write_text("<!-- steps:begin -->\n<!-- steps:end -->\n", encoding="utf-8")
    assert invoke(path, "--into", page).exit_code == 0
    assert "| 126 " in page.read_text(encoding="utf-8")
    page.write_text("no marks", encoding="utf-8")
    assert invoke(path, "--into", page).exit_code == 2


def test_the_verb_refuses_what_it_cannot_draw(
    made: Plan, tmp_path: Path, invoke: Callable[..., Result]
) -> None:
    path = made.suite.path
    empty = invoke(path, full=False)
    assert empty.exit_code == 3 and "run it first" in empty.stderr and not (tmp_path / "c.svg").exists()
    flat = invoke(path, "-t", "single")
    assert flat.exit_code == 2 and "needs a task with a grid over its budget" in str(flat.output)
    none = invoke(path, "--set", "primary=[]")
    assert none.exit_code == 2 and "no primary values" in none.output
    value = invoke(path, "--value", "beauty")
    assert value.exit_code == 2 and "sliced_w2" in value.output and "beauty" in value.output


# The suites


def test_the_students_of_a_batch_size_have_one_teacher_of_the_other_suite() -> None:
    teachers, students = (make_plan(load_suite(SUITES / f"{w}-steps.yaml")) for w in ("teacher", "student"))
    counts = {"ring-noise": [500, 1000, 2000, 4000], "mixture-masks": [500, 1000, 2000, 4000]}
    counts["letters-noise"] = [500, 1000, 2000]
    for made, phase in ((teachers, "teacher"), (students, "student")):
        assert made.suite.seeds == (100,) and not any(cell.reason for cell in made.cells)
        found = panels(made, collect(made, Store("none")))
        assert [(p.task, p.info.name) for p in found] == VALUES
        for panel in found:
            assert panel.phase == phase
            assert all([p.steps for p in line.points] == counts[panel.task] for line in panel.lines)
            assert len({line.batch for line in panel.lines}) == 2
    of = {cell.task: cell.trained[0] for cell in students.cells if cell.method == "dcd"}
    longest = {c.trained[0] for c in teachers.cells if _is_longest(teachers, c.task)}
    assert len(of) == 22 and set(of.values()) == longest and len(longest) == 6
    trained = {stage.key for stage in teachers.stages}
    assert all({c.stages["scores"], *c.trained} <= trained for c in students.cells if c.method != "dcd")


VALUES = [
    *(("ring-noise", name) for name in ("kl", "near_modes")),
    *(("mixture-masks", name) for name in ("sliced_w2", "near_modes")),
    *(("letters-noise", name) for name in ("feature_frechet", "feature_coverage", "sliced_w2")),
]


def _is_longest(made: Plan, name: str) -> bool:
    stem, budget = name.partition("[")[0], made.suite.tasks[name].budget
    same = [t.budget for n, t in made.suite.tasks.items() if n.partition("[")[0] == stem]
    return budget.teacher_kimg == max(b.teacher_kimg for b in same if b.batch == budget.batch)
