"""Stage code for tests of the harness. Imported as a plug-in, in child processes too."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcdbench.harness.context import Context, Interrupted, Outcome


@dataclass(frozen=True)
class Noise:
    """A component."""

    scale: float = 1.0


def nothing(context: Context, **spec: Any) -> Outcome:
    """Does nothing."""
    return Outcome({"spec": sorted(spec)})


def add(context: Context, diary: Path | None = None, **spec: Any) -> Outcome:
    """The sum of its own number and its parents', and a tensor; leaves a line in a diary."""
    import torch

    if diary is not None:
        with diary.open("a") as file:
            file.write(f"{spec.get('number', 0)}\n")
    total = spec.get("number", 0) + sum(parent.result["total"] for parent in context.parents.values())
    x = torch.randn(4, generator=context.stream.rng())
    return Outcome({"total": total}, {"x": {"x": x}}, cost={"seconds": time.time()})


def count(context: Context, steps: int, pause: float, diary: Path) -> Outcome:
    """Counts slowly, with a checkpoint per step; tells a diary whenever it begins or goes on."""
    checkpoint = context.scratch / "step"
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    with diary.open("a") as file:
        file.write(f"{context.stream} from {step}\n")
    while step < steps:
        context.tick(step / steps, f"step {step}")
        time.sleep(pause)
        step += 1
        checkpoint.with_suffix(".new").write_text(str(step))
        os.replace(checkpoint.with_suffix(".new"), checkpoint)
    inherited = [parent.result["draws"] for parent in context.parents.values()]
    return Outcome({"draws": [(context.stream / i).seed64() for i in range(steps)], "parents": inherited})


def fail(context: Context) -> Outcome:
    """Raises."""
    print("about to fail")
    raise RuntimeError("on purpose\nwith a second line")


def crash(context: Context) -> Outcome:
    """Dies as if out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return Outcome({})


def hang(context: Context) -> Outcome:
    """Never returns."""
    time.sleep(1000)
    return Outcome({})


def diverge(context: Context) -> Outcome:
    """A result that is a divergence."""
    return Outcome({"address": str(context.stream), "loss": float("nan")}, status="diverged")


def wait(context: Context, ready: Path) -> Outcome:
    """Works until it is interrupted, and then saves."""
    ready.touch()
    try:
        while True:
            context.tick(0.5, "waiting")
            time.sleep(0.01)
    except Interrupted:
        (context.scratch / "saved").touch()
        raise


def tell(context: Context, **spec: Any) -> Outcome:
    """Tells what the process looks like."""
    import sys

    import torch

    main = getattr(sys.modules.get("__mp_main__"), "__file__", None)
    return Outcome({"threads": torch.get_num_threads(), "main": main, "scale": spec["noise"].scale})


def full_disk(context: Context) -> Outcome:
    """Works, but nothing can be written afterwards."""
    import errno

    def write(fd: int, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    os.write = write
    return Outcome({})


def edit_itself(context: Context) -> Outcome:
    """Changes its own code while it runs."""
    path = Path(__file__)
    path.write_text(path.read_text() + "\nedited = True\n")
    return Outcome({})
