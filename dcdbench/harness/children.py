"""Child processes: started fresh from a preloaded server, watched without polling."""

from __future__ import annotations

__all__ = ["Child", "Nursery"]

import multiprocessing as mp
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from dcdbench.harness.stage import Stage
from dcdbench.harness.worker import THREAD_VARIABLES, Job, main

PRELOAD = (
    "torch",
    "filelock",
    "safetensors.torch",
    "dcdbench.harness.worker",
)


@dataclass(eq=False)
class Child:
    """A process that works on a stage."""

    stage: Stage
    process: BaseProcess
    link: Connection
    deadline: float  # monotonic seconds
    begin: float = field(default_factory=time.monotonic)
    killed: str = ""  # why we ended it

    def stop(self) -> None:
        """Asks the stage to save its work and leave."""
        try:
            self.link.send("stop")
        except OSError:
            return  # it is gone already

    def kill(self, why: str) -> None:
        """Ends the process at once."""
        self.killed = self.killed or why
        self.deadline = float("inf")
        self.process.kill()

    def death(self) -> str:
        """How a process that said no last word has ended."""
        self.process.join(10)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"the process exited with code {code}"
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"


class Nursery:
    """Starts processes and waits for what they say.

    Pebble would do, but it polls, and is slower than what a small stage may cost.

    Args:
        threads: How many threads a child computes with.
        preload: Gives the modules that the server imports once, so that no child has to. It is asked, and the
            server started, with the first process.
    """

    def __init__(self, threads: int, preload: Callable[[], Sequence[str]]) -> None:
        self._method = "forkserver" if "forkserver" in mp.get_all_start_methods() else "spawn"
        self._context: Any = mp.get_context(self._method)
        self._threads, self._preload = threads, preload
        self._started = False
        self.children: list[Child] = []
        self._spare: tuple[BaseProcess, Connection] | None = None
        self._leaving: list[BaseProcess] = []

    def start(self, stage: Stage, job: Job, timeout: float | None) -> None:
        """Gives a job to a fresh process."""
        process, link = self._spare or self._fork()
        self._spare = None
        try:
            link.send(job)
        except OSError:  # the spare one was killed while it waited
            self._leaving.append(process)
            process, link = self._fork()
            link.send(job)
        deadline = time.monotonic() + timeout if timeout else float("inf")
        self.children.append(Child(stage, process, link, deadline))

    def prepare(self) -> None:
        """Keeps one fresh process in reserve, so that the next job need not wait for its start."""
        if self._spare is None:
            self._spare = self._fork()

    def _fork(self) -> tuple[BaseProcess, Connection]:
        if self._method == "forkserver" and not self._started:
            self._context.set_forkserver_preload([*PRELOAD, *self._preload()])
            self._started = True
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(theirs,), daemon=True)
        with theirs, _without_main(), _environment(self._threads):
            process.start()
        return process, ours

    def listen(self, alarm: int, until: float) -> list[tuple[Child, tuple[Any, ...] | None]]:
        """Waits for messages, at most until a moment or until `alarm` can be read.

        A message None is a process that ended without its last word.
        """
        until = min([until, *(child.deadline for child in self.children)])
        timeout = None if until == float("inf") else max(0.0, until - time.monotonic())
        watched = [item for child in self.children for item in (child.link, child.process.sentinel)]
        ready = set(wait([alarm, *watched], timeout))
        self._reap()
        return [
            (child, _message(child.link))
            for child in self.children
            if child.link in ready or child.process.sentinel in ready
        ]

    def release(self, child: Child) -> None:
        """Lets go of a process that said its last word, or died."""
        self.children.remove(child)
        child.link.close()
        self._leaving.append(child.process)

    def close(self) -> None:
        """Ends whatever still runs, and waits until it is gone."""
        for child in self.children[:]:
            child.kill("closed")
            self.release(child)
        if self._spare is not None:
            process, link = self._spare
            link.close()  # which it takes for the wish to leave
            self._leaving.append(process)
            self._spare = None
        self._reap(None)

    def _reap(self, timeout: float | None = 0) -> None:
        for process in self._leaving[:]:
            process.join(timeout)
            if process.exitcode is not None:
                self._leaving.remove(process)
                process.close()


def _message(link: Connection) -> tuple[Any, ...] | None:
    try:
        return link.recv() if link.poll() else None
    except (EOFError, OSError):
        return None


@contextmanager
def _without_main() -> Iterator[None]:
    """Hides `__main__`, which children would import again, whatever script it is."""
    original = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = original


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """The server inherits the number of threads before it imports what reads it."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
