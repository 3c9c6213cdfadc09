"""Predictions of time: few and small trial steps, no restoration, sums that scale, and no hidden failure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from dcdbench.harness import costs, trials
from dcdbench.harness.costs import Sizes, comparison, restoring, sizes_of, steps_of
from dcdbench.harness.estimate import OVERHEAD, Estimator
from dcdbench.harness.identity import canonical, describe
from dcdbench.harness.plan import CHECKPOINTS, Plan, make_plan
from dcdbench.harness.preview import describe as words
from dcdbench.harness.preview import summarise
from dcdbench.harness.stage import Stage
from dcdbench.harness.store import Store
from dcdbench.harness.suitefile import load_suite
from dcdbench.harness.work import Rates, Work
from dcdbench.networks.mlp import MLP
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.operators.identity import Identity
from dcdbench.phases.relearn import Relearn
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption, Problem
from dcdbench.restorers.posterior import MMPS
from dcdbench.selection import FEWEST, LEAST, SHARE
from dcdbench.streams import Stream
from dcdbench.training import State

SUITES = Path(__file__).parents[2] / "suites"
RATES = Rates(1e-5, 5e-10, 1e-11)
NOISE = Corruption(Identity(), 0.5)
TEACH = Teach(AmbientTweedie(), MLP(16, 1), kimg=50.0, batch=64)


@cache
def plan(name: str) -> Plan:
    return make_plan(load_suite(SUITES / f"{name}.yaml"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def stage(phase: Any, before: Any = None, seed: int = 0) -> Stage:
    """A training of two numbers per signal, without a stage of data."""
    spec = {"phase": phase, "before": before, "corruption": NOISE, "shape": (2,), "device": "cpu"}
    target = "dcdbench.harness.stages.training:run"
    return Stage(phase.kind, target, spec | {"checkpoints": CHECKPOINTS}, {}, seed, label=f"seed {seed}")


def seconds(phase: Any, store: Store, before: Any = None) -> float:
    return Estimator(store, machine=RATES).seconds(stage(phase, before))


@dataclass
class Steps:
    """The batches of all steps, and how often a restorer was called, or a fit started."""

    batches: list[int]
    restored: int = 0


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Counts steps of the phases and calls of the restorers that the two large suites have."""
    counted = Steps([])
    trainings = [*trained("all"), *trained("full")]
    phases = {type(phase) for phase in trainings}
    restorers = {type(phase.restorer) for phase in trainings if hasattr(phase, "restorer")}
    assert len(phases) > 8 and len(restorers) > 4
    for cls in phases:
        if "step" in vars(cls):
            monkeypatch.setattr(cls, "step", counting(cls.step, counted))
    for cls in phases:
        if hasattr(cls, "operations"):  # it says what its iterations take, and starts with some
            monkeypatch.setattr(cls, "init", restoring_counted(cls.init, counted))
    for cls in restorers:
        monkeypatch.setattr(cls, "restore", restoring_counted(cls.restore, counted))
    return counted


def counting(step: Any, counted: Steps) -> Any:
    def counting_step(self: Any, *args: Any) -> Any:
        counted.batches.append(self.batch)
        return step(self, *args)

    return counting_step


def restoring_counted(restore: Any, counted: Steps) -> Any:
    def counting_restore(self: Any, *args: Any) -> Any:
        counted.restored += 1
        return restore(self, *args)

    return counting_restore


def trained(name: str) -> Iterator[Any]:
    return (stage.spec["phase"] for stage in plan(name).stages if "checkpoints" in stage.spec)


# Few trials


@pytest.mark.parametrize("name", ["all", "full"])
def test_a_plan_takes_one_small_step_for_each_kind_of_training(name: str, store: Store, steps: Steps) -> None:
    """Steps of a phase within a phase count as well, so that there may be two for each kind."""
    kinds = {trials.kind_of_training(p) for p in trained(name) if not hasattr(p, "operations")}
    trainings = {canonical(describe(p)) for p in trained(name)}
    summary = summarise(plan(name), store, 1)
    assert summary["untried"] == []
    assert len(kinds) <= len(steps.batches) <= 2 * len(kinds)
    assert len(kinds) <= 25 < len(trainings)
    assert set(steps.batches) == {trials.TRIAL_BATCH} and trials.TRIAL_BATCH <= 4
    assert steps.restored == 0


def test_a_real_start_restores(steps: Steps) -> None:
    """Control: what no trial does, the start of the training does."""
    teach = replace(TEACH, kimg=1.0)
    m = NOISE(torch.randn(8, 2, generator=Stream(0).rng()), Stream(1).rng())
    problem = Problem(m, m, NOISE, (2,))
    parent = teach.result(teach.init(problem, None, Stream(0)))
    phase = Relearn(teach, MMPS(steps=2))
    phase.init(problem, parent, Stream(0))
    assert steps.restored == 1
    trials.small(phase).init(problem, parent, Stream(0))
    assert steps.restored == 1


def test_no_seed_repeats_a_trial(store: Store, steps: Steps) -> None:
    estimator = Estimator(store, machine=RATES)
    first = estimator.seconds(stage(TEACH))
    assert len(steps.batches) == 1
    assert all(estimator.seconds(stage(TEACH, seed=seed)) == first for seed in range(1, 4))
    assert len(steps.batches) == 1
    estimator.seconds(stage(replace(TEACH, kimg=7.0, batch=32, network=MLP(32, 1))))  # sizes are no kinds
    assert len(steps.batches) == 1
    estimator.seconds(stage(replace(TEACH, objective=AmbientTweedie(consistency=True))))
    assert len(steps.batches) > 1


def test_a_trial_leaves_torch_as_it_was() -> None:
    """The next optimizer is one that the compiler passes over, as torch has it."""
    method = torch.optim.Optimizer.add_param_group.__wrapped__  # type: ignore[attr-defined]
    before = dict(vars(method))
    call = trials.forward(TEACH.network, (2,))
    assert not trials.try_step(TEACH, None, NOISE, (2,), call).failed
    assert dict(vars(method)) == before


# What predictions are


@pytest.mark.parametrize("name", sorted(path.stem for path in SUITES.glob("*.yaml")))
def test_every_stage_of_every_suite_has_a_time(name: str, store: Store) -> None:
    estimator = Estimator(store, plan(name).stages, RATES)
    times = [estimator.seconds(stage) for stage in plan(name).stages]
    assert all(math.isfinite(t) and t > 0 for t in times)
    assert estimator.untried == {}


def test_the_same_rates_give_the_same_times(store: Store) -> None:
    stages = plan("quick").stages
    one, two = (Estimator(store, stages, RATES) for _ in range(2))
    assert [one.seconds(stage) for stage in stages] == [two.seconds(stage) for stage in stages]


def test_kimg_doubles_the_training_part(store: Store) -> None:
    """Candidates and overhead, the rest, stay as they are in trainings as long as these."""
    once, twice, thrice = (seconds(replace(TEACH, kimg=k * 64_000.0), store) for k in (1, 2, 3))
    assert twice - once == pytest.approx(thrice - twice, rel=1e-9)
    estimator = Estimator(store, machine=RATES)
    trial = estimator._trial(stage(TEACH).spec)
    call = trials.forward(TEACH.network, (2,))
    step = Work(trial.calls, trial.passes * 64 * call.numbers, trial.passes * 64 * call.flops)
    assert twice - once == pytest.approx(1e6 * RATES.seconds(step), rel=0.01)


@pytest.mark.parametrize("name", ["all", "full"])
def test_the_candidates_of_the_suites_take_a_share_of_their_trainings(name: str, store: Store) -> None:
    """Those with fewer than half of the candidates are too short to pay for half, with the fewest fakes."""
    estimator, many = Estimator(store, plan(name).stages, RATES), 0
    for each in (s for s in plan(name).stages if "checkpoints" in s.spec and s.seed == 0):
        sizes = sizes_of(each, estimator.stages)
        whole = costs.trained(each.spec, sizes, estimator._trial(each.spec)).flops
        found = comparison(each.spec, sizes, whole)
        if found.flops > SHARE * whole:
            assert (found.candidates, found.fakes) == (min(LEAST, each.spec["checkpoints"]), FEWEST)
        if found.candidates < each.spec["checkpoints"] / 2:
            one = found.flops / found.candidates * FEWEST / found.fakes
            assert 1.1 * one * each.spec["checkpoints"] / 2 > SHARE * whole, each.label
        many += found.candidates == each.spec["checkpoints"] > 1
    assert many > 10


def test_a_larger_network_costs_more(store: Store) -> None:
    times = [seconds(replace(TEACH, network=MLP(width, 2)), store) for width in (16, 64, 256)]
    assert times == sorted(times) and times[2] > 2 * times[1]


def test_a_faster_machine_takes_less(store: Store) -> None:
    fast = Rates(RATES.call / 2, RATES.number / 2, RATES.flop / 2)
    slow, quick = (Estimator(store, machine=rates).seconds(stage(TEACH)) for rates in (RATES, fast))
    assert quick - OVERHEAD == pytest.approx((slow - OVERHEAD) / 2, rel=1e-9)


def test_restoring_counts_though_it_is_not_done(store: Store) -> None:
    """As many measurements as the restorer takes, times its network calls."""
    few, many = (Relearn(TEACH, MMPS(pool=pool)) for pool in (1000, 4000))
    one, two = (restoring(stage(phase).spec, Sizes()) for phase in (few, many))
    assert two.flops == pytest.approx(4 * one.flops)
    assert one.flops == 1000 * MMPS().calls * trials.forward(TEACH.network, (2,)).flops
    assert seconds(many, store, TEACH) > seconds(few, store, TEACH) > seconds(TEACH, store)


def test_the_trial_counts_what_a_real_step_counts() -> None:
    """A step on a small batch, scaled up, has the operations of a step on a large one."""
    call = trials.forward(TEACH.network, (2,))
    trial = trials.try_step(TEACH, None, NOISE, (2,), call)
    m = NOISE(torch.randn(512, 2, generator=Stream(0).rng()), Stream(1).rng())
    problem = Problem(m, m, NOISE, (2,))
    state = TEACH.init(problem, None, Stream(0))
    with trials.Counted() as counter:
        TEACH.step(state, problem, Stream(0) / 1)
    assert counter.total == pytest.approx(trial.passes * TEACH.batch * call.flops, rel=1e-6)
    assert steps_of(TEACH) == math.ceil(50_000 / 64)


def test_sizes_are_those_of_the_data() -> None:
    """Digits divide what is held out; drawn data have as many in each split."""
    stages = {stage.key: stage for stage in plan("full").stages}

    def sizes(task: str) -> Sizes:
        label = f"{task}/ambient-diffusion/"
        return next(sizes_of(s, stages) for s in stages.values() if s.label.startswith(label))

    assert sizes("digits-noise") == Sizes(1000, 265, 532)
    assert sizes("gaussian") == Sizes(20_000, 2000, 2000)


# Failures leave a trace


@dataclass(frozen=True)
class Broken(Teach):
    """Its steps fail."""

    def step(self, state: State, problem: Problem, stream: Stream) -> dict[str, float]:
        raise RuntimeError("the step is broken")


@dataclass(frozen=True)
class Unseen(Teach):
    """Its candidates cannot be sampled."""

    def preview(self, sigma_y: float) -> Any:
        raise RuntimeError("the preview is broken")


@pytest.mark.parametrize(("cls", "what"), [(Broken, "step"), (Unseen, "preview")])
def test_a_training_that_cannot_be_tried_is_told(cls: type[Teach], what: str, store: Store) -> None:
    reason = f"the {what} is broken"
    phase = cls(AmbientTweedie(), MLP(16, 1), kimg=50.0, batch=64)
    whole = plan("quick")
    bad = Plan(whole.suite, (), (stage(phase), stage(phase, seed=1), stage(TEACH)))
    summary = summarise(bad, store, 1)
    assert {entry["stage"] for entry in summary["untried"]} == {"seed 0", "seed 1"}
    assert {entry["reason"] for entry in summary["untried"]} == {f"RuntimeError: {reason}"}
    line = next(line for line in words(bad, store, 1).splitlines() if line.startswith("guessed:"))
    assert "2 stages" in line and reason in line
    assert seconds(phase, store) > 2 * OVERHEAD  # and a nominal time stands for it


def test_where_all_can_be_counted_nothing_is_said(store: Store) -> None:
    """Control."""
    assert "guessed:" not in words(plan("quick"), store, 1)


# Finished stages know better


def test_what_like_stages_took_counts(store: Store) -> None:
    estimator = Estimator(store, machine=RATES)
    one, two, other = stage(TEACH), stage(TEACH, seed=1), stage(replace(TEACH, kimg=60.0))
    before = estimator.seconds(two), estimator.seconds(other)
    assert estimator.learn(one, 1234.0) == {one.key, two.key}
    assert estimator.seconds(two) == 1234.0 != before[0]
    assert estimator.seconds(other) == before[1]
