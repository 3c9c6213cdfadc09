"""What the plan and the checks of a suite say of operators: parts, misfits, and what cannot be learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dcdbench.cli import cli
from dcdbench.harness.identity import describe
from dcdbench.harness.revive import revive
from dcdbench.harness.suitefile import load_suite
from dcdbench.operators.clip import Clip
from dcdbench.operators.composition import Composition
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.mixture import Mixture

SUITE = """\
seeds: [0]
network: mlp
budget: {teacher_kimg: 1, student_kimg: 1}
tasks:
  seen: {data: digits, operator: {composition: {first: gaussian_blur, then: {inpainting: {keep: 0.5}}}}}
  mixed: {data: digits, operator: {mixture: {of: [{gaussian_blur: {size: 5}}, identity], weights: [1, 3]}}}
  hidden: {data: digits, operator: {fixed_mask: {pattern: half}}}
  alone: {data: gaussian, operator: coordinates}
  saturated: {data: digits, operator: {clip: {gain: 2}}}
  misfit: {data: digits, operator: coordinates}
methods: {floor: observed}
metrics: [sliced_w2]
"""
REASONS = {
    "hidden": "E[A^T A] is singular",
    "alone": "S -> E[A^T A S A^T A] has rank",
    "saturated": "A is not injective",
}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "s.yaml").write_text(SUITE)
    return tmp_path / "s.yaml"


def invoke(verb: str, suite: Path, *arguments: object) -> Result:
    return CliRunner().invoke(cli, [verb, str(suite), *map(str, arguments)])


def test_operators_hold_operators(suite: Path) -> None:
    tasks = load_suite(suite).tasks
    assert tasks["seen"].operator == Composition(GaussianBlur(), Inpainting(0.5))
    assert tasks["mixed"].operator.weights == (1.0, 3.0)
    for law in (tasks["mixed"].operator, Mixture((Composition(GaussianBlur(), Clip()), Inpainting()))):
        assert revive(json.loads(json.dumps(describe(law)))) == law


def test_mistakes_in_a_part_have_its_path(suite: Path) -> None:
    suite.write_text(SUITE.replace("size: 5", "sise: 5").replace("keep: 0.5", "keep: 1.5"))
    said = invoke("validate", suite).stderr
    assert "tasks.mixed.operator.mixture.of[0].gaussian_blur.sise: " in said
    assert "tasks.seen.operator.composition.then.inpainting.keep: " in said


def test_validate_and_plan_warn_of_what_cannot_be_learned(suite: Path, tmp_path: Path) -> None:
    for verb, arguments in (("validate", ()), ("plan", ("--store", tmp_path / "store"))):
        said = invoke(verb, suite, *arguments).stdout.splitlines()
        warnings = [line for line in said if line.startswith("warning: ")]
        assert len(warnings) == len(REASONS)
        for task, reason in REASONS.items():
            assert any(w.startswith(f"warning: {task} is not identifiable: {reason}") for w in warnings)


def test_warnings_as_json(suite: Path, tmp_path: Path) -> None:
    plan = json.loads(invoke("plan", suite, "--json", "--store", tmp_path / "store").stdout)
    assert [w["task"] for w in plan["warnings"]] == list(REASONS)
    assert {t for t, yes in plan["identifiable"].items() if not yes} == {*REASONS}
    checked = json.loads(invoke("validate", suite, "--json").stdout)["suites"][0]
    assert checked["warnings"] == plan["warnings"]


def test_data_that_the_operator_does_not_take_are_skipped_with_the_reason(
    suite: Path, tmp_path: Path
) -> None:
    said = invoke("plan", suite, "--store", tmp_path / "store").stdout
    assert "skipped: misfit/floor: the operator does not take the data: coordinates needs vectors" in said


def test_ls_tells_what_operators_are() -> None:
    said = CliRunner().invoke(cli, ["ls", "operators"]).stdout.splitlines()
    after = {line.split()[0]: said[i + 1].strip() for i, line in enumerate(said[:-1]) if line.strip()}
    assert after["identity"] == "linear, not masks, not random, identifiable"
    assert after["quantise"] == "not linear, not masks, not random, not identifiable"
    assert after["inpainting"] == "linear, masks, random, identifiable"
