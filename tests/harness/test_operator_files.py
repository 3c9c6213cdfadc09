"""Operators that read a file: its content belongs to the keys of all that depends on it."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from dcdbench.harness.identity import describe
from dcdbench.harness.matrix import default
from dcdbench.harness.plan import Plan, make_plan
from dcdbench.harness.resolve import registry
from dcdbench.harness.revive import revive
from dcdbench.harness.suitefile import load_suite
from dcdbench.operators.matrix import Matrix
from dcdbench.problem import Corruption

SUITE = """\
seeds: [0]
network: {mlp: {width: 8, depth: 1}}
budget: {teacher_kimg: 1, student_kimg: 1}
tasks:
  filed: {data: {gaussian: {dim: 2, rank: 2}}, operator: {matrix: {file: rows.npy}}, sigma_y: 0.2}
  plain: {data: {gaussian: {dim: 2, rank: 2}}, operator: identity, sigma_y: 0.2}
methods: {observed: observed, teacher: teacher, dcd: dcd}
metrics: [measurement]
"""
CLOCK = itertools.count(10**18, 10**9)


def planned(folder: Path, rows: list[list[float]]) -> Plan:
    folder.mkdir(exist_ok=True)
    (folder / "s.yaml").write_text(SUITE)
    np.save(folder / "rows.npy", np.array(rows))
    time = next(CLOCK)  # a file's time tells that it has changed
    os.utime(folder / "rows.npy", ns=(time, time))
    return make_plan(load_suite(folder / "s.yaml"))


def keys(plan: Plan, task: str) -> dict[str, str]:
    return {
        f"{cell.method}/{role}": key
        for cell in plan.cells
        if cell.task == task
        for role, key in (cell.stages | {f"training {k}": key for k, key in enumerate(cell.trained)}).items()
    }


def test_its_content_is_in_the_keys_of_what_depends_on_it(tmp_path: Path) -> None:
    first, second = (planned(tmp_path, rows) for rows in ([[1.0, 0.5]], [[1.0, 0.4]]))
    before, after = keys(first, "filed"), keys(second, "filed")
    assert before.keys() == after.keys() and {"dcd/training 1", "teacher/samples"} < before.keys()
    for role in before:
        assert (before[role] == after[role]) is role.endswith("/data"), role
    assert keys(first, "plain") == keys(second, "plain")


def test_control_the_same_content_gives_the_same_keys(tmp_path: Path) -> None:
    first, second = (keys(planned(tmp_path, [[1.0, 0.5]]), "filed") for _ in range(2))
    assert first == second


def test_where_it_stands_is_not_in_the_key_of_measurements(tmp_path: Path) -> None:
    one, two = (keys(planned(tmp_path / name, [[1.0, 0.5]]), "filed") for name in ("a", "b"))
    assert one["teacher/measurement"] == two["teacher/measurement"]


@pytest.mark.parametrize("kept", [True, False])
def test_what_was_stored_is_made_again_with_its_file(tmp_path: Path, kept: bool) -> None:
    np.save(tmp_path / "rows.npy", np.array([[1.0, 0.5]]))
    corruption = Corruption(Matrix(file=tmp_path / "rows.npy"), 0.2)
    if kept:
        assert revive(describe(corruption)) == corruption
        return
    (tmp_path / "rows.npy").unlink()
    with pytest.raises(ValueError, match=r"rows\.npy"):
        revive(describe(corruption))


@pytest.mark.parametrize("family", ["operators", "noises", "objectives", "distillers", "networks", "methods"])
def test_every_component_is_made_again_from_its_description(family: str) -> None:
    """Through JSON, as records keep it."""
    for name in registry(family):
        made, reason = default(family, name)
        assert reason or revive(json.loads(json.dumps(describe(made)))) == made, name
