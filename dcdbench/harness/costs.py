"""A rough model of what each kind of stage has to do, in operations."""

from __future__ import annotations

__all__ = [
    "Sizes",
    "comparison",
    "nominal",
    "restoring",
    "samples",
    "scores",
    "sizes_of",
    "trained",
    "training",
]

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from dcdbench.harness.operations import calls_of
from dcdbench.harness.stage import Stage
from dcdbench.harness.stages.candidates import coarse
from dcdbench.harness.trials import CALLS, Trial, forward, through
from dcdbench.harness.work import Work
from dcdbench.selection import Effort, effort, fakes_for
from dcdbench.streams import Stream

METRIC = 100_000  # the same for one metric of all
CHEAP = 40_000  # the same for one of the few by which candidates are scored again
PAIR = 3  # numbers per pair of signals, for one metric of all
CUBE = 100  # operations per cube of a signal's entries, for one metric: roots of covariances


@dataclass(frozen=True)
class Sizes:
    """How many measurements a task has: nominal numbers where it takes as many as its data have."""

    train: int = 10_000
    val: int = 2000
    test: int = 2000


def sizes_of(stage: Stage, stages: Mapping[str, Stage]) -> Sizes:
    """The sizes of a stage's task, from the stage of its data, if it is among the `stages`."""
    measured = stages.get(stage.parents.get("measurement", ""))
    source = stages.get((measured or stage).parents.get("data", ""))
    if source is None:
        return Sizes()
    held = source.spec["heldout"] or Sizes.test
    train = source.spec["train"] or Sizes.train
    if getattr(source.spec["data"], "divides", False):
        return Sizes(train, held // 3, held - held // 3)
    return Sizes(train, held, held)


def training(spec: Mapping[str, Any], sizes: Sizes, trial: Trial) -> Work:
    """Restoring, steps, and candidates along the way."""
    work = trained(spec, sizes, trial)
    fake, found = _fake(spec), comparison(spec, sizes, work.flops)
    distances = Work(flops=found.flops - found.candidates * found.fakes * fake.flops)
    return work + fake.on(found.fakes) * found.candidates + distances


def trained(spec: Mapping[str, Any], sizes: Sizes, trial: Trial) -> Work:
    """Restoring and steps."""
    phase, corruption, shape = spec["phase"], spec["corruption"], spec["shape"]
    steps = steps_of(phase)
    if hasattr(phase, "operations"):  # the start of such a phase is worth a step
        work = Work(flops=phase.operations(corruption, shape, sizes.train)) * (steps + 1)
    else:
        call = _call(phase, phase.network, spec)
        images = Work(numbers=call.numbers, flops=call.flops).on(phase.batch) * trial.passes
        work = (images + Work(calls=trial.calls)) * steps
    return work + restoring(spec, sizes)


def comparison(spec: Mapping[str, Any], sizes: Sizes, training: float) -> Effort:
    """The candidates of a training of so many operations."""
    return effort(training, _fake(spec).flops, sizes.val, prod(spec["shape"]), spec["checkpoints"])


def _fake(spec: Mapping[str, Any]) -> Work:
    """Sampling one fake of a candidate."""
    phase = spec["phase"]
    return _sampling(coarse(phase.preview(spec["corruption"].sigma_y)), phase, spec, 1)


def steps_of(phase: Any) -> int:
    """The steps of a training."""
    return max(1, ceil(1000 * phase.kimg / phase.batch))


def nominal(spec: Mapping[str, Any]) -> Work:
    """What stands for work that could not be counted: the steps of a training, of small operations."""
    return Work(calls=CALLS) * steps_of(spec["phase"]) if "checkpoints" in spec else Work()


def restoring(spec: Mapping[str, Any], sizes: Sizes) -> Work:
    """What a phase with a field `restorer` does before its first step; nothing for others."""
    phase, corruption, shape = spec["phase"], spec["corruption"], spec["shape"]
    restorer = getattr(phase, "restorer", None)
    if restorer is None:
        return Work()
    if hasattr(restorer, "operations"):
        return Work(flops=restorer.operations(corruption, shape, sizes.train))
    n = min(sizes.train, getattr(restorer, "pool", sizes.train))
    return (forward(phase.network, shape) + through(corruption, shape)).on(n) * calls_of(restorer)


def samples(spec: Mapping[str, Any], sizes: Sizes) -> Work:
    """One set of samples."""
    return _sampling(spec["sampler"], spec["phase"], spec, sizes.test)


def _sampling(sampler: Any, phase: Any, spec: Mapping[str, Any], n: int) -> Work:
    return _call(sampler, getattr(phase, "network", None), spec).on(n) * calls_of(sampler)


def _call(owner: Any, network: Any, spec: Mapping[str, Any]) -> Work:
    """One network call on one signal, through A where the objective of its owner shows it."""
    corruption, shape = spec["corruption"], spec["shape"]
    call, objective = forward(network, shape), getattr(owner, "objective", None)
    if objective is None or objective.draw(corruption, shape, 1, Stream(0).rng()) is None:
        return call
    return call + through(corruption, shape)


def scores(spec: Mapping[str, Any], sizes: Sizes, candidates: int) -> Work:
    """All metrics of the samples, and those of the candidates that tell the regret of a choice."""
    n, size = sizes.test, prod(spec["data"].shape())
    metrics = len(spec["metrics"])
    again = candidates * len([m for m in spec["metrics"] if set(m.values) & set(spec["regret"])])
    kept = fakes_for(sizes.val)
    return Work(
        numbers=metrics * n * (METRIC + PAIR * n) + again * kept * CHEAP,
        flops=(metrics + again) * CUBE * size**3,
    )
