"""The whole story in an empty folder: `suites/quick.yaml` runs, and runs again without any training."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SUITE = Path(__file__).parents[2] / "suites" / "quick.yaml"
MOST_MB = 1500  # of one process


@dataclass(frozen=True)
class Run:
    """What a run printed, and the files that it left, each with its content and its time of change."""

    stdout: str
    stderr: str
    files: dict[str, tuple[bytes, int]]


def dcdbench(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The installed command, in a folder."""
    command = shutil.which("dcdbench")
    assert command, "the console script is missing: pip install -c constraints.txt -e ."
    return subprocess.run(
        [command, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )


def run(folder: Path) -> Run:
    """Runs the first seed of the suite, which must succeed."""
    result = dcdbench(folder, "run", SUITE, "-s", 0)
    assert result.returncode == 0, result.stderr
    files = {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.glob("results/*/*/*"))
        if path.is_file()
    }
    return Run(result.stdout, result.stderr, files)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="module")
def first(folder: Path) -> Iterator[Run]:
    """A cold run. How long it took is shown, not judged: that depends on the machine."""
    yield run(folder)


def test_it_trains_and_prints_the_leaderboard(first: Run, folder: Path) -> None:
    plan = json.loads(dcdbench(folder, "plan", SUITE, "-s", 0, "--json").stdout)
    assert plan["cached"] == plan["stages"] and plan["stages"]["teacher"] and plan["stages"]["student"]
    for word in ("ring-noise", "digits-inpaint", "floor", "verdict"):
        assert word in first.stdout


def test_no_process_needs_much_memory(first: Run) -> None:
    receipts = {
        name: json.loads(raw) for name, (raw, _) in first.files.items() if name.endswith("receipt.json")
    }
    peaks = {name: receipt["peak_memory_mb"] for name, receipt in receipts.items()}
    assert peaks and max(peaks.values()) < MOST_MB, peaks


def test_again_nothing_is_trained(first: Run, folder: Path) -> None:
    """The same tables, and no file of any stage is written anew."""
    second = run(folder)
    assert second.files == first.files
    assert second.stdout == first.stdout
