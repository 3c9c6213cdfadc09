"""How long stages will take: from like stages in the store, else from a few trial steps."""

from __future__ import annotations

__all__ = ["Estimator"]

import statistics
import time
from typing import Any

import torch

from dcdbench.harness.identity import canonical
from dcdbench.harness.stage import Stage
from dcdbench.harness.store import Store
from dcdbench.problem import Problem
from dcdbench.streams import Stream

OVERHEAD = 0.1  # seconds of a stage beside its work
TRIAL_STEPS = 4


class Estimator:
    """Predicts seconds per stage. Stages that differ in their seed alone are alike.

    Args:
        store: Where finished stages tell how long they took.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[str, list[float]] | None = None
        self._trials: dict[str, float] = {}
        self._names: dict[str, str] = {}
        self._alike: dict[str, set[str]] = {}

    def seconds(self, stage: Stage, *, trial: bool = True) -> float:
        """The median of like stages; for a training without any, the time of a few steps scaled up."""
        name = self._name(stage)
        known = self._history().get(name)
        if known:
            return statistics.median(known)
        if not trial or "checkpoints" not in stage.spec:
            return OVERHEAD
        if name not in self._trials:
            self._trials[name] = _try(stage)
        return self._trials[name]

    def learn(self, stage: Stage, seconds: float) -> set[str]:
        """Takes in how long a stage took, and gives the keys of all stages like it that were asked for."""
        name = self._name(stage)
        self._history().setdefault(name, []).append(seconds)
        return self._alike[name]

    def _name(self, stage: Stage) -> str:
        if stage.key not in self._names:
            self._names[stage.key] = name = likeness(stage.identity)
            self._alike.setdefault(name, set()).add(stage.key)
        return self._names[stage.key]

    def _history(self) -> dict[str, list[float]]:
        if self._known is None:
            self._known = {}
            for key in self.store.keys():
                record = self.store.get(key)
                seconds = self.store.receipt(key).get("seconds")
                if record and seconds:
                    self._known.setdefault(likeness(record.identity), []).append(seconds)
        return self._known


def likeness(identity: dict[str, Any]) -> str:
    """What stages have in common whose cost is the same."""
    return canonical({"kind": identity["kind"], "params": identity["params"]})


def _try(stage: Stage) -> float:
    """The time of a training, from a few of its steps on numbers of the right shape."""
    spec: Any = stage.spec
    phase, shape = spec["phase"], spec["shape"]
    stream = Stream(0)
    corruption = spec["corruption"]
    m = corruption(torch.randn(phase.batch, *shape, generator=stream.rng()), stream.rng())
    problem = Problem(m, m, corruption, shape)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times: list[float] = []
    try:
        state = phase.init(problem, _parent(spec["before"], problem), stream)
        for step in range(TRIAL_STEPS):
            start = time.perf_counter()
            phase.step(state, problem, stream / step)
            times.append(time.perf_counter() - start)
    except Exception:  # a step that fails or diverges: the stage itself will tell, an estimate ends no run
        pass
    finally:
        torch.set_num_threads(threads)
    return OVERHEAD + min(times, default=0.0) * 1000 * phase.kimg / phase.batch


def _parent(before: Any, problem: Problem) -> Any:
    """What the phase before would have made: its network, untrained."""
    from dcdbench.phases.start import denoiser_for

    if not hasattr(before, "objective"):  # there is none, or it learns no denoiser
        return None
    return denoiser_for(problem, before.objective, before.network, Stream(0))
