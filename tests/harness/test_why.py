"""Why: what a key covers, and what changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcdbench.harness.context import Outcome
from dcdbench.harness.identity import key_of
from dcdbench.harness.store import Failure, Store
from dcdbench.harness.why import explain


def identity(**changes: Any) -> dict[str, Any]:
    """An identity to vary."""
    base = {
        "kind": "student",
        "target": "a:run",
        "params": {"objective": {"class": "a:B", "delta": 0.1}, "steps": [1, 2]},
        "seed": 0,
        "parents": {"teacher": "teacher-0"},
        "code": {"dcdbench.operators.inpainting": "0", "dcdbench.problem": "0"},
        "files": {"a.npy": "0"},
    }
    return base | changes


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path)


def put(store: Store, **changes: Any) -> str:
    """Stores a stage."""
    key = key_of("student", identity(**changes))
    store.put(key, identity(**changes), Outcome({}), {})
    return key


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"code": {"dcdbench.operators.inpainting": "1", "dcdbench.problem": "0"}},
            "code of dcdbench.operators.inpainting changed",
        ),
        ({"code": {"dcdbench.problem": "0"}}, "code of dcdbench.operators.inpainting is no longer used"),
        (
            {"params": {"objective": {"class": "a:B", "delta": 0.2}, "steps": [1, 2]}},
            "params.objective.delta: 0.1 -> 0.2",
        ),
        (
            {"params": {"objective": {"class": "a:B", "delta": 0.1}, "steps": [1, 3]}},
            "params.steps: [1,2] -> [1,3]",
        ),
        (
            {"parents": {"teacher": "teacher-1"}},
            "parent teacher: teacher-0 -> teacher-1 (follow it: why teacher-1)",
        ),
        ({"files": {"a.npy": "1"}}, "content of a.npy changed"),
        ({"seed": 1}, "seed: 0 -> 1"),
    ],
)
def test_each_kind_of_change_has_its_line(store: Store, changes: dict[str, Any], line: str) -> None:
    old = put(store)
    new = identity(**changes)
    key = key_of("student", new)
    explanation = explain(store, key, {key: new})
    assert (explanation.state, explanation.nearest) == ("missing", old)
    assert [str(change) for change in explanation.changes] == [line]
    assert line in explanation.lines()[-1]


def test_one_and_the_same_number_in_two_types_is_a_change(store: Store) -> None:
    put(store, params={"n": 1})
    key = put(store, params={"n": True})
    assert [str(change) for change in explain(store, key).changes] == ["params.n: 1 -> true"]


def test_an_edit_of_the_same_stage_is_nearer_than_another_seed(store: Store) -> None:
    put(store, seed=1)
    older = put(store)
    edited = {"dcdbench.operators.inpainting": "1", "dcdbench.problem": "1"}
    new = identity(code=edited)
    planned = {key_of("student", new): new}
    explanation = explain(store, next(iter(planned)), planned)
    assert explanation.nearest == older and len(explanation.changes) == 2


def test_a_stage_of_another_plan_is_nearer_than_an_equal_sibling(store: Store) -> None:
    sibling, older = identity(files={"a.npy": "1"}), identity(files={"a.npy": "2"})
    for other in (sibling, older):
        store.put(key_of("student", other), other, Outcome({}), {})
    new = identity()
    planned = {key_of("student", each): each for each in (new, sibling)}
    assert explain(store, key_of("student", new), planned).nearest == key_of("student", older)


def test_keys_are_found_in_manifests_and_failures_told(store: Store) -> None:
    key = key_of("student", identity())
    with pytest.raises(KeyError, match=key):
        explain(store, key)
    store.write_run("quick", {"stages": {key: identity()}})
    explanation = explain(store, key)
    assert explanation.identity == identity() and explanation.nearest is None and not explanation.changes
    assert "no other student" in explanation.lines()[-1]
    store.fail(key, Failure("crash", "SIGKILL"))
    assert explain(store, key).state == "failed"
    put(store)
    assert explain(store, key).state == "done"
