"""Running a plan: once each, to the same bits, whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import drive
import pytest

from dcdbench.harness import children, events, files, plugins
from dcdbench.harness.executor import Options, Summary, execute
from dcdbench.harness.plan import make_plan
from dcdbench.harness.preload import COMPILER, modules
from dcdbench.harness.stage import Stage
from dcdbench.harness.store import Store, StoreError
from dcdbench.harness.suitefile import load_suite

TARGETS = drive.TARGETS
SUITES = Path(__file__).parents[2] / "suites"
OPTIONS = Options(plugins=(TARGETS,))
PATIENCE = 120.0  # seconds until a process counts as stuck, on a machine that does other work too


@pytest.fixture(autouse=True)
def _targets() -> None:
    plugins.load([TARGETS])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


def stage(
    function: str, parents: dict[str, Stage] | None = None, kind: str = "data", **spec: object
) -> Stage:
    """A stage of the test's targets."""
    keys = {role: parent.key for role, parent in (parents or {}).items()}
    return Stage(kind, f"dcdbench_plugin_targets:{function}", spec, keys, 0)


def run(stages: list[Stage], store: Store, **options: object) -> tuple[Summary, list[events.Event]]:
    """Executes and collects what was told."""
    told: list[events.Event] = []
    return execute(stages, store, replace(OPTIONS, **options), told.append), told


def family(diary: Path) -> list[Stage]:
    """A root, two children of it, and a child of both, out of order."""
    root = stage("add", number=1, diary=diary)
    left = stage("add", {"a": root}, kind="teacher", number=10, diary=diary)
    right = stage("add", {"a": root}, kind="teacher", number=20, diary=diary)
    both = stage("add", {"a": left, "b": right}, kind="student", number=100, diary=diary)
    return [both, left, root, right]


def test_parents_come_first_and_each_stage_runs_once(store: Store, tmp_path: Path) -> None:
    stages = family(tmp_path / "diary")
    summary, told = run([*stages, *stages], store, jobs=2)
    assert summary.ok and summary.counts == {"done": 4}
    assert store.get(stages[0].key).result == {"total": 132}
    assert len((tmp_path / "diary").read_text().splitlines()) == 4
    assert Counter(type(event) for event in told) == {
        events.Planned: 1,
        events.Started: 4,
        events.Finished: 4,
    }
    summary, told = run(stages, store)
    assert summary.counts == {"cached": 4} and summary.ok
    assert len((tmp_path / "diary").read_text().splitlines()) == 4
    assert not list((store.root / "scratch").iterdir())


def test_a_receipt_says_where_a_result_comes_from(store: Store, tmp_path: Path) -> None:
    alone = stage("add", number=1)
    run([alone], store)
    receipt = store.receipt(alone.key)
    assert receipt["threads"] == 1 and receipt["device"] == "cpu" and receipt["cost"]["seconds"] > 0
    assert receipt["versions"]["torch"] and receipt["versions"]["python"]
    assert receipt["peak_memory_mb"] > 1 and receipt["started"] <= receipt["finished"]


def test_children_have_the_threads_the_component_and_no_main(store: Store) -> None:
    noise = sys.modules["dcdbench_plugin_targets"].Noise(2.5)
    first = stage("tell", noise=noise)
    run([first], store)
    assert store.get(first.key).result == {"threads": 1, "main": None, "scale": 2.5}
    second = stage("tell", noise=noise, again=True)
    run([second], store, threads=2)
    assert store.get(second.key).result["threads"] == 2


def test_a_failure_blocks_its_descendants_and_harms_no_other(store: Store) -> None:
    failures = [stage(name) for name in ("fail", "crash", "hang")]
    children_of = [stage("add", {"a": parent}, kind="teacher") for parent in failures]
    grandchild = stage("add", {"a": children_of[0]}, kind="student")
    good = stage("add", number=3)
    plan = [*failures, *children_of, grandchild, good]
    summary, told = run(plan, store, jobs=2, timeout=2.0)
    assert [summary.states[s.key] for s in plan] == ["failed"] * 3 + ["blocked"] * 4 + ["done"]
    assert not summary.ok
    kinds = {event.stage.key: event.failure.kind for event in told if isinstance(event, events.Failed)}
    assert [kinds[s.key] for s in failures] == ["exception", "crash", "timeout"]
    failure = store.failure(failures[0].key)
    assert failure.text == "RuntimeError: on purpose" and "about to fail" in failure.log
    assert "targets.py" in failure.detail and "SIGKILL" in store.failure(failures[1].key).text


def test_a_remembered_failure_is_tried_again_only_on_request(store: Store) -> None:
    failing = stage("fail")
    run([failing], store)
    summary, told = run([failing], store)
    assert summary.states[failing.key] == "failed" and not any(isinstance(e, events.Started) for e in told)
    assert told[-1].remembered and told[-1].failure.text == "RuntimeError: on purpose"
    _, told = run([failing], store, retry_failed=True)
    assert any(isinstance(event, events.Started) for event in told)


def test_fail_fast_starts_nothing_more(store: Store) -> None:
    summary, _ = run([stage("fail"), stage("add", number=1)], store, fail_fast=True)
    assert summary.counts == {"failed": 1, "pending": 1}


def test_a_divergence_is_a_result_and_its_descendants_are_skipped(store: Store) -> None:
    diverging = stage("diverge")
    child = stage("add", {"a": diverging}, kind="teacher")
    for again in (False, True):
        summary, told = run([diverging, child], store)
        assert summary.ok and summary.states == {diverging.key: "diverged", child.key: "skipped"}
        assert "diverged" in told[-1].reason
        assert any(isinstance(event, events.Cached) for event in told) == again
    assert store.get(diverging.key).result["address"] == "0/data"


def test_a_parent_from_nowhere_is_refused(store: Store) -> None:
    parent = stage("add", number=1)
    child = stage("add", {"a": parent}, kind="teacher")
    with pytest.raises(ValueError, match=parent.key):
        run([child], store)
    run([parent], store)
    assert run([child], store)[0].ok


@pytest.mark.parametrize("name", ["record.json", "receipt.json", "x.safetensors"])
def test_a_flipped_byte_is_named_and_only_that_stage_is_made_again(
    store: Store, tmp_path: Path, name: str
) -> None:
    stages = family(tmp_path / "diary")
    run(stages, store)
    before = {path: path.read_bytes() for path in store.root.rglob("record.json")}
    victim = stages[1]
    path = store.folder(victim.key) / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)
    summary, told = run(stages, store)
    assert [e.damage[0].file for e in told if isinstance(e, events.Damaged)] == [
        f"teacher/{victim.key}/{name}"
    ]
    assert summary.counts == {"cached": 3, "done": 1} and summary.states[victim.key] == "done"
    after = {path: path.read_bytes() for path in before}
    assert after == before
    assert (store.root / "damaged" / f"{victim.key}.1" / victim.key / name).read_bytes() == bytes(raw)
    assert run(stages, store)[0].counts == {"cached": 4}


def test_a_damaged_failure_is_named_and_the_stage_tried_again(store: Store) -> None:
    failing = stage("fail")
    run([failing], store)
    path = store.root / "failures" / f"{failing.key}.json"
    path.write_bytes(path.read_bytes()[:-5])
    _, told = run([failing], store)
    assert [str(e.damage[0]) for e in told if isinstance(e, events.Damaged)] == [
        f"failures/{failing.key}.json: unreadable JSON"
    ]
    assert any(isinstance(event, events.Started) for event in told)


def test_a_full_disk_ends_the_run_with_one_error_and_loses_nothing(store: Store, tmp_path: Path) -> None:
    good, full = stage("add", number=1), stage("full_disk")
    with pytest.raises(StoreError, match="the disk is full") as error:
        run([good, full, stage("add", number=2)], store)
    assert "\n" not in str(error.value)
    assert store.get(good.key) is not None and store.verify(good.key) == []
    assert store.get(full.key) is None and store.failure(full.key) is None


def test_a_read_only_store_serves_what_it_has_and_refuses_the_rest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = stage("add", number=1)
    run([good], store)

    def refuse(*arguments: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(files, "write", refuse)
    assert run([good], store)[0].counts == {"cached": 1}
    with pytest.raises(StoreError, match="read-only"):
        run([good, stage("add", number=2)], store)


def test_code_that_is_edited_during_the_run_stores_nothing(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "edited_targets.py"
    path.write_text(TARGETS.read_text())
    plugins.load([path])
    target = "dcdbench_plugin_edited_targets"
    editing = Stage("data", f"{target}:edit_itself", {}, {}, 0)
    innocent = Stage("data", f"{target}:nothing", {}, {}, 0)
    summary, told = run([innocent, editing], store, plugins=(path,))
    assert summary.states == {innocent.key: "done", editing.key: "failed"}
    assert told[-1].failure.kind == "stale" and target in told[-1].failure.text
    assert store.get(editing.key) is None and store.failure(editing.key) is None


def test_the_server_imports_what_the_stages_to_be_made_need(store: Store) -> None:
    """The compiler of torch for trainings alone, and nothing for stages that are in the store."""
    planned = make_plan(load_suite(SUITES / "quick.yaml")).stages
    data = [s for s in planned if s.kind == "data"]
    assert modules([]) == () and COMPILER[0] in modules(planned)
    assert "dcdbench.harness.stages.data" in modules(data) and COMPILER[0] not in modules(data)
    asked: list[list[Stage]] = []

    def preload(pending: Sequence[Stage]) -> tuple[str, ...]:
        asked.append(list(pending))
        return ()

    stages = [stage("nothing", number=number) for number in range(3)]
    run(stages[:2], store, preload=preload)
    run(stages, store, preload=preload)
    run(stages, store, preload=preload)  # the control: nothing is to be made, and nobody asks
    assert asked == [stages[:2], stages[2:]]


def test_a_cached_plan_starts_no_process(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [stage("nothing", number=number) for number in range(5)]
    run(stages, store)
    monkeypatch.setattr(children.Nursery, "start", None)
    assert run(stages, store)[0].counts == {"cached": 5}
    with pytest.raises(TypeError):  # the control: something is to be made
        run([*stages, stage("nothing", number=5)], store)


# The rest kills, and so needs a process of its own.


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `drive.py`, in a process group that is gone after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(plan: str, store: Store, diary: Path, jobs: int = 1) -> subprocess.Popen[str]:
        command = [sys.executable, drive.__file__, plan, str(store.root), str(diary), str(jobs)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if members(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def members(group: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = entry.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(pgrp) == group and state != "Z":
            found.append(int(entry.parent.name))
    return found


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def records(store: Store) -> dict[str, bytes]:
    """The bits of all records."""
    return {key: (store.folder(key) / "record.json").read_bytes() for key in store.keys()}


def begun(diary: Path) -> Counter[str]:
    """How often each stage began or went on."""
    lines = diary.read_text().splitlines() if diary.exists() else []
    return Counter(line.partition(" ")[0] for line in lines)


def address(key: str, stages: list[Stage]) -> str:
    """How the diary calls a stage."""
    found = next(stage for stage in stages if stage.key == key)
    return f"{found.seed}/{found.kind}"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_killed_trees_resume_to_the_same_bits_and_repeat_nothing(
    store: Store, tmp_path: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    diary = tmp_path / "diary"
    stages = drive.tree(diary)
    finished_begun: list[tuple[str, int]] = []
    for target in (0, 2, 4):  # kill when so many are finished, in the midst of the next
        process = launch("tree", store, diary)
        until(lambda count=target: len(records(store)) >= count)
        until(lambda: any((store.root / "scratch").glob("*/step")))
        os.killpg(process.pid, signal.SIGKILL)
        until(lambda group=process.pid: not members(group))
        for key in store.keys():
            where = address(key, stages)
            finished_begun.append((where, begun(diary)[where]))
    assert launch("tree", store, diary).wait(PATIENCE) == 0
    assert len(records(store)) == 6
    for where, count in finished_begun:
        assert begun(diary)[where] == count, where
    assert sum(begun(diary).values()) > 6  # the control: unfinished stages did go on
    assert " from 0" in diary.read_text() and any(
        not s.endswith("from 0") for s in diary.read_text().split("\n")[:-1]
    )
    killed = records(store)
    os.rename(store.root, store.root.with_name("killed"))
    assert launch("tree", store, diary, 2).wait(PATIENCE) == 0
    assert records(store) == killed


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_children_leave_when_the_coordinator_is_gone(
    store: Store, tmp_path: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    process = launch("hanging", store, tmp_path / "diary")
    assert "started" in process.stdout.readline()
    assert len(members(process.pid)) > 1
    process.kill()
    until(lambda: not members(process.pid))


def test_two_runs_at_once_make_each_stage_once(
    store: Store, tmp_path: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    diary = tmp_path / "diary"
    both = [launch("tree", store, diary, 2) for _ in range(2)]
    assert [process.wait(PATIENCE) for process in both] == [0, 0]
    assert len(begun(diary)) == 6 and set(begun(diary).values()) == {1}
    # The control: without a common store each makes its own.
    assert launch("tree", Store(tmp_path / "other"), diary, 2).wait(PATIENCE) == 0
    assert set(begun(diary).values()) == {2}


def test_an_interrupt_saves_and_a_second_kills(
    store: Store, tmp_path: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    ready = tmp_path / "ready"
    process = launch("waiting", store, ready)
    until(ready.exists)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process
    assert process.wait(PATIENCE) == 130
    assert list((store.root / "scratch").glob("*/saved"))
    assert not records(store) and not list(store.root.glob("failures/*"))
    process = launch("hanging", store, ready)
    assert "started" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None  # it still has time to save
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert not list(store.root.glob("failures/*"))
