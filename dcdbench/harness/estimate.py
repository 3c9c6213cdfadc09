"""How long stages will take: from like stages in the store, else from counted operations."""

from __future__ import annotations

__all__ = ["Estimator"]

import statistics
from collections.abc import Iterable
from typing import Any

from dcdbench.harness import costs, trials
from dcdbench.harness.identity import canonical
from dcdbench.harness.plan import CHECKPOINTS
from dcdbench.harness.stage import Stage
from dcdbench.harness.stages.samples import TIMED_MOST, TIMED_SECONDS
from dcdbench.harness.store import Store
from dcdbench.harness.trials import Trial
from dcdbench.harness.work import Rates, Work, rates

OVERHEAD = 0.1  # seconds of a stage beside its work


class Estimator:
    """Predicts seconds per stage. Stages that differ in their seed alone are alike.

    Args:
        store: Where finished stages tell how long they took.
        stages: Those of the plan, which tell how many signals a task has.
        machine: How fast work is done; None for this machine, measured when it is first asked for.
    """

    def __init__(self, store: Store, stages: Iterable[Stage] = (), machine: Rates | None = None) -> None:
        self.store, self.machine = store, machine
        self.stages = {stage.key: stage for stage in stages}
        self._known: dict[str, list[float]] | None = None
        self._predicted: dict[str, float] = {}
        self._trials: dict[str, Trial] = {}
        self._names: dict[str, str] = {}
        self._alike: dict[str, set[str]] = {}
        self._untried: dict[str, str] = {}

    def seconds(self, stage: Stage) -> float:
        """The median of like stages; without any, what the work of the stage takes here."""
        name = self._name(stage)
        known = self._history().get(name)
        if known:
            return statistics.median(known)
        if name not in self._predicted:
            self._predicted[name] = OVERHEAD + self._work(stage, name)
        return self._predicted[name]

    def learn(self, stage: Stage, seconds: float) -> set[str]:
        """Takes in how long a stage took, and gives the keys of all stages like it that were asked for."""
        name = self._name(stage)
        self._history().setdefault(name, []).append(seconds)
        return self._alike[name]

    @property
    def untried(self) -> dict[str, str]:
        """The stages whose work could not be counted, and why: a nominal one stands for it."""
        return {key: why for name, why in self._untried.items() for key in sorted(self._alike[name])}

    def _work(self, stage: Stage, name: str) -> float:
        """Seconds of the stage's work; none for a kind of stage that nothing is known of."""
        try:
            return self._counted(stage, name)
        except Exception as error:  # of a plug-in: the stage itself will tell, a prediction ends no run
            self._untried[name] = f"{type(error).__name__}: {error}"
            return self._seconds(costs.nominal(stage.spec))

    def _counted(self, stage: Stage, name: str) -> float:
        spec: Any = stage.spec
        sizes = costs.sizes_of(stage, self.stages)
        if "checkpoints" in spec:
            trial = self._trial(spec)
            if trial.failed:
                self._untried[name] = trial.failed
            return self._seconds(costs.training(spec, sizes, trial))
        if "sampler" in spec:
            once = self._seconds(costs.samples(spec, sizes))
            return once + max(once, min(TIMED_SECONDS, TIMED_MOST * once))  # it draws again, to time that
        if "metrics" in spec:
            trained = self.stages.get(stage.parents.get("trained", ""))
            candidates = trained.spec["checkpoints"] if trained else CHECKPOINTS
            return self._seconds(costs.scores(spec, sizes, candidates))
        return 0.0

    def _trial(self, spec: Any) -> Trial:
        phase, before = spec["phase"], spec["before"]
        if hasattr(phase, "operations"):  # it says itself what a step takes
            return Trial(0.0)
        kind = trials.kind_of_training(phase)
        if kind not in self._trials:
            call = trials.forward(phase.network, spec["shape"])
            self._trials[kind] = trials.try_step(phase, before, spec["corruption"], spec["shape"], call)
        return self._trials[kind]

    def _seconds(self, work: Work) -> float:
        if self.machine is None:
            self.machine = rates()
        return self.machine.seconds(work)

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
