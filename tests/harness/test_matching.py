"""Equal operations: each method has the images that need what the reference needs, or says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dcdbench.harness.matching import Share
from dcdbench.harness.mistakes import SuiteError
from dcdbench.harness.operations import Operations
from dcdbench.harness.plan import Cell, Plan, make_plan
from dcdbench.harness.preview import describe
from dcdbench.harness.store import Store
from dcdbench.harness.suite import Suite, select
from dcdbench.harness.suitefile import load_suite
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
    corruption, parent, total = plan.suite.tasks["dots"].corruption, None, 0
    m = corruption(torch.randn(64, 4, generator=Stream(0).rng()), Stream(1).rng())
    problem = Problem(m, m, corruption, (4,))
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
