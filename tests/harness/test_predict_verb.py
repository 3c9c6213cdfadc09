"""`dcdbench predict`: arrays, tasks, pictures, and what it refuses."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dcdbench.cli import cli
from dcdbench.harness.executor import Options, execute
from dcdbench.harness.measured import measurements
from dcdbench.harness.outlook import _spans
from dcdbench.harness.plan import make_plan
from dcdbench.harness.store import Store
from dcdbench.harness.suitefile import load_suite

SUITE = """\
seeds: [3, 4]
network: mlp
budget: {teacher_kimg: 1, student_kimg: 1, batch: 32}
tasks:
  low-rank: {data: {gaussian: {dim: 8, rank: 2}}, operator: identity, sigma_y: 0.5, train: 400, heldout: 50}
  low-few: {data: {gaussian: {dim: 8, rank: 2}}, operator: identity, sigma_y: 0.5, train: 9, heldout: 9}
  masked: {data: digits, operator: inpainting}
  clean: {data: {gaussian: {dim: 8, rank: 2}}, operator: identity, train: 400, heldout: 50}
methods: {observed: observed}
metrics: [frechet]
"""


def call(folder: Path, *arguments: object) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("NO_COLOR", "1")
        return CliRunner().invoke(cli, ["predict", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite, and arrays of measurements of a law with two wide directions of eight."""
    path = tmp_path_factory.mktemp("predict")
    (path / "tiny.yaml").write_text(SUITE)
    rng = np.random.default_rng(0)
    y = rng.normal(size=(300, 8)) * np.r_[3.0, 2.0, [0.1] * 6] + rng.normal(size=(300, 8))
    np.save(path / "y.npy", y)
    np.savez(path / "both.npz", y=y, mask=np.ones(3))
    np.savez(path / "other.npz", a=y, b=y)
    np.save(path / "few.npy", y[:8])
    np.save(path / "text.npy", np.array(["a", "b"]))
    (path / "broken.npy").write_bytes(b"no array")
    return path


@pytest.fixture
def predict(folder: Path) -> Any:
    return functools.partial(call, folder)


def test_an_array(predict: Any) -> None:
    result = predict("y.npy", "--sigma-y", 1)
    assert result.exit_code == 0
    text = result.stdout
    assert "HELPS: an unaware student of rank 2 of 8 (the best)" in text
    assert "y.npy: d = 8, n = 300, sigma_y = 1" in text and "P0" in text and "P1" in text
    for limit in ("Gaussian data", "white noise", "linear", "n > d"):
        assert limit in text
    assert predict("both.npz", "--sigma-y", 1).stdout == text.replace("y.npy", "both.npz")


def test_a_rank_that_is_asked_for(predict: Any) -> None:
    text = predict("y.npy", "--sigma-y", 1, "--rank", 1).stdout
    assert "student of rank 1 of 8 (as asked for)" in text and "best rank                2 (HELPS" in text
    assert "DOES NOT: an unaware student of rank 8" in predict("y.npy", "--sigma-y", 1, "--rank", 8).stdout
    assert (
        "HELPS: an aware student of rank 8" in predict("y.npy", "--sigma-y", 1, "--rank", 8, "--aware").stdout
    )


def test_json(predict: Any) -> None:
    document = json.loads(predict("y.npy", "--sigma-y", 1, "--json").stdout)
    assert document["schema"] == "dcdbench.predict/1"
    assert document["best_rank"] == document["prediction"]["rank"] == 2
    assert document["prediction"]["outlook"] == "HELPS" and document["prediction"]["gain_sd"] > 0
    assert [entry["rank"] for entry in document["ranks"]] == list(range(1, 9))
    assert len(document["eigenvalues"]) == 8 and document["student"] == "unaware" and document["limits"]


def test_a_noise_that_cannot_be(predict: Any) -> None:
    assert "warning: the smallest eigenvalue" in predict("y.npy", "--sigma-y", 2).stdout
    assert "warning" not in predict("y.npy", "--sigma-y", 1).stdout


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_a_picture(predict: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"spectrum{suffix}"
    assert predict("y.npy", "--sigma-y", 1, "--plot", path).exit_code == 0
    first = path.read_bytes()
    if suffix == ".svg":
        for text in ("kept (2)", "dropped (6)", "rank of the student", "unaware threshold"):
            assert text in first.decode()
    assert predict("y.npy", "--sigma-y", 1, "--plot", path).exit_code == 0
    assert path.read_bytes() == first


def test_a_task(predict: Any) -> None:
    text = predict("tiny.yaml", "-t", "low-rank").stdout
    assert text.startswith("low-rank, seed 3: d = 8, n = 400, sigma_y = 0.5")
    assert "HELPS: an unaware student of rank 2 of 8" in text
    assert predict("tiny.yaml", "-t", "low-rank", "--seed", 4).stdout != text


def test_the_measurements_are_those_of_a_run(folder: Path, tmp_path: Path) -> None:
    suite = load_suite(folder / "tiny.yaml")
    plan = make_plan(suite)
    cell = next(c for c in plan.cells if c.task == "low-rank" and c.seed == 4)
    stages = [s for s in plan.stages if s.key in (cell.stages["data"], cell.stages["measurement"])]
    store = Store(tmp_path)
    assert execute(stages, store, Options(), lambda event: None).ok
    trained_on = store.tensors(cell.stages["measurement"], "train")["y"]
    assert measurements(suite.tasks["low-rank"], 4).equal(trained_on)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["y.npy"], "needs --sigma-y"),
        (["y.npy", "--sigma-y", 0], "sigma_y must be > 0"),
        (["y.npy", "--sigma-y", 1, "--rank", 9], "rank must be between 1 and d = 8, got 9"),
        (["y.npy", "--sigma-y", 1, "-t", "low-rank"], "-t/--task is for a suite"),
        (["few.npy", "--sigma-y", 1], "n = 8, d = 8"),
        (["text.npy", "--sigma-y", 1], "real numbers"),
        (["broken.npy", "--sigma-y", 1], "cannot be read"),
        (["none.npy", "--sigma-y", 1], "No such file"),
        (["other.npz", "--sigma-y", 1], "an entry 'y' or one alone, it has: a, b"),
        (["tiny.yaml"], "needs -t TASK"),
        (["tiny.yaml", "-t", "low-rank", "--sigma-y", 1], "--set tasks.TASK.sigma_y"),
        (["tiny.yaml", "-t", "low-*"], "name one: low-rank, low-few"),
        (["tiny.yaml", "-t", "low-few"], "n = 9, d = 8"),
        (["tiny.yaml", "-t", "masked"], "not one of white noise alone"),
        (["tiny.yaml", "-t", "clean"], "sigma_y must be > 0"),
        (["y.npy", "--sigma-y", 1, "--plot", "spectrum.gif"], ".svg"),
    ],
)
def test_what_it_refuses(predict: Any, arguments: list[object], message: str) -> None:
    result = predict(*arguments)
    assert result.exit_code == 2 and message in result.stderr and not result.stdout


def test_a_task_that_is_not_there_is_a_mistake(predict: Any) -> None:
    result = predict("tiny.yaml", "-t", "low-rnk")
    assert result.exit_code == 2 and "low-rank" in result.stderr


def test_runs_of_ranks() -> None:
    assert _spans([1, 2, 3, 5, 7, 8]) == "1-3, 5, 7-8"
    assert _spans([]) == "none for certain"
