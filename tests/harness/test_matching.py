"""Equal operations: each method has the images that need what the reference needs, or says why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dcdbench.harness.estimate import OVERHEAD, Estimator
from dcdbench.harness.leaderboard import leaderboard
from dcdbench.harness.matching import Share
from dcdbench.harness.mistakes import SuiteError
from dcdbench.harness.operations import Operations
from dcdbench.harness.plan import Cell, Plan, make_plan
from dcdbench.harness.preview import describe
from dcdbench.harness.results import collect
from dcdbench.harness.store import Store
from dcdbench.harness.suite import Suite, select
from dcdbench.harness.suitefile import load_suite
from dcdbench.harness.table import Table
from dcdbench.harness.work import Rates
from dcdbench.problem import Problem
from dcdbench.streams import Stream

SUITE = """
version: 1
seeds: [0]
network: {{mlp: {{width: 16, depth: 1}}}}
budget: {{teacher_kimg: 64, student_kimg: 32, batch: 64{match}}}
tasks:
  dots: {{data: {{gaussian: {{dim: 4, rank: 2}}}}, operator: identity, sigma_y: 0.5, train: 64, heldout: 32}}
methods: {{dcd: dcd, teacher: teacher, gan: ambient_gan, idle: observed, mixture: gaussian_mixture_em}}
metrics: [frechet]
{reference}
"""


def suite(folder: Path, match: str = ", match: flops", reference: str = "reference: dcd") -> Suite:
    path = folder / "small.yaml"
    path.write_text(SUITE.format(match=match, reference=reference), encoding="utf-8")
    return load_suite(path)


def cells(plan: Plan) -> dict[str, Cell]:
    return {cell.method: cell for cell in plan.cells}


def spent(plan: Plan, method: str) -> int:
    """Operations of all steps of a method's trainings, from real steps of the real batches."""
    ((_, task),) = plan.suite.tasks.items()
    corruption, shape, parent, total = task.corruption, tuple(task.data.shape()), None, 0
    m = corruption(torch.randn(64, *shape, generator=Stream(0).rng()), Stream(1).rng())
    problem = Problem(m, m, corruption, shape)
    stages = {stage.key: stage for stage in plan.stages}
    for key in cells(plan)[method].trained:
        phase: Any = stages[key].spec["phase"]
        state = phase.init(problem, parent, Stream(2))
        parent = phase.result(state)
        with Operations() as counter:
            phase.step(state, problem, Stream(3))
        total += counter.total * -(-round(1000 * phase.kimg) // phase.batch)
    return total


def test_all_that_count_have_the_operations_of_the_reference(tmp_path: Path) -> None:
    """But for the last step; the control: with equal images they differ by more than a third."""
    plan, plain = make_plan(suite(tmp_path)), make_plan(suite(tmp_path, match=""))
    whole = spent(plan, "dcd")
    for method in ("teacher", "gan"):
        assert spent(plan, method) == pytest.approx(whole, rel=0.02)
        assert abs(spent(plain, method) / whole - 1) > 0.3
    assert spent(plain, "dcd") == whole


def test_the_reference_and_its_teacher_stay_what_they_are(tmp_path: Path) -> None:
    plan, plain = make_plan(suite(tmp_path)), make_plan(suite(tmp_path, match=""))
    assert cells(plan)["dcd"] == cells(plain)["dcd"]
    assert cells(plan)["teacher"].trained != cells(plain)["teacher"].trained  # the control
    assert {cell.share for cell in plain.cells} == {Share()}
    assert make_plan(suite(tmp_path)).cells == plan.cells  # counts, no times


def test_a_choice_of_methods_changes_no_budget(tmp_path: Path) -> None:
    whole = suite(tmp_path)
    few = make_plan(select(whole, methods=["teacher"]))
    assert few.cells == (cells(make_plan(whole))["teacher"],)


def test_what_is_not_scaled_says_why(tmp_path: Path) -> None:
    plan = make_plan(suite(tmp_path))
    assert cells(plan)["idle"].share == Share(reason="it trains nothing")
    assert cells(plan)["mixture"].share.factor == 1 and "do not count" in cells(plan)["mixture"].share.reason
    text = describe(plan, Store(tmp_path / "store"), 1)
    assert "matched: dots/teacher trains on" in text and "unmatched: dots/idle" in text
    assert "matched: dots/dcd" not in text


@pytest.mark.parametrize(
    ("reference", "message"),
    [("", "needs `reference`"), ("reference: dcdd", "no such method; there are: dcd")],
)
def test_a_missing_reference_is_a_mistake(tmp_path: Path, reference: str, message: str) -> None:
    with pytest.raises(SuiteError, match=message):
        suite(tmp_path, reference=reference)
    assert suite(tmp_path, match="", reference="").reference is None  # equal images need none


SINGLE = """
seeds: [0]
network: {network}
budget: {{teacher_kimg: 64, student_kimg: 32, batch: 64}}
tasks: {{dots: {{data: {data}, operator: identity, sigma_y: 0.5, train: 64, heldout: 32}}}}
methods:
  dcd: {{dcd: {{critic_steps: {critic_steps}}}}}
  teacher: teacher
  constant: {{ambient: {{longer: 5.8}}}}
  longer: {{ambient: {{longer: 0.0}}}}
  longer-truncated: {{ambient: {{longer: 0.0, sampling: truncated}}}}
  churn: {{ambient: {{longer: 0.0, churn: 10.0}}}}
  mixture: gaussian_mixture_em
metrics: [frechet]
{keys}
"""
MLP, UNET = "{mlp: {width: 16, depth: 1}}", "{unet: {channels: [4, 8], blocks: 1}}"
KEYS = "reference: dcd\nequal_flops: [longer*]"


def single(folder: Path, network: str = MLP, critic_steps: int = 1, keys: str = KEYS) -> Plan:
    path = folder / "single.yaml"
    data = "digits" if network == UNET else "{gaussian: {dim: 4, rank: 2}}"
    text = SINGLE.format(network=network, data=data, critic_steps=critic_steps, keys=keys)
    path.write_text(text, encoding="utf-8")
    return make_plan(load_suite(path))


@pytest.mark.parametrize(("network", "critic_steps"), [(MLP, 1), (MLP, 4), (UNET, 1)])
def test_single_methods_have_the_operations_of_the_reference(
    tmp_path: Path, network: str, critic_steps: int
) -> None:
    """On every network, but for the last step; the control: a constant, or equal images, miss them."""
    plan = single(tmp_path, network, critic_steps)
    whole = spent(plan, "dcd")
    assert spent(plan, "longer") == pytest.approx(whole, rel=0.002)
    misses = [abs(spent(plan, method) / whole - 1) for method in ("constant", "teacher")]
    assert min(misses) > 0.02 and max(misses) > 0.3


def test_all_others_stay_what_they_are(tmp_path: Path) -> None:
    """The longer training is phase I with other images, and so with their schedule; samplers share it."""
    plan, plain = single(tmp_path), single(tmp_path, keys="")
    found, before = cells(plan), cells(plain)
    assert {m for m in found if found[m] != before[m]} == {"longer", "longer-truncated"}
    assert found["longer"].trained == found["longer-truncated"].trained != found["teacher"].trained
    assert before["longer"].trained == before["teacher"].trained, "the control"
    (long,), (short,) = (
        [s.spec["phase"] for s in plan.stages if s.key in found[m].trained] for m in ("longer", "teacher")
    )
    assert long == replace(short, kimg=found["longer"].share.factor * short.kimg)
    alone = make_plan(select(plan.suite, methods=["longer"]))
    assert alone.cells == (found["longer"],), "whoever else is chosen"


def test_plans_and_predictions_know_of_it(tmp_path: Path) -> None:
    plan = single(tmp_path)
    factor, text = cells(plan)["longer"].share.factor, describe(plan, Store(tmp_path / "store"), 1)
    assert f"matched: dots/longer trains on {factor:.3g} times the images" in text
    assert "dots/churn" not in text and "dots/mixture" not in text
    estimator = Estimator(Store(tmp_path / "store"), plan.stages, Rates(1e-5, 1e-9, 1e-9))
    seconds = [
        estimator.seconds(stage) - OVERHEAD
        for method in ("longer", "teacher")
        for stage in plan.stages
        if stage.key in cells(plan)[method].trained
    ]
    assert seconds[0] / seconds[1] == pytest.approx(factor, rel=0.1)  # but for the choice of a checkpoint


class Done:
    """A store in which everything is done."""

    def get(self, key: str) -> Any:
        return SimpleNamespace(status="done", result={"scores": {"frechet": 1.0}, "nfe": 35, "flops": 1e9})

    def receipt(self, key: str) -> dict[str, Any]:
        return {"seconds": 1.0, "peak_memory_mb": 1.0}


def costs(plan: Plan) -> Table:
    board = collect(plan, Done())  # type: ignore[arg-type]
    return next(t for t in leaderboard(board).tables if t.title == "dots: cost")


def test_tables_of_costs_tell_the_images(tmp_path: Path) -> None:
    """And why a method has not what it ought to have; the control: with equal images there is no column."""
    plan = single(tmp_path)
    table = costs(plan)
    shown = {row[0].text: row[table.columns.index("images")].value for row in table.rows}
    assert shown["longer"] == cells(plan)["longer"].share.factor > 2 and shown["dcd"] == shown["churn"] == 1
    assert "so that operations are equal" in table.caption and not table.notes
    plain = costs(single(tmp_path, keys=""))
    assert "images" not in plain.columns and "operations are equal" not in plain.caption
    unable = costs(single(tmp_path, keys="reference: mixture\nequal_flops: longer"))
    why = "of the reference, steps of its student do not count in images"
    assert unable.notes == (f"longer has the images of the suite, not equal operations: {why}.",)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("equal_flops: [longer]", "single.yaml:15: equal_flops: equal_flops needs `reference`, the name of"),
        ("reference: dcd\nequal_flops: [longr]", "equal_flops[0]: no such method; there are: dcd, teacher,"),
        ("reference: dcdd\nequal_flops: [longer]", "reference: no such method; there are: dcd, teacher,"),
        ("reference: dcd\nequal_flops: 3", "equal_flops: expected a list of: a text (got 3)"),
    ],
)
def test_mistakes_about_equal_operations_are_told_once(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(SuiteError) as error:
        single(tmp_path, keys=keys)
    assert len(error.value.mistakes) == 1 and message in str(error.value).replace(f"{tmp_path}/", "")
