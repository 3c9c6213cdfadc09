"""What a person sees of a run: one live line on a terminal, plain lines elsewhere; all on stderr."""

from __future__ import annotations

__all__ = ["Progress"]

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO

from dcdbench.harness import events
from dcdbench.harness.estimate import Estimator
from dcdbench.harness.stage import Stage

_REDRAW = 0.2  # seconds between two drawings of the live line


class Progress:
    """Listens to a run.

    Args:
        estimator: Predicts how long stages take, and learns from those that end.
        jobs: Processes at once.
        row: Gives the scores of a cell, as one line, if a stage completes one; empty otherwise.
        quiet: Whether to tell of failures and damage only.
        stream: Where to write.
    """

    def __init__(
        self,
        estimator: Estimator,
        jobs: int,
        row: Callable[[str], str],
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self.estimator, self.jobs, self.row, self.quiet = estimator, jobs, row, quiet
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty() and not quiet
        self.counts: Counter[str] = Counter()
        self.total = 0
        self.stages: dict[str, Stage] = {}
        self.waiting: dict[str, float] = {}
        self.work = 0.0
        self.running: dict[str, tuple[Stage, float]] = {}
        self.drawn = 0.0

    def __call__(self, event: events.Event) -> None:
        """Takes in one event, and writes what a reader wants to know of it."""
        match event:
            case events.Planned(stages):
                self.total = len(stages)
                self.stages = {stage.key: stage for stage in stages}
            case events.Cached(stage):
                self._end(stage, "cached")
            case events.Started(stage):
                self._predict()
                self.running[stage.key] = (stage, 0.0)
            case events.Progress(stage, fraction, _):
                self.running[stage.key] = (stage, fraction)
            case events.Finished(stage, status, seconds):
                self._learn(stage, seconds)
                self._end(stage, status)
                self._say(f"{status:>8}  {stage.label}  {seconds:.1f} s  [{self._tally()}]")
                if row := self.row(stage.key):
                    self._say(f"     row  {row}")
            case events.Failed(stage, failure, remembered):
                self._end(stage, "failed")
                again = "  (from an earlier run; --retry-failed tries again)" if remembered else ""
                self._say(f"  failed  {stage.label}: {failure.kind}: {failure.text}{again}", loud=True)
            case events.Blocked(stage, status, _):
                self._end(stage, status)
            case events.Damaged(stage, damage):
                for one in damage:
                    self._say(f" damaged  {stage.label}: {one}; it is made again", loud=True)
            case events.Busy(stage):
                self._say(f"    busy  {stage.label}: another run works on it")
        self._draw()

    def close(self) -> None:
        """Removes the live line."""
        if self.live:
            self.stream.write("\r\x1b[K")
            self.stream.flush()

    def _end(self, stage: Stage, status: str) -> None:
        self.counts[status] += 1
        self.stages.pop(stage.key, None)
        self.work -= self.waiting.pop(stage.key, 0.0)
        self.running.pop(stage.key, None)

    def _predict(self) -> None:
        """Looks up, at the first start, how long everything that has not ended will take."""
        if not self.waiting:
            self.waiting = {key: self.estimator.seconds(s) for key, s in self.stages.items()}
            self.work = sum(self.waiting.values())

    def _learn(self, stage: Stage, seconds: float) -> None:
        """What one stage took, the waiting ones that are like it will take too."""
        alike = self.estimator.learn(stage, seconds)
        for key in alike & self.waiting.keys():
            self.work += seconds - self.waiting[key]
            self.waiting[key] = seconds

    def _tally(self) -> str:
        ended = sum(self.counts.values())
        parts = [f"{ended}/{self.total} stages"]
        parts += [f"{n} {name}" for name, n in sorted(self.counts.items()) if name != "done"]
        if ended < self.total:
            parts.append(f"about {clock(self.left())} left")
        return ", ".join(parts)

    def left(self) -> float:
        """Predicted seconds until the run ends."""
        done = sum(self.waiting.get(key, 0.0) * fraction for key, (_, fraction) in self.running.items())
        return max(self.work - done, 0.0) / self.jobs

    def _say(self, line: str, loud: bool = False) -> None:
        if self.quiet and not loud:
            return
        self.stream.write(("\r\x1b[K" if self.live else "") + line + "\n")
        self.stream.flush()
        self.drawn = 0.0

    def _draw(self) -> None:
        now = time.monotonic()
        if not self.live or now - self.drawn < _REDRAW:
            return
        self.drawn = now
        at = "; ".join(f"{stage.label} {fraction:.0%}" for stage, fraction in self.running.values())
        line = f"{self._tally()} | {at}"
        self.stream.write(f"\r\x1b[K{line[: _width() - 1]}")
        self.stream.flush()


def clock(seconds: float) -> str:
    """`42 s`, `3 min` or `1 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns
