"""Data that are not here: their tasks are skipped with the reason, and the other tasks run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = '''\
"""Normal data that stand in a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch

from dcdbench.datasets import register
from dcdbench.protocols import Data
from dcdbench.streams import Stream


@register("kept_elsewhere")
@dataclass(frozen=True)
class KeptElsewhere:
    """Normal data, where the variable KEPT_ELSEWHERE names a file."""

    corrupted: bool = False

    def missing(self) -> str | None:
        """Whether the file is there."""
        return None if os.environ.get("KEPT_ELSEWHERE") else "the data are not here: set KEPT_ELSEWHERE"

    def shape(self) -> tuple[int, ...]:
        """One channel, four by four."""
        return (1, 4, 4)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """Fresh draws."""
        if reason := self.missing():
            raise ValueError(reason)
        def draw(n: int | None) -> torch.Tensor:
            return torch.randn(n or 64, 1, 4, 4, generator=stream.rng())
        return Data(draw(train), *(draw(heldout) for _ in range(4)))
'''
SUITE = """\
seeds: [0]
network: {mlp: {width: 8, depth: 1}}
budget: {teacher_kimg: 0.1, student_kimg: 0.1, batch: 32}
tasks:
  elsewhere: {data: kept_elsewhere, operator: identity, sigma_y: 0.2, train: 64, heldout: 32}
  here: {data: {gaussian: {dim: 2, rank: 2}}, operator: identity, sigma_y: 0.2, train: 64, heldout: 32}
methods: {observed: observed, teacher: teacher}
metrics: [sliced_w2]
"""
REASON = "the data are not here: set KEPT_ELSEWHERE"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of two tasks, the data of one of which are not here."""
    path = tmp_path_factory.mktemp("absent")
    (path / "source.py").write_text(SOURCE)
    (path / "s.yaml").write_text(SUITE)
    return path


def dcdbench(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, where a plug-in registers nothing for other tests."""
    kept = {k: v for k, v in os.environ.items() if k != "KEPT_ELSEWHERE"}
    return subprocess.run(
        [sys.executable, "-m", "dcdbench", *arguments, "--plugins", "source.py"],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_plan_skips_with_the_reason(folder: Path) -> None:
    """And the suite is valid: the shape of the data is known without their files."""
    plan = json.loads(dcdbench(folder, "plan", "s.yaml", "--json").stdout)
    skipped = [(cell["task"], cell["method"], cell["reason"]) for cell in plan["skipped"]]
    assert skipped == [("elsewhere", method, REASON) for method in ("observed", "teacher")]
    assert plan["cells"] == 2


def test_the_other_tasks_run(folder: Path) -> None:
    result = dcdbench(folder, "run", "s.yaml", "-j", "1", "-q")
    assert result.returncode == 0, result.stderr
    assert f"observed: skipped: {REASON}" in result.stdout and "Cells: 2 planned: 2 done" in result.stdout
    picture = dcdbench(folder, "gallery", "s.yaml", "-o", "samples.png")
    assert picture.returncode == 0 and (folder / "samples.png").stat().st_size > 1000
    nothing = dcdbench(folder, "run", "s.yaml", "-t", "elsewhere", "-q")
    assert nothing.returncode == 3 and REASON in nothing.stdout


def test_control_data_that_have_come_are_used(folder: Path) -> None:
    selection = ("-t", "elsewhere", "-m", "observed")
    result = dcdbench(folder, "run", "s.yaml", *selection, "-q", KEPT_ELSEWHERE="x")
    assert result.returncode == 0 and REASON not in result.stdout, result.stderr
    assert "Cells: 1 planned: 1 done" in result.stdout
