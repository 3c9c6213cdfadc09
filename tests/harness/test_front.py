"""Laws of the front: nobody on it is beaten in both, all others are; what is not finite is left out."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dcdbench.cli import cli
from dcdbench.harness.board import CLEAN, Board, CellResult, ValueInfo
from dcdbench.harness.front import COSTS, Point, draw, front, points
from dcdbench.harness.statistics import Estimate, mean_interval

SCORE = ValueInfo("sw", "lower", "data unit")


def estimate(mean: float) -> Estimate:
    return mean_interval([mean, mean])


NUMBERS = st.integers(1, 6).map(float)  # few values, so that ties occur
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans()), max_size=8).map(
    lambda rows: [Point(f"m{i}", c, estimate(q), competes) for i, (c, q, competes) in enumerate(rows)]
)


def beats(a: Point, b: Point, sign: int) -> bool:
    better = (a.cost, sign * a.quality.mean), (b.cost, sign * b.quality.mean)
    return all(x <= y for x, y in zip(*better, strict=True)) and better[0] != better[1]


@given(found=POINTS, direction=st.sampled_from(["lower", "higher"]))
def test_the_front_is_what_no_competitor_beats(found: list[Point], direction: str) -> None:
    sign = -1 if direction == "higher" else 1
    able = [p for p in found if p.competes]
    best = front(found, direction)
    free = [p for p in able if not any(beats(q, p, sign) for q in able)]
    assert {(p.cost, p.quality.mean) for p in best} == {(p.cost, p.quality.mean) for p in free}
    assert all(p.competes for p in best)


def board(*cells: CellResult) -> Board:
    return Board("suite", cells, {"sw": SCORE}, ("sw",))


def cell(method: str, seed: int, score: float, cost: float, status: str = "done", marks=()) -> CellResult:
    scores = {"sw": score} if status == "done" else {}
    return CellResult("ring", method, seed, status, "", scores, {"sw": 0.1}, cost={"nfe": cost}, marks=marks)


def test_a_point_is_a_mean_and_a_divergence_leaves_none() -> None:
    made = board(
        cell("a", 0, 1.0, 2.0),
        cell("a", 1, 3.0, 4.0),
        cell("b", 0, 1.0, 1.0),
        cell("b", 1, 1.0, 1.0, "diverged"),
        cell("free", 0, 1.0, 0.0),
        cell("oracle", 0, 0.5, 1.0, marks=(CLEAN,)),
    )
    found = {p.method: p for p in points(made, "ring", "sw", "nfe")}
    assert found.keys() == {"a", "oracle"}  # without its diverged seed, `b` would be there
    assert (found["a"].cost, found["a"].quality.mean) == (3.0, 2.0)
    assert not found["oracle"].competes
    assert math.isnan(found["oracle"].quality.half)


@pytest.mark.parametrize("ending", [".svg", ".png"])
def test_the_picture_is_the_same_bytes_each_time(tmp_path: Path, ending: str) -> None:
    made = board(cell("a", 0, 1.0, 2.0), cell("b", 0, 0.5, 8.0))
    one, two = tmp_path / f"one{ending}", tmp_path / f"two{ending}"
    assert draw(one, made, SCORE, "nfe") == draw(two, made, SCORE, "nfe") == 1
    assert one.read_bytes() == two.read_bytes()
    assert draw(tmp_path / "none.svg", made, SCORE, "ms_per_sample") == 0
    assert not (tmp_path / "none.svg").exists()


def test_the_verb_offers_the_costs_that_can_be_drawn_and_refuses_others(tmp_path: Path) -> None:
    suite = "suites/quick.yaml"
    runner = CliRunner()
    wrong = runner.invoke(cli, ["front", suite, "--cost", "dollars"])
    assert wrong.exit_code == 2 and all(name in wrong.output for name in COSTS)
    value = runner.invoke(cli, ["front", suite, "--value", "beauty", "--store", str(tmp_path)])
    assert value.exit_code == 2 and "sliced_w2" in value.output and "beauty" in value.output
    empty = runner.invoke(cli, ["front", suite, "--store", str(tmp_path), "-o", str(tmp_path / "f.svg")])
    assert empty.exit_code == 3 and "run it first" in empty.output
