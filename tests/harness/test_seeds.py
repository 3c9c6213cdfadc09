"""Seeds of single tasks: who has which, in what order they are done, and what is said of their number."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from dcdbench.cli import cli
from dcdbench.harness.board import Board, CellResult, Claim, Pair, ValueInfo
from dcdbench.harness.contests import evaluate_claims
from dcdbench.harness.gains import gains
from dcdbench.harness.leaderboard import leaderboard
from dcdbench.harness.mistakes import SuiteError
from dcdbench.harness.plan import Plan, make_plan
from dcdbench.harness.schedule import Schedule
from dcdbench.harness.suite import Suite, quick, select
from dcdbench.harness.suitefile import load_suite

TASK = (
    "{{data: {{gaussian: {{dim: 4, rank: 2}}}}, operator: identity, sigma_y: 0.5, train: 64, heldout: 32{}}}"
)
SUITE = """
seeds: {seeds}
network: {{mlp: {{width: 8, depth: 1}}}}
budget: {{teacher_kimg: 2, student_kimg: 1, batch: 32}}
tasks:
  dear: {dear}
  cheap: {cheap}
  last: {last}
methods: {{observed: observed, teacher: teacher, dcd: dcd}}
metrics: [frechet]
claims: [{{name: a student is better, better: dcd, than: teacher, metric: frechet, tasks: [dear, cheap]}}]
"""
OWN = ", seeds: [7, 1, 5, 0]"


def suite(folder: Path, cheap: str = OWN, seeds: str = "[1, 2]") -> Suite:
    path = folder / "seeds.yaml"
    text = SUITE.format(seeds=seeds, dear=TASK.format(""), cheap=TASK.format(cheap), last=TASK.format(""))
    path.write_text(text, encoding="utf-8")
    return load_suite(path)


def test_a_task_has_its_own_seeds_or_those_of_the_suite(tmp_path: Path) -> None:
    """And with them the very stages of a suite that has them at its top; the control: other seeds, others."""
    found = suite(tmp_path)
    assert found.cells == 3 * (2 + 4 + 2) and found.counts == (2, 4)
    own = {stage.key for stage in make_plan(select(found, tasks=["cheap"])).stages}
    top, other = (suite(tmp_path, cheap="", seeds=text) for text in ("[0, 1, 5, 7]", "[0, 1, 5, 8]"))
    assert own == {stage.key for stage in make_plan(select(top, tasks=["cheap"])).stages}
    assert own != {stage.key for stage in make_plan(select(other, tasks=["cheap"])).stages}


def places(plan: Plan) -> list[tuple[int, str]]:
    """Of each stage, in their order, which seed of its task it is of, and the task."""
    return [
        (plan.suite.seeds_of(task).index(stage.seed), task)
        for stage in plan.stages
        for task in [stage.label.split("/")[0]]
    ]


def test_stages_are_in_order_of_seeds_and_within_a_seed_of_tasks(tmp_path: Path) -> None:
    """Every task's first seed, every task's second: whole tables of few seeds come before any of more."""
    plan = make_plan(suite(tmp_path))
    order = ["dear", "cheap", "last"]
    ranked = [(i, order.index(task)) for i, task in places(plan)]
    assert ranked == sorted(ranked) and ranked[0] == (0, 0) and ranked[-1] == (3, 1)
    assert [seed for task, seed in plan.suite.rounds if task == "cheap"] == [7, 1, 5, 0]
    cells = [(plan.suite.seeds_of(c.task).index(c.seed), order.index(c.task)) for c in plan.cells]
    assert cells == sorted(cells)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stage_of_a_later_seed_starts_only_when_no_earlier_one_can(tmp_path: Path, jobs: int) -> None:
    """Whatever stages take. Side by side, a process that has nothing to do may begin the next seed."""
    plan, rng, clock = make_plan(suite(tmp_path)), random.Random(0), 0.0
    rounds = dict(zip((stage.key for stage in plan.stages), (i for i, _ in places(plan)), strict=True))
    schedule, running, done, begun = Schedule(plan.stages), {}, set(), []
    while schedule.pending():
        while len(running) < jobs and (stage := schedule.take()):
            ready = [
                s for s in plan.stages if s.key not in {*done, *running} and {*s.parents.values()} <= done
            ]
            assert rounds[stage.key] == min(rounds[s.key] for s in ready)
            running[stage.key] = clock + rng.expovariate(1.0)
            begun.append(rounds[stage.key])
        clock, key = min((end, key) for key, end in running.items())
        del running[key]
        done.add(key)
        schedule.settle(key, "done")
    assert jobs > 1 or begun == sorted(begun)


def test_a_choice_of_seeds_leaves_out_tasks_that_have_none_of_them(tmp_path: Path) -> None:
    whole = suite(tmp_path)
    few = select(whole, seeds=[7, 0])
    assert list(few.tasks) == ["cheap"] and few.seeds_of("cheap") == (7, 0)
    assert few.claims[0].tasks == ("cheap",)
    assert {(c.task, c.seed) for c in make_plan(select(whole, seeds=[1])).cells} == {
        ("dear", 1), ("cheap", 1), ("last", 1)
    }  # fmt: skip
    assert select(whole) == whole and list(select(whole, tasks=["*"], seeds=[7]).tasks) == ["cheap"]
    with pytest.raises(SuiteError, match="the task 'dear' has no seed 7; it has: 1, 2"):
        select(whole, tasks=["dear", "cheap"], seeds=[7])
    with pytest.raises(SuiteError, match="the suite has no seed '7'; it has: 1, 2"):
        select(whole, tasks=["dear"], seeds=[7])


def test_quick_has_the_first_seed_of_each_task(tmp_path: Path) -> None:
    assert quick(suite(tmp_path)).rounds == (("dear", 1), ("cheap", 7), ("last", 1))


@pytest.mark.parametrize("seeds", ["[]", "[0, 0]", "[-1]", "[a]"])
def test_seeds_that_are_none_are_a_mistake(tmp_path: Path, seeds: str) -> None:
    with pytest.raises(SuiteError, match=r"seeds.yaml:7: tasks.cheap.seeds"):
        suite(tmp_path, cheap=f", seeds: {seeds}")


def board(counts: dict[str, int]) -> Board:
    """A student that is better by about one, on tasks with so many seeds."""
    cells = [
        CellResult(task, method, seed, "done", scores={"sw": level + 0.01 * seed * (method == "dcd")})
        for task, n in counts.items()
        for method, level in (("teacher", 2.0), ("dcd", 1.0))
        for seed in range(n)
    ]
    pairs = tuple(Pair(task, "dcd", "teacher") for task in counts)
    claims = (Claim("better", "dcd", "teacher", "sw"),)
    return Board("s", tuple(cells), {"sw": ValueInfo("sw", "lower")}, ("sw",), pairs, claims)


def test_each_task_is_judged_on_all_of_its_seeds() -> None:
    """The control: one seed decides nothing, however many another task has."""
    (found,) = evaluate_claims(board({"dear": 3, "cheap": 5}))
    assert found.verdict == "HOLDS" and [c.difference.n for _, c in found.evidence] == [3, 5]
    assert evaluate_claims(board({"dear": 1, "cheap": 5}))[0].verdict == "UNDECIDED"


@pytest.mark.parametrize(
    ("counts", "text", "said"),
    [
        ({"a": 3}, "3 seeds: an exact sign-flip p cannot be below 0.25, so it cannot reach 0.05", "3 seeds."),
        ({"a": 3, "b": 3}, "3 seeds: an exact sign-flip p cannot be below 0.25, so it cannot", "3 seeds."),
        (
            {"a": 5, "b": 3},
            "3 to 5 seeds: an exact sign-flip p cannot be below 0.25 to 0.0625",
            "3 to 5 seeds.",
        ),
        (
            {"a": 6, "b": 3},
            "below 0.25 to 0.0312, by the seeds of the task; 0.05 takes 6 seeds.",
            "3 to 6 seeds.",
        ),
        (
            {"a": 7, "b": 6},
            "6 to 7 seeds: an exact sign-flip p cannot be below 0.0312 to 0.0156,",
            "6 to 7 seeds.",
        ),
        ({"a": 1}, "1 seed: an exact sign-flip p cannot be below 1", "1 seed, which gives no interval"),
        ({"a": 1, "b": 2}, "1 to 2 seeds: an exact", "1 to 2 seeds; one alone gives no interval"),
    ],
)
def test_what_is_said_of_the_number_of_seeds(counts: dict[str, int], text: str, said: str) -> None:
    assert text in " ".join(leaderboard(board(counts)).footer)
    assert said in " ".join(gains(board(counts)).footer)


def test_verbs_say_whose_seeds_they_take(tmp_path: Path) -> None:
    suite(tmp_path)
    said = CliRunner().invoke(cli, ["validate", str(tmp_path / "seeds.yaml")]).output
    assert "3 tasks x 3 methods x 2 to 4 seeds = 24 cells" in said
    for task, seed in (("dear", 1), ("cheap", 7)):
        said = CliRunner().invoke(cli, ["predict", str(tmp_path / "seeds.yaml"), "-t", task]).output
        assert said.startswith(f"{task}, seed {seed}: d = 4")
