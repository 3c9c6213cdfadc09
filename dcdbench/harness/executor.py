"""Runs a plan: what the store has is reused, the rest is made, each stage in a fresh process."""

from __future__ import annotations

__all__ = ["Options", "Summary", "execute"]

import pickle
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dcdbench.harness import code, events, plugins
from dcdbench.harness.children import Child, Nursery
from dcdbench.harness.errors import StoreError
from dcdbench.harness.identity import stamp
from dcdbench.harness.interrupts import Interrupts
from dcdbench.harness.preload import COMPILER
from dcdbench.harness.provenance import provenance
from dcdbench.harness.schedule import Schedule, State
from dcdbench.harness.stage import Stage
from dcdbench.harness.store import Failure, Store
from dcdbench.harness.survey import Listener, settle, settle_cached, survey
from dcdbench.harness.worker import Job, one_line, tail

GRACE = 20.0  # seconds that stages have to save their work
_BUSY_DELAY = 0.25  # seconds before a stage that another run works on is looked at again


def _compiler(stages: Sequence[Stage]) -> Sequence[str]:
    return COMPILER


@dataclass(frozen=True)
class Options:
    """How to run.

    Args:
        jobs: Processes at once.
        threads: Threads of each process. The last bits of results depend on it.
        timeout: Seconds after which a stage is killed; None for never.
        device: Where stages compute.
        plugins: Python files to import in every process.
        preload: Gives the modules that the server of processes imports once, from the stages to be made.
        retry_failed: Whether to try stages again that failed in an earlier run.
        fail_fast: Whether to start no more stages after a failure.
    """

    jobs: int = 1
    threads: int = 1
    timeout: float | None = None
    device: str = "cpu"
    plugins: tuple[Path, ...] = ()
    preload: Callable[[Sequence[Stage]], Sequence[str]] = _compiler
    retry_failed: bool = False
    fail_fast: bool = False


@dataclass(frozen=True)
class Summary:
    """How a run ended: the state of each key, and whether it was interrupted."""

    states: dict[str, State]
    interrupted: bool
    seconds: float
    counts: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", Counter(self.states.values()))

    @property
    def ok(self) -> bool:
        """Whether every stage has a result, or could not have one because a parent diverged."""
        return not self.interrupted and set(self.states.values()) <= {"cached", "done", "diverged", "skipped"}


def execute(stages: Iterable[Stage], store: Store, options: Options, listen: Listener) -> Summary:
    """Makes every stage that the store lacks, or holds damaged.

    Args:
        stages: The plan. Parents outside of it must be in the store.
        store: Where results are, and go.
        options: How to run.
        listen: Called with every event, in this thread.

    Returns:
        How each stage ended. The first interrupt lets stages save their work, the second kills.

    Raises:
        StoreError: The store cannot be used. What was finished is kept.
    """
    plugins.load(options.plugins)
    schedule = Schedule(stages)
    begin = time.monotonic()
    with Interrupts() as interrupts:
        survey(schedule, store, options.retry_failed, listen)
        run = _Run(schedule, store, options, listen, interrupts)
        try:
            run.loop()
        finally:
            run.nursery.close()
    return Summary(schedule.states, interrupts.count > 0, time.monotonic() - begin)


class _Run:
    def __init__(
        self, schedule: Schedule, store: Store, options: Options, listen: Listener, interrupts: Interrupts
    ) -> None:
        self.schedule, self.store, self.options, self.listen = schedule, store, options, listen
        self.interrupts = interrupts
        self.nursery = Nursery(options.threads, lambda: options.preload(schedule.pending()))
        self.delayed: dict[str, float] = {}  # busy keys: when to look again
        self.busy: set[str] = set()  # keys that were found busy
        self.patience = float("inf")  # until when stages may save their work
        self.halted = False  # start nothing more
        self.stopped = False  # those that run were asked to leave
        self.error: StoreError | None = None

    def loop(self) -> None:
        """Starts, listens and settles until nothing runs and nothing can."""
        if "pending" in self.schedule.states.values():
            self.store.check_writable()
        while True:
            self._heed()
            self._fill()
            if not self.nursery.children and (self.halted or not self.delayed):
                break
            until = min([self.patience, *(() if self.halted else self.delayed.values())])
            for child, message in self.nursery.listen(self.interrupts.fd, until):
                self._hear(child, message)
            self._expire()
        if self.error is not None:
            raise self.error

    def _heed(self) -> None:
        """Acts on interrupts: the first asks, the second kills."""
        self.interrupts.drain()
        if self.interrupts.count:
            self._stop()
        if self.interrupts.count > 1:
            self._kill("interrupted")

    def _stop(self) -> None:
        """Lets the stages that run save their work, and starts no more."""
        if not self.stopped:
            self.stopped = self.halted = True
            self.patience = time.monotonic() + GRACE
            for child in self.nursery.children:
                child.stop()

    def _kill(self, why: str) -> None:
        self.patience = float("inf")
        for child in self.nursery.children:
            child.kill(why)

    def _expire(self) -> None:
        now = time.monotonic()
        if now >= self.patience:
            self._kill("interrupted")
        for child in self.nursery.children:
            if now >= child.deadline:
                child.kill("timeout")

    def _fill(self) -> None:
        now = time.monotonic()
        for key in [key for key, when in self.delayed.items() if when <= now]:
            del self.delayed[key]
            self.schedule.give_back(self.schedule.stages[key])
        while not self.halted and len(self.nursery.children) < self.options.jobs:
            stage = self.schedule.take()
            if stage is None:
                break
            self._start(stage)
        if self.nursery.children and not self.halted:
            self.nursery.prepare()

    def _start(self, stage: Stage) -> None:
        if stage.key in self.busy and self._still_busy(stage):
            return
        try:
            job = self._job(stage)
        except Exception as error:
            self._fail(stage, Failure("exception", one_line(error), traceback.format_exc()))
            return
        self.nursery.start(stage, job, self.options.timeout)

    def _still_busy(self, stage: Stage) -> bool:
        """Looks at a stage of another run, without the cost of a process."""
        record = self.store.get(stage.key)
        if record is not None:
            settle_cached(stage, record.status, self.schedule, self.listen)
            return True
        lock = self.store.lock(stage.key)
        if lock is None:
            self._delay(stage)
            return True
        lock.release()
        return False

    def _delay(self, stage: Stage) -> None:
        if stage.key not in self.busy:
            self.busy.add(stage.key)
            self.listen(events.Busy(stage))
        self.delayed[stage.key] = time.monotonic() + _BUSY_DELAY

    def _job(self, stage: Stage) -> Job:
        identity = stage.identity
        return Job(
            key=stage.key,
            kind=stage.kind,
            target=stage.target,
            spec=pickle.dumps(dict(stage.spec)),
            parents=dict(stage.parents),
            seed=stage.seed,
            identity=identity,
            code=code.stamps(identity["code"]),
            files={path: stamp(path) for path in stage.files},
            store=self.store.root,
            plugins=self.options.plugins,
            threads=self.options.threads,
            device=self.options.device,
            provenance=provenance(self.options.device),
        )

    def _hear(self, child: Child, message: tuple[Any, ...] | None) -> None:
        stage = child.stage
        match message:
            case ("started",):
                self.listen(events.Started(stage))
            case ("progress", fraction, text):
                self.listen(events.Progress(stage, fraction, text))
            case _:
                self.nursery.release(child)
                self._end(child, message)

    def _end(self, child: Child, message: tuple[Any, ...] | None) -> None:
        """Acts on the last word of a process; None where it had none."""
        stage = child.stage
        match message:
            case ("finished", status, seconds):
                event = events.Finished(stage, status, seconds)
                settle(stage, status, event, self.schedule, self.listen)
            case ("cached", status):
                settle_cached(stage, status, self.schedule, self.listen)
            case ("busy",):
                self._delay(stage)
            case ("interrupted",):
                self.schedule.settle(stage.key, "interrupted")
            case ("store", text):
                self._give_up(StoreError(text))
            case ("stale", text):
                self._fail(stage, Failure("stale", text))
            case ("failed", text, detail):
                self._fail(stage, Failure("exception", text, detail))
            case _:
                self._died(child)

    def _died(self, child: Child) -> None:
        how = child.death()
        if child.killed == "timeout":
            text = f"killed after {self.options.timeout:g} s"
            self._fail(child.stage, Failure("timeout", text))
        elif child.killed or self.stopped:
            self.schedule.settle(child.stage.key, "interrupted")
        else:
            self._fail(child.stage, Failure("crash", how))

    def _fail(self, stage: Stage, failure: Failure) -> None:
        receipt = {**provenance(self.options.device), "finished": datetime.now(UTC).isoformat()}
        failure = replace(failure, log=tail(self.store, stage.key), receipt=receipt)
        settle(stage, "failed", events.Failed(stage, failure), self.schedule, self.listen)
        self.halted = self.halted or self.options.fail_fast
        if failure.kind == "stale":  # the key is not to blame
            return
        try:
            self.store.fail(stage.key, failure)
        except StoreError as error:
            self._give_up(error)

    def _give_up(self, error: StoreError) -> None:
        self.error = self.error or error
        self._stop()
