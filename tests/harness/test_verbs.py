"""The verbs that read a store: show, status, why, sample, gallery, replay; on one tiny run."""

from __future__ import annotations

import copy as copying
import functools
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.torch import load_file, save_file

from dcdbench.cli import cli
from dcdbench.distillers import registry as distillers
from dcdbench.harness import account, census, lookup, plugins, replay, revive
from dcdbench.harness.account import sparkline
from dcdbench.harness.curves import panels
from dcdbench.harness.identity import describe
from dcdbench.harness.records import Failure
from dcdbench.harness.store import Store
from dcdbench.selection import LEAST

BREAKING = Path(__file__).with_name("breaking.py")
SUITE = """\
seeds: [0]
network: {mlp: {width: 8, depth: 1}}
budget: {teacher_kimg: 4, student_kimg: 4, batch: 32}
tasks:
  ring: {data: gaussian_mixture, operator: identity, sigma_y: 0.2, train: 500, heldout: 100}
  digits: {data: digits, operator: {inpainting: {keep: 0.6}}, train: 300, heldout: 60}
methods:
  observed: observed
  teacher: {teacher: {steps: 4}}
  dcd: dcd
  wild: {dcd: {distiller: {breaking: {address: 0/student/step/60/generator}}}}
metrics: [sliced_w2, measurement]
"""


@contextmanager
def known() -> Iterator[pytest.MonkeyPatch]:
    """The distiller `breaking` is among the components, for as long as the context is entered."""
    with pytest.MonkeyPatch.context() as patch:
        len(distillers)  # the family's own members are imported
        (module,) = plugins.load([BREAKING])
        patch.setitem(distillers._members, "breaking", sys.modules[module].Breaking)
        yield patch


def call(folder: Path, *arguments: object) -> Result:
    """A verb, called in a folder."""
    with known() as patch:
        patch.chdir(folder)
        patch.setenv("NO_COLOR", "1")
        return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the suite was run."""
    folder = tmp_path_factory.mktemp("verbs")
    (folder / "tiny.yaml").write_text(SUITE)
    result = call(folder, "run", "tiny.yaml", "-j", "1", "-q", "--plugins", BREAKING)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def invoke(finished: Path) -> Any:
    return functools.partial(call, finished)


@pytest.fixture
def store(finished: Path) -> Store:
    return Store(finished / "results")


@pytest.fixture
def copy(store: Store, tmp_path: Path) -> Store:
    """A store of one's own, to be harmed."""
    shutil.copytree(store.root, tmp_path / "results")
    return Store(tmp_path / "results")


def key(store: Store, text: str) -> str:
    found = lookup.find(store, text).key
    assert found is not None
    return found


# Names


def test_a_key_has_many_spellings(store: Store) -> None:
    student = key(store, "digits/dcd/0/student")
    assert student.startswith("student-")
    for spelling in (student, student[:14], student.rpartition("-")[2][:9], "digits/dcd/seed 0/student"):
        assert key(store, spelling) == student
    for spelling in ("digits/dcd/0", "digits/dcd", "tiny:digits/dcd/0"):
        place = lookup.find(store, spelling).place
        assert place is not None and place.chain["student"] == student


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("digits/dcdd/0", "did you mean digits/dcd/0"),
        ("student-", r"may mean any of \d+"),
        ("digits/dcd/0/studend", "no stage 'studend'; there are:.* student"),
        ("digits/dcd/1", "did you mean digits/dcd/0"),
        ("", "status"),
    ],
)
def test_a_key_that_names_nothing_or_too_much(store: Store, text: str, message: str) -> None:
    with pytest.raises(lookup.UnknownKey, match=message):
        lookup.find(store, text)


@pytest.mark.parametrize("verb", ["show", "why", "sample", "replay"])
def test_an_unknown_key_is_wrong_usage(invoke: Any, verb: str, tmp_path: Path) -> None:
    result = invoke(verb, "digits/dcdd/0")
    assert result.exit_code == 2 and "did you mean digits/dcd/0" in result.stderr and not result.stdout
    empty = invoke(verb, "digits/dcd/0", "--store", tmp_path)
    assert empty.exit_code == 2 and "nothing is stored" in empty.stderr


# show


def test_show_a_training(invoke: Any, store: Store) -> None:
    text = invoke("show", "digits/dcd/0/student").stdout
    result = store.get(key(store, "digits/dcd/0/student")).result
    chosen = next(line for line in text.splitlines() if line.endswith("<- chosen"))
    assert f"{result['curve'][result['chosen']]['distance']:.4g}" in chosen
    assert "generator_loss" in text and "objective: AmbientDiffusion" in text and "torch" in text
    assert text.count("<- chosen") == 1 and "clean scores, computed after the choice" in text


def test_show_a_cell(invoke: Any, store: Store) -> None:
    text = invoke("show", "ring/dcd/0").stdout
    assert all(stage in text for stage in lookup.find(store, "ring/dcd/0").place.chain.values())
    assert "sliced_w2" in text and "(floor " in text


def test_show_as_json(invoke: Any, store: Store) -> None:
    document = json.loads(invoke("show", "--json", "ring/dcd/0/student").stdout)
    assert document["schema"] == "dcdbench.show/1"
    assert document["record"]["result"]["curve"] and document["receipt"]["seconds"] > 0
    assert document["used_by"] == ["ring/dcd/0"] and len(document["regret"]["sliced_w2"]) == LEAST
    cell = json.loads(invoke("show", "--json", "ring/dcd/0").stdout)
    assert cell["status"] == "done" and cell["stages"]["student"]["key"] == document["key"]


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_show_draws_the_curves(invoke: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"curves{suffix}"
    result = invoke("show", "ring/dcd/0", "--plot", path)
    assert result.exit_code == 0 and not result.stdout
    if suffix == ".svg":
        drawn = path.read_text()
        assert all(text in drawn for text in ("generator loss", "held-out", "chosen", "sliced_w2"))
        assert all(
            text in drawn for text in ("gradient norms", "critic lag", "variance of an entry", "student")
        )
        first = path.read_bytes()
        invoke("show", "ring/dcd/0", "--plot", path)
        assert path.read_bytes() == first, "the same numbers make the same bytes"
    else:
        assert Image.open(path).width > 1000
    assert invoke("show", "ring/observed/0", "--plot", path).exit_code == 2
    assert invoke("show", "ring/dcd/0", "--plot", "curves.txt").exit_code == 2


def test_statistics_are_drawn_with_their_like() -> None:
    names = [
        "critic_loss",
        "critic_gradient",
        "discriminator_loss",
        "discriminator_gradient",
        "generator_loss",
    ]
    names += ["generator_gradient", "width", "critic_lag", "student_variance", "teacher_variance", "odd"]
    drawn = {panel.title: panel for panel in panels(names)}
    assert sorted(name for panel in drawn.values() for name, _ in panel.lines) == sorted(names)
    assert [panel.lines[0][0] for panel in drawn.values() if panel.unit == "loss"] == [
        *("critic_loss", "discriminator_loss", "generator_loss", "odd")
    ]
    labels = {panel.unit: [label for _, label in panel.lines] for panel in drawn.values()}
    assert labels["norm"] == ["critic", "discriminator", "generator"]
    assert labels["data unit^2"] == ["student", "teacher"]
    levels = {panel.lines[0][0]: panel.level for panel in drawn.values()}
    assert (levels["critic_lag"], levels["width"], levels["critic_loss"]) == (0.0, 1.0, None)
    assert [panel.lines for panel in panels(["loss", "gradient"])] == [(("loss", ""),), (("gradient", ""),)]


def test_a_statistic_that_is_not_taken_at_each_step_is_no_fault() -> None:
    history = [
        {"step": 1, "loss": 1.0, "lag": 2.0},
        {"step": 2, "loss": "nan"},
        {"step": 3, "loss": 3.0, "lag": 1.0},
    ]
    text = {line.split()[0]: line for line in account._history(history)}
    assert "!" in text["loss"] and "!" not in text["lag"] and text["lag"].split()[1:] == ["2", "█▁", "1"]


def test_sparklines() -> None:
    assert sparkline([0, 1, 2, 7]) == "▁▂▃█"
    assert sparkline([1, 10, 100])[1] in "▄▅", "a decade or more: log scale"
    assert sparkline([0.0, "nan", 1.0]) == "▁!█" and len(sparkline(list(range(1000)))) <= 60


# status


@pytest.mark.bits
def test_status(invoke: Any) -> None:
    result = invoke("status")
    assert result.exit_code == 0
    assert "tiny (tiny.yaml): 8 cells: 6 done, 2 diverged" in result.stdout
    assert "replay student-" in result.stdout and "B in" in result.stdout


def test_status_of_an_empty_store(invoke: Any, tmp_path: Path) -> None:
    result = invoke("status", "--store", tmp_path)
    assert result.exit_code == 3 and not result.stdout
    assert json.loads(invoke("status", "--json", "--store", tmp_path).stdout)["suites"] == []
    assert invoke("status", "--watch").exit_code == 2, "no terminal"


@pytest.mark.bits
def test_status_tells_what_can_resume_what_runs_and_what_failed(copy: Store, invoke: Any) -> None:
    student, scores = key(copy, "ring/dcd/0/student"), key(copy, "digits/dcd/0/scores")
    for gone in (student, scores):
        shutil.rmtree(copy.folder(gone))
    copy.scratch(student).mkdir(parents=True)
    notes = {"notes": json.dumps({"history": [{"step": 50}]})}
    save_file({"a": torch.zeros(1)}, copy.scratch(student) / "state.safetensors", notes)
    copy.fail(scores, Failure("timeout", "killed after 3 s"))
    text = invoke("status", "--store", copy.root).stdout
    assert "cut off: ring/dcd/seed 0/student, saved at step 50 of 125 (40 %)" in text
    assert "timeout: digits/dcd/0: killed after 3 s" in text and f"{scores}.json" in text
    lock = copy.lock(student)
    assert lock is not None
    try:
        document = json.loads(invoke("status", "--json", "--store", copy.root).stdout)
    finally:
        lock.release()
    counts = document["suites"][0]["counts"]
    assert counts == {"done": 4, "running": 1, "timeout": 1, "diverged": 2}
    assert document["suites"][0]["unfinished"][0]["running"]
    (state,) = census.census(copy)
    assert state.counts["running"] == 0 and state.counts["missing"] == 1, "control: nobody holds it"


# why


def test_why(invoke: Any, store: Store) -> None:
    student = key(store, "ring/dcd/0/student")
    text = invoke("why", "ring/dcd/0").stdout
    assert f"-> student      {student}" in text and "params.phase.lr" in text
    document = json.loads(invoke("why", "--json", student).stdout)
    assert document["key"] == student and document["state"] == "done" and document["nearest"]


def test_why_of_a_cell_asks_for_its_first_missing_stage(copy: Store, invoke: Any) -> None:
    teacher = key(copy, "ring/dcd/0/teacher")
    shutil.rmtree(copy.folder(teacher))
    assert json.loads(invoke("why", "--json", "ring/dcd/0", "--store", copy.root).stdout)["key"] == teacher


# sample


def test_sample_images(invoke: Any, finished: Path, tmp_path: Path) -> None:
    result = invoke("sample", "digits/dcd/0", "-n", "64", "-o", tmp_path / "grid.png")
    assert result.exit_code == 0 and "64 samples" in result.stderr and "1 network call each" in result.stderr
    image = Image.open(tmp_path / "grid.png")
    assert image.width == image.height and len(np.unique(np.asarray(image))) > 10


def test_sample_numbers_by_the_seed(invoke: Any, tmp_path: Path) -> None:
    for name, seed in (("a.npy", 0), ("b.safetensors", 0), ("c.npz", 1)):
        assert invoke("sample", "ring/dcd/0", "-n", 50, "-o", tmp_path / name, "--seed", seed).exit_code == 0
    a = np.load(tmp_path / "a.npy")
    assert a.shape == (50, 2) and np.array_equal(a, load_file(tmp_path / "b.safetensors")["x"])
    assert not np.array_equal(a, np.load(tmp_path / "c.npz")["x"]), "control: another seed"


def test_sample_is_what_the_stage_had(store: Store) -> None:
    """Revived from JSON alone, the sampler repeats the stage's own samples at the stage's address."""
    for cell in ("digits/dcd/0", "digits/teacher/0", "ring/observed/0"):
        record = store.get(key(store, f"{cell}/samples"))
        stored = store.tensors(record.key, "samples")["x"]
        torch.set_num_threads(1)
        from dcdbench.streams import Stream

        drawn = revive.sampled(store, record).draw(len(stored), Stream(0) / "samples")
        torch.testing.assert_close(drawn.x, stored)
        other = revive.sampled(store, record).draw(len(stored), Stream(1) / "samples")
        assert not torch.equal(other.x, stored), "control: another address"


@pytest.mark.bits
def test_sample_by_any_stage_that_can(invoke: Any, store: Store, tmp_path: Path) -> None:
    student = key(store, "ring/dcd/0/student")
    for text in (student, student[:13], "ring/teacher/0", "ring/dcd/0/samples"):
        assert invoke("sample", text, "-n", 5, "-o", tmp_path / "s.npy").exit_code == 0, text
    scatter = tmp_path / "s.svg"
    assert invoke("sample", "ring/dcd/0", "-o", scatter).exit_code == 0 and scatter.stat().st_size
    data = invoke("sample", "ring/dcd/0/data", "-o", tmp_path / "s.npy")
    assert data.exit_code == 1 and "choose samples, a teacher or a student" in data.stderr
    wild = invoke("sample", "ring/wild/0", "-o", tmp_path / "s.npy")
    assert wild.exit_code == 1 and "replay student-" in wild.stderr
    assert invoke("sample", "ring/dcd/0", "-o", "s.txt").exit_code == 2


def test_every_component_is_revived_from_its_record(store: Store) -> None:
    for stage in list(store.keys()):
        params = store.get(stage).identity["params"]
        if not {"phase", "sampler", "metrics", "operator"} & params.keys():
            continue
        assert describe(revive.revive(params)) == params


def test_a_component_that_is_not_there() -> None:
    with pytest.raises(revive.Unrevivable, match=r"--plugins mine.py"):
        revive.revive({"class": "dcdbench_plugin_mine:Blur"})
    with pytest.raises(revive.Unrevivable, match=r"\(gone\)"):
        revive.revive({"class": "dcdbench.operators.identity:Identity", "gone": 1})


# gallery


def test_gallery(invoke: Any, tmp_path: Path) -> None:
    path = tmp_path / "g.svg"
    result = invoke("gallery", "tiny.yaml", "-o", path)
    assert result.exit_code == 0, result.output
    text = path.read_text()
    for word in ("clean", "measured", "teacher", "dcd", "wild", "ring", "digits", "sliced_w2", "diverged"):
        assert word in text
    assert "observed" not in text, "that is the column of measurements"


def test_gallery_gives_all_methods_the_same_latents(finished: Path, store: Store) -> None:
    from dcdbench.harness.gallery import rows
    from dcdbench.harness.plan import make_plan
    from dcdbench.harness.suite import select
    from dcdbench.harness.suitefile import load_suite

    with known():
        suite = load_suite(finished / "tiny.yaml")
    both = rows(make_plan(suite), store)[1].panels
    alone = rows(make_plan(select(suite, ["dcd"], ["digits"], [])), store)[0].panels
    assert [panel.name for panel in both] == ["clean", "measured", "teacher", "dcd", "wild"]
    assert torch.equal(both[3].x, alone[2].x), "whatever else is drawn"
    assert len(both[0].x) == 32 and both[1].x.isnan().any(), "what no mask shows is marked"


def test_gallery_of_nothing(invoke: Any, tmp_path: Path) -> None:
    result = invoke("gallery", "tiny.yaml", "--store", tmp_path, "-o", tmp_path / "g.png")
    assert result.exit_code == 3 and not (tmp_path / "g.png").exists()


# replay


@pytest.mark.bits
def test_replay_sees_the_same_step_diverge(invoke: Any, store: Store) -> None:
    result = store.get(key(store, "ring/wild/0/student")).result
    assert (result["step"], result["reason"]) == (60, "the generator's loss is inf")
    found = invoke("replay", "ring/wild/0", "--last", 3)
    assert found.exit_code == 0, found.output
    assert f"REPRODUCED: {result['reason']}, at {result['address']}" in found.stdout
    torch.set_num_threads(2)
    document = json.loads(invoke("replay", "--json", "ring/wild/0").stdout)
    assert torch.get_num_threads() == 2, "those of the training are for the replay alone"
    assert document["reproduced"] and document["steps"][-1]["step"] == result["step"] - 1
    assert 0 < document["start"] == result["replay_from"] < result["step"]
    assert invoke("replay", "ring/dcd/0").exit_code == 2, "it has not diverged"


@pytest.mark.bits
def test_control_without_the_infinite_loss_the_replay_diverges_nowhere(
    copy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = copy.get(key(copy, "ring/wild/0/student"))
    identity = copying.deepcopy(record.identity)
    identity["params"]["phase"]["distiller"]["address"] = ""
    honest, changed = copy.get, replace(record, identity=identity)
    monkeypatch.setattr(copy, "get", lambda k: changed if k == record.key else honest(k))
    found = replay.replay(copy, record.key, 3, lambda text: None)
    assert found.seen is None and not found.reproduced and len(found.steps) == 3
    assert "NOT REPRODUCED" in "\n".join(found.lines())


# A practitioner's own folder


FOLDER_SUITE = """\
network: {mlp: {width: 32, depth: 2}}
budget: {teacher_kimg: 8, student_kimg: 8, batch: 64}
tasks:
  mine:
    data: {folder: {path: photos, corrupted: true}}
    operator: identity
    sigma_y: 0.2
methods: {observed: observed, teacher: teacher, dcd: dcd, oracle: oracle}
metrics: [sliced_w2, measurement]
"""


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """200 noisy images of bright squares on black, no clean one, and a suite of ten lines."""
    folder = tmp_path_factory.mktemp("practice")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(200):
        x = np.full((10, 12), -0.6)
        top, left = rng.integers(0, 6), rng.integers(0, 8)
        x[top : top + 4, left : left + 4] = 0.6
        y = x + 0.2 * rng.normal(size=x.shape)
        pixels = (127.5 * (y + 1)).round().clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{i:03}.png")
    assert FOLDER_SUITE.count("\n") == 9
    (folder / "mine.yaml").write_text(FOLDER_SUITE)
    return folder, call(folder, "run", "mine.yaml", "-j", "1", "-q")


def test_a_folder_without_clean_images(practice: tuple[Path, Result]) -> None:
    folder, result = practice
    assert result.exit_code == 0, result.output
    text = call(folder, "leaderboard", "mine.yaml", "--format", "csv").stdout
    assert "measurement_sw2" in text
    assert "needs clean data, and the task has none" in text, "the oracle says why it is not there"
    store = Store(folder / "results")
    for method in ("observed", "teacher", "dcd"):
        scores = store.get(key(store, f"mine/{method}/0/scores")).result
        assert scores["scores"].keys() == {"measurement_sw2", "measurement_frechet"}
        assert "clean references" in scores["skipped"]["sliced_w2"]
    assert "floor" not in lookup.find(store, "mine/dcd/0").place.stages
    drawn = call(folder, "sample", "mine/dcd/0", "-n", "64", "-o", "grid.png")
    assert drawn.exit_code == 0 and Image.open(folder / "grid.png").width > 100
    assert call(folder, "gallery", "mine.yaml", "-o", "gallery.png").exit_code == 0


def test_control_clean_references_bring_clean_scores(practice: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = practice
    shutil.copytree(folder / "photos", tmp_path / "photos")
    reference = FOLDER_SUITE.replace("corrupted: true", "corrupted: true, reference: photos")
    (tmp_path / "mine.yaml").write_text(reference)
    assert call(tmp_path, "run", "mine.yaml", "-j", "1", "-q", "-m", "observed").exit_code == 0
    store = Store(tmp_path / "results")
    assert "sliced_w2" in store.get(key(store, "mine/observed/0/scores")).result["scores"]
    assert "floor" in lookup.find(store, "mine/observed/0").place.stages
