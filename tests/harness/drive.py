"""Runs a small plan as a process of its own, to be killed: `drive.py PLAN STORE DIARY [JOBS]`."""

from __future__ import annotations

import sys
from pathlib import Path

from dcdbench.harness import children, plugins
from dcdbench.harness.events import Event, Failed, Started
from dcdbench.harness.executor import Options, execute
from dcdbench.harness.stage import Stage
from dcdbench.harness.store import Store

TARGETS = Path(__file__).with_name("targets.py")


def tree(diary: Path) -> list[Stage]:
    """Two teachers, each with two students."""
    stages = []
    for seed in range(2):
        teacher = _stage("teacher", "count", {"steps": 6, "pause": 0.02, "diary": diary}, {}, seed)
        stages.append(teacher)
        for pause in (0.02, 0.03):
            spec = {"steps": 6, "pause": pause, "diary": diary}
            stages.append(_stage(f"student{pause}", "count", spec, {"teacher": teacher.key}, seed))
    return stages


def waiting(diary: Path) -> list[Stage]:
    """One stage that works until it is asked to stop."""
    return [_stage("data", "wait", {"ready": diary}, {}, 0)]


def hanging(diary: Path) -> list[Stage]:
    """One stage that hears nothing."""
    return [_stage("data", "hang", {}, {}, 0)]


def _stage(kind: str, function: str, spec: dict, parents: dict, seed: int) -> Stage:
    return Stage(kind, f"dcdbench_plugin_targets:{function}", spec, parents, seed)


def main(plan: str, store: str, diary: str, jobs: str = "1") -> int:
    """Runs a plan; the exit status is that of the command line."""
    children.PRELOAD = ("filelock",)  # these stages compute nothing
    plugins.load([TARGETS])
    stages = {"tree": tree, "waiting": waiting, "hanging": hanging}[plan](Path(diary))
    options = Options(jobs=int(jobs), plugins=(TARGETS,), preload=lambda stages: ())
    summary = execute(stages, Store(store), options, tell)
    return 130 if summary.interrupted else 0 if summary.ok else 3


def tell(event: Event) -> None:
    """Prints what a test waits for."""
    if isinstance(event, Started):
        print("started", event.stage.key, flush=True)
    if isinstance(event, Failed):
        print(event.failure, flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
