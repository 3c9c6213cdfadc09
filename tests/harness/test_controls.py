"""Controls: methods that are in the tables to be compared with, and in no rank."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from dcdbench.harness.board import CLEAN, CONTROL, Board, CellResult, Claim, Pair, ValueInfo
from dcdbench.harness.contests import evaluate_claims
from dcdbench.harness.front import front, points
from dcdbench.harness.gains import against, gains
from dcdbench.harness.leaderboard import leaderboard
from dcdbench.harness.mistakes import SuiteError
from dcdbench.harness.plan import Plan, make_plan
from dcdbench.harness.suite import select
from dcdbench.harness.suitefile import load_suite

SUITE = """
seeds: [0]
network: {{mlp: {{width: 8, depth: 1}}}}
budget: {{teacher_kimg: 2, student_kimg: 1, batch: 32}}
tasks: {{dots: {{data: {{gaussian: {{dim: 4, rank: 2}}}}, operator: identity, sigma_y: 0.5}}}}
methods:
  pca: {{pca_gaussian: {{rank: {{grid: [1, 2]}}}}}}
  observed: observed
  teacher: teacher
  dcd: dcd
  oracle: oracle
  idle: observed
metrics: [frechet]
claims: [{{name: better, better: dcd, than: "pca[rank=1]", metric: frechet}}]
{more}
"""


def plan(folder: Path, more: str) -> Plan:
    path = folder / "controls.yaml"
    path.write_text(SUITE.format(more=more), encoding="utf-8")
    return make_plan(load_suite(path))


def marked(made: Plan) -> set[str]:
    return {cell.method for cell in made.cells if CONTROL in cell.marks}


@pytest.mark.parametrize(
    ("more", "methods"),
    [
        ("", set()),
        ("controls: pca", {"pca[rank=1]", "pca[rank=2]"}),
        ("controls: ['pca[rank=2]', obs*]", {"pca[rank=2]", "observed"}),
        ("controls: [dcd]", {"dcd"}),
    ],
)
def test_names_patterns_and_grids_are_marked(tmp_path: Path, more: str, methods: set[str]) -> None:
    """And nothing else moves: neither stages, nor the marks of others, nor the claims."""
    made, plain = plan(tmp_path, more), plan(tmp_path, "")
    assert marked(made) == methods
    assert [stage.key for stage in made.stages] == [stage.key for stage in plain.stages]
    assert [c.marks for c in made.cells if c.method == "oracle"] == [(CLEAN,)]
    assert made.suite.claims == plain.suite.claims
    assert {p.student for p in made.pairs} == {"dcd"} - methods
    few = make_plan(select(made.suite, methods=["dcd", "pca"]))
    assert marked(few) == methods - {"observed"}


def test_no_such_method_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"controls\[1\]: no such method; .*did you mean 'teacher'"):
        plan(tmp_path, "controls: [pca, teachr]")
    (tmp_path / "top.yaml").write_text("include: controls.yaml\nmethods: {teacher: null}\n", encoding="utf-8")
    plan(tmp_path, "controls: [teacher]")
    with pytest.raises(SuiteError, match=r"controls\[0\]: names a method that null leaves out"):
        load_suite(tmp_path / "top.yaml")


@pytest.mark.parametrize(
    ("more", "baseline"),
    [("", "observed"), ("controls: obs*", "idle"), ("controls: [observed, idle]", "observed")],
)
def test_the_baseline_is_a_control_where_all_that_train_nothing_are(
    tmp_path: Path, more: str, baseline: str
) -> None:
    assert plan(tmp_path, more).baseline == baseline


LEVELS = {"pca": 1.0, "dcd": 2.0, "teacher": 3.0}


def board(marks: tuple[str, ...]) -> Board:
    """A control that is better, and cheaper, than all others."""
    cells = [
        CellResult(
            task,
            method,
            seed,
            "done",
            scores={"sw": level + random.Random(f"{task}{method}{seed}").gauss(0, 0.01)},
            cost={"nfe": level},
            marks=marks if method == "pca" else (),
        )
        for task in ("a", "b")
        for method, level in LEVELS.items()
        for seed in range(3)
    ]
    pairs = tuple(Pair(task, "dcd", "teacher") for task in ("a", "b"))
    claims = (Claim("worse", "pca", "dcd", "sw"),)
    return Board("s", tuple(cells), {"sw": ValueInfo("sw", "lower")}, ("sw",), pairs, claims)


def shown(b: Board, title: str) -> dict[str, tuple[str, bool]]:
    """The first number of each row, and whether it is best."""
    (t,) = (t for t in leaderboard(b).tables if t.title == title)
    return {row[0].text: (row[-1].text, row[-1].best) for row in t.rows}


def test_a_control_has_a_row_and_no_rank() -> None:
    """The other side is what the table says of the same numbers without the mark."""
    found, plain = board((CONTROL,)), board(())
    rows, others = shown(found, "a"), shown(plain, "a")
    assert list(rows) == ["pca [control]", "dcd", "teacher"] and list(others) == list(LEVELS)
    assert [name for name, (_, best) in rows.items() if best] == ["dcd"]
    assert [name for name, (_, best) in others.items() if best] == ["pca"]
    assert rows["pca [control]"][0] == others["pca"][0].removesuffix(" a")
    assert list(shown(found, "mean rank: sw")) == ["dcd", "teacher"]
    assert list(shown(plain, "mean rank: sw")) == ["pca", "dcd", "teacher"]
    assert "pca [control]" in shown(found, "a: cost")
    assert not any("ontrol" in note for t in leaderboard(plain).tables for note in t.notes)
    (first, *_), ranks = leaderboard(found).tables, leaderboard(found).tables[-2]
    assert any(note.startswith("Controls, which are simple or closed models") for note in first.notes)
    assert "Controls, which are in no rank: pca." in ranks.notes
    assert not any("clean" in note for note in first.notes)


def test_a_control_is_not_on_the_front_but_beside_it() -> None:
    for marks, names in (((CONTROL,), ["dcd"]), ((), ["pca"])):
        found = points(board(marks), "a", "sw", "nfe")
        assert [p.method for p in front(found, "lower")] == names and len(found) == 3


def test_claims_and_comparisons_may_name_a_control() -> None:
    b = board((CONTROL,))
    assert evaluate_claims(b) == evaluate_claims(board(())) and evaluate_claims(b)[0].verdict == "HOLDS"
    for given, said in ((b, True), (replace(b, cells=board(()).cells), False)):
        tables = gains(against(given, ["pca"]), other="rival").tables
        assert any("pca is a control" in note for t in tables for note in t.notes) is said
