"""One stage in one fresh process: what the child does."""

from __future__ import annotations

__all__ = ["THREAD_VARIABLES", "Job", "main", "one_line", "tail"]

import faulthandler
import importlib
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from dcdbench.harness import code, plugins
from dcdbench.harness.context import Context, Interrupted, Outcome, Parent
from dcdbench.harness.errors import StaleCode, StoreError, disk_is_full, guard
from dcdbench.harness.identity import stamp
from dcdbench.harness.provenance import peak_memory_mb
from dcdbench.harness.store import Store
from dcdbench.streams import Stream

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_TICK = 0.2  # seconds between two reports of progress
_LOG = "log.txt"


@dataclass(frozen=True)
class Job:
    """What a child is told. The spec travels as bytes: plug-ins must be loaded before it is read."""

    key: str
    kind: str
    target: str
    spec: bytes
    parents: Mapping[str, str]
    seed: int
    identity: dict[str, Any]
    code: Mapping[str, code.Stamp]
    files: Mapping[Path, tuple[tuple[str, int, int], ...]]
    store: Path
    plugins: tuple[Path, ...]
    threads: int
    device: str
    provenance: Mapping[str, Any]

    def check(self) -> None:
        """Raises `StaleCode` where what the key covers was edited since the key was made."""
        name = code.edited(self.identity["code"], self.code)
        if name is not None:
            raise StaleCode(f"the code of {name} was edited while the run was under way; run again")
        for path, seen in self.files.items():
            if stamp(path) != seen:
                raise StaleCode(f"{path} was changed while the run was under way; run again")


def main(link: Connection) -> None:
    """Waits for a job, runs it and exits. The last message on `link` says how it ended."""
    # Control-C in a terminal reaches every process: the coordinator tells the children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        job = link.recv()
        answer = _answer(_Voice(link), job)
        _flush()  # the coordinator reads the log as soon as it has the answer
        link.send(answer)
    except EOFError:
        _leave(1)  # the coordinator is gone, or needs no more processes
    finally:
        _leave(0)


def one_line(error: BaseException) -> str:
    """The type of an error and the first line of its text."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def tail(store: Store, key: str, size: int = 4000) -> str:
    """The end of what an unfinished stage printed."""
    try:
        raw = (store.scratch(key) / _LOG).read_bytes()
    except OSError:
        return ""
    return raw[-size:].decode(errors="replace")


class _Voice:
    """The child's side of the pipe: sends progress, hears the wish to stop."""

    def __init__(self, link: Connection) -> None:
        self.link = link
        self.stop = threading.Event()
        self._next = 0.0
        threading.Thread(target=self._hear, daemon=True).start()

    def tick(self, fraction: float, text: str = "") -> None:
        """Tells how far the stage has come, now and then.

        Raises:
            Interrupted: The run is to stop.
        """
        if self.stop.is_set():
            raise Interrupted
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TICK
            self.link.send(("progress", float(fraction), text))

    def _hear(self) -> None:
        try:
            while True:
                self.link.recv()
                self.stop.set()
        except (EOFError, OSError):
            # The coordinator is gone, whichever way: nobody waits for this stage any more.
            _leave(1)


def _answer(voice: _Voice, job: Job) -> tuple[Any, ...]:
    """Runs the job under the lock of its key; the answer for the coordinator."""
    store = Store(job.store)
    try:
        plugins.load(job.plugins)
        lock = store.lock(job.key)
        if lock is None:
            return ("busy",)
        try:
            return _locked(voice, job, store)
        finally:
            lock.release()
    except Interrupted:
        return ("interrupted",)
    except StoreError as error:
        return ("store", str(error))
    except StaleCode as error:
        return ("stale", str(error))
    except BaseException as error:
        if disk_is_full(error):  # no fault of the stage, which is to be tried again
            return ("store", f"store: {store.root}: {one_line(error)}; free some space and run again")
        return ("failed", one_line(error), traceback.format_exc())


def _locked(voice: _Voice, job: Job, store: Store) -> tuple[Any, ...]:
    done = store.get(job.key)  # by another run, while this one waited
    if done is not None:
        return ("cached", done.status)
    voice.link.send(("started",))
    scratch = store.scratch(job.key)
    with guard(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
        _print_to(scratch / _LOG)
    started, begin = datetime.now(UTC), time.perf_counter()
    outcome = _run(voice, job, store)
    seconds = time.perf_counter() - begin
    job.check()
    sys.stdout.flush()
    sys.stderr.flush()
    receipt = {
        **job.provenance,
        "threads": job.threads,
        "started": started.isoformat(timespec="milliseconds"),
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "seconds": seconds,
        "peak_memory_mb": peak_memory_mb(),
        "cost": outcome.cost,
        "log": tail(store, job.key),
    }
    record = store.put(job.key, job.identity, outcome, receipt)
    return ("finished", record.status, seconds)


def _run(voice: _Voice, job: Job, store: Store) -> Outcome:
    job.check()
    function = _function(job.target, job.threads)
    context = Context(
        stream=Stream(job.seed) / job.kind,
        device=job.device,
        scratch=store.scratch(job.key),
        parents={role: _parent(store, key) for role, key in job.parents.items()},
        tick=voice.tick,
    )
    outcome = function(context, **pickle.loads(job.spec))
    if not isinstance(outcome, Outcome):
        raise TypeError(f"{job.target} must return an Outcome, got {type(outcome).__name__}")
    if outcome.status not in ("done", "diverged"):
        raise ValueError(f"the status of an Outcome is 'done' or 'diverged', got {outcome.status!r}")
    return outcome


def _function(target: str, threads: int) -> Callable[..., Outcome]:
    """Imports a target. The numbers depend on the number of threads, so it is set first."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    module, _, name = target.partition(":")
    function: Callable[..., Outcome] = getattr(importlib.import_module(module), name)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    return function


def _parent(store: Store, key: str) -> Parent:
    record = store.get(key)
    if record is None:
        raise StoreError(f"store: {store.folder(key)}: a parent is missing or damaged; run again")
    return Parent(dict(vars(record)), lambda name: store.tensors(key, name))


def _print_to(path: Path) -> None:
    """Sends what the process prints to a file: the run's own output is data."""
    sys.stdout.flush()
    sys.stderr.flush()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
    faulthandler.enable(2)  # a crash in native code leaves its stack in the log


def _leave(status: int) -> None:
    """Exits without the interpreter's clean-up, which takes longer than a small stage."""
    _flush()
    os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
