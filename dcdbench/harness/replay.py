"""Steps again from the state before a divergence to the recorded address."""

from __future__ import annotations

__all__ = ["Replay", "replay"]

import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from dcdbench.harness.context import Context
from dcdbench.harness.revive import parent, sampled, spec_of
from dcdbench.harness.stages.training import Run
from dcdbench.harness.store import Record, Store
from dcdbench.streams import Stream
from dcdbench.training import Diverged, train

AFTER = 20  # steps to go beyond the recorded one before it is said not to reproduce


@dataclass(frozen=True)
class Replay:
    """What a replay saw.

    Args:
        key: The diverged stage.
        recorded: The reason and the address in the record.
        seen: Those of the replay; None where nothing diverged.
        start: The step that the replay started from.
        steps: The statistics of the last steps before, each with its `step`.
    """

    key: str
    recorded: tuple[str, str]
    seen: tuple[str, str] | None
    start: int = 0
    steps: tuple[dict[str, float], ...] = field(default=())

    @property
    def reproduced(self) -> bool:
        """Whether the same address diverged. On another machine the figures may differ a little."""
        return self.seen is not None and self.seen[1] == self.recorded[1]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "reproduced": self.reproduced}

    def lines(self) -> Iterator[str]:
        """For a reader."""
        yield f"{self.key}: recorded: {self.recorded[0]}, at {self.recorded[1]}"
        yield from _table(self.steps)
        if self.seen is None:
            yield "NOT REPRODUCED: nothing diverged, up to that address and beyond"
        else:
            same = "" if self.seen == self.recorded else ", with other figures"
            verdict = f"REPRODUCED{same}" if self.reproduced else "NOT REPRODUCED, diverged elsewhere"
            yield f"{verdict}: {self.seen[0]}, at {self.seen[1]}"


def replay(store: Store, key: str, last: int, tell: Callable[[str], None]) -> Replay:
    """Replays the divergence of a stage and keeps the statistics of the `last` steps."""
    threads = torch.get_num_threads()
    torch.set_num_threads(int(store.receipt(key).get("threads", 1)))  # the last bits depend on it
    try:
        return _replay(store, key, last, tell)
    finally:
        torch.set_num_threads(threads)


def _replay(store: Store, key: str, last: int, tell: Callable[[str], None]) -> Replay:
    record, receipt = store.get(key), store.receipt(key)
    assert record is not None and record.status == "diverged"
    device = str(receipt.get("device", "cpu"))
    if not device.startswith("cpu") and not torch.cuda.is_available():
        tell(f"trained on {device}, which is not here: replayed on the CPU, where the bits differ")
        device = "cpu"
    if "sampler" in record.identity["params"]:
        return _samples(store, record, device)
    return _training(store, record, device, last, tell)


def _samples(store: Store, record: Record, device: str) -> Replay:
    """Samples that were not finite: drawn again at their address."""
    recorded = (str(record.result["reason"]), str(record.result["address"]))
    address = Stream.parse(recorded[1])
    drawn = sampled(store, record, device).draw(len(store.tensors(record.key, "samples")["x"]), address)
    finite = bool(torch.isfinite(drawn.x).all())
    return Replay(record.key, recorded, None if finite else recorded)


def _training(store: Store, record: Record, device: str, last: int, tell: Callable[[str], None]) -> Replay:
    recorded = (str(record.result["reason"]), str(record.result["address"]))
    with tempfile.TemporaryDirectory() as scratch:
        run = _run(store, record, device, Path(scratch))
        start = run.state.step
        if recorded[1].endswith("/candidates"):
            n = len(store.tensors(record.key, "candidates")["0"])
            return Replay(record.key, recorded, _candidate(run, recorded, n), start)
        end = int(record.result["step"])
        tell(f"{record.key}: from step {start} to {end}")
        kept: deque[dict[str, float]] = deque(maxlen=last)
        try:
            for stats in steps(run):
                kept.append({"step": run.state.step - 1, **stats})
                if run.state.step > end + AFTER:
                    return Replay(record.key, recorded, None, start, tuple(kept))
        except Diverged as seen:
            return Replay(record.key, recorded, (seen.reason, seen.address), start, tuple(kept))
    raise AssertionError("a training does not end by itself")


def steps(run: Run) -> Iterator[dict[str, float]]:
    """The steps of a training, from its state on."""
    return train(run.phase, run.problem, run.state, run.context.stream / "step")


def _candidate(run: Run, recorded: tuple[str, str], n: int) -> tuple[str, str] | None:
    """The last candidate, whose `n` samples are drawn again."""
    rng = Stream.parse(recorded[1]).rng(run.context.device)
    x = run.candidates.sampler.sample(run.phase.result(run.state), run.problem, n, rng).x
    return None if bool(torch.isfinite(x).all()) else recorded


def _run(store: Store, record: Record, device: str, scratch: Path) -> Run:
    """The training, in the state that was stored before it diverged."""
    identity, spec = record.identity, spec_of(record)
    parents = {role: parent(store, key) for role, key in identity["parents"].items()}
    stream = Stream(identity["seed"]) / identity["kind"]
    context = Context(stream, device, scratch, parents, lambda fraction, text: None)
    run = Run(context, spec["phase"], spec["before"], spec["corruption"], spec["shape"], spec["checkpoints"])
    run.state.load(store.tensors(record.key, "before"))
    return run


def _table(rows: tuple[dict[str, float], ...]) -> Iterator[str]:
    if not rows:
        return
    names = list(dict.fromkeys(chain.from_iterable(rows)))  # surveys are made at some steps only
    widths = [max(12, len(name) + 2) for name in names]
    yield "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    for row in rows:
        entries = (
            format(row[name], ".0f" if name == "step" else ".4g") if name in row else "" for name in names
        )
        yield "".join(f"{entry:>{width}}" for entry, width in zip(entries, widths, strict=True))
