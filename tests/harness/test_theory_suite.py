"""A suite of claims: each is decided once, again when its code changes, and a surprise has its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dcdbench.commands.leaderboard import show
from dcdbench.harness.claimed import claim_names, claim_stages
from dcdbench.harness.context import Outcome
from dcdbench.harness.mistakes import SuiteError
from dcdbench.harness.plan import make_plan
from dcdbench.harness.records import Failure
from dcdbench.harness.render import render
from dcdbench.harness.store import Store
from dcdbench.harness.suitefile import load_suite
from dcdbench.harness.verdicts import tables, verdicts
from theory import load_claims

ROOT = Path(__file__).parents[2]
RECORD = """\
import importlib

def decided(name):
    verdict = importlib.import_module(f"toy.claims.{name}").verdict()
    control = {"change": "the other way", "verdict": "FAILS", "expected": "FAILS"}
    told = {"statement": f"It is {name}.", "verdict": verdict, "expected": "HOLDS"}
    return told | {"as_expected": verdict == "HOLDS", "control": control}
"""
CLAIM = "from toy.numbers import {word}\n\ndef verdict():\n    return {word}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package of two claims, of which each imports its own module, and a suite that decides them."""
    claims = tmp_path / "toy" / "claims"
    claims.mkdir(parents=True)
    (tmp_path / "toy" / "record.py").write_text(RECORD)
    (tmp_path / "toy" / "numbers.py").write_text("A = 'HOLDS'\n")
    (claims / "first.py").write_text(CLAIM.format(word="A"))
    (claims / "second.py").write_text("def verdict():\n    return 'HOLDS'\n")
    for package in (claims.parent, claims):
        (package / "__init__.py").write_text("")
    (tmp_path / "toy.yaml").write_text("claims: {package: toy}\n")
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line as a process of its own: what Python has imported is not imported again."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "dcdbench", "run", "toy.yaml", "-j", "2", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def decided(result: subprocess.CompletedProcess[str]) -> set[str]:
    """The claims that a run decided anew."""
    lines = [line.split() for line in result.stderr.splitlines()]
    return {words[1] for words in lines if words[:1] == ["done"]}


def test_claims_are_decided_once_and_again_when_their_code_changes(folder: Path) -> None:
    first = run(folder)
    assert first.returncode == 0, first.stderr
    assert decided(first) == {"toy/first", "toy/second"}
    assert "It is first." in first.stdout and "2 claims, 0 not as expected" in first.stdout

    again = run(folder)
    assert again.returncode == 0 and not decided(again) and again.stdout == first.stdout

    (folder / "toy" / "numbers.py").write_text("A = 'FA' + 'ILS'\n")  # what `first` imports
    changed = run(folder, "--format", "json")
    assert changed.returncode == 4 and decided(changed) == {"toy/first"}
    assert "FAILS (expected HOLDS)" in json.dumps(json.loads(changed.stdout))


def test_what_is_not_decided_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    (folder / "toy").rename(folder / "open_toy")
    (folder / "toy.yaml").write_text("claims: {package: open_toy}\n")
    plan, store = make_plan(load_suite(folder / "toy.yaml")), Store(folder / "results")
    store.fail(plan.stages[1].key, Failure("exception", "ArithmeticError: no"))
    found = verdicts(plan, store)
    assert [v.text for v in found] == ["not yet run", "failed: ArithmeticError: no"]
    assert not any(v.as_expected for v in found)
    text = render(tables("toy", found))
    assert "2 claims, 0 not as expected, 2 open" in text and plan.stages[0].key.removeprefix("claim-") in text


def test_the_leaderboard_of_claims(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Distances and verdicts of those that are decided, from the store; of the others, that they are not."""
    monkeypatch.syspath_prepend(str(folder))
    (folder / "toy").rename(folder / "shown_toy")
    (folder / "toy.yaml").write_text("claims: {package: shown_toy}\n")
    plan, store = make_plan(load_suite(folder / "toy.yaml")), Store(folder / "results")
    assert show(plan, store, "text") == 3 and capsys.readouterr().out.count("not yet run") == 2
    told = {"verdict": "HOLDS", "expected": "FAILS"}
    distances = {"metric": "W2^2", "teacher": "inf", "student": 0.25, "difference": "-inf"}
    result = {"statement": "It is.", **distances, **told, "control": told, "as_expected": False}
    store.put(plan.stages[0].key, plan.stages[0].identity, Outcome(result), {})
    assert show(plan, store, "json") == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    first, second = ([entry["text"] for entry in row] for row in table["rows"])
    assert first[:7] == ["first", "It is.", "W2^2", "inf", "0.250", "-inf", "HOLDS (expected FAILS)"]
    assert first[7] == "no; control: HOLDS (expected FAILS)"
    assert second[:8] == ["second", *[""] * 5, "not yet run", ""]


def test_the_theory_is_a_suite() -> None:
    suite = load_suite(ROOT / "suites" / "theory.yaml")
    plan = make_plan(suite)
    assert not plan.cells and suite.cells == 0
    assert [str(stage.spec["claim"]) for stage in plan.stages] == list(load_claims())
    assert len({stage.key for stage in plan.stages}) == len(plan.stages)


def test_a_key_covers_the_claim_and_what_decides_it_alone() -> None:
    """Neither other claims nor what prints them, so that an edit there decides nothing again."""
    stage = next(s for s in claim_stages("theory") if s.spec["claim"] == "noise_threshold")
    code = stage.identity["code"]
    assert {"theory.claims.noise_threshold", "theory.claim", "theory.distil", "theory.record"} <= set(code)
    assert [name for name in code if name.startswith("theory.claims.")] == ["theory.claims.noise_threshold"]
    assert "theory.__main__" not in code and "dcdbench.analytic" in code


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("claims: {package: no_such_package}", "claims.package: package cannot be imported"),
        ("claims: {package: json}", "must have a folder json/claims"),
        ("claims: {packages: theory}", "claims.packages: unknown key"),
        ("claims: {package: 3}", "claims.package: expected a text"),
        ("claims: theory", "expected a list of claims, or {package: NAME}"),
        ("claims: {package: theory}\ntasks: {}", "a suite needs metrics"),
        ("seeds: [0]", "a suite needs tasks"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "suite.yaml").write_text(text + "\n")
    with pytest.raises(SuiteError) as error:
        load_suite(tmp_path / "suite.yaml")
    assert message in str(error.value)


def test_names_are_those_of_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    (folder / "toy").rename(folder / "other_toy")
    assert claim_names("other_toy") == ("first", "second")
