"""The stages themselves: exact resumption, choice without clean data, divergence up to the table."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import breaking
import pytest
import tiny
import torch
from breaking import Breaking
from component import nearest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench import selection
from dcdbench.harness import plugins
from dcdbench.harness.context import Interrupted, Outcome
from dcdbench.harness.executor import Options, execute
from dcdbench.harness.leaderboard import leaderboard
from dcdbench.harness.operations import Operations
from dcdbench.harness.plan import Plan, make_plan
from dcdbench.harness.render import render
from dcdbench.harness.replay import steps
from dcdbench.harness.results import _regret, collect
from dcdbench.harness.stages import measurement, samples, scores, training
from dcdbench.harness.stages.candidates import STEPS, TOP, coarse
from dcdbench.harness.stages.journal import Journal
from dcdbench.harness.store import Store
from dcdbench.harness.suitefile import load_suite
from dcdbench.methods.dcd import DCD
from dcdbench.metrics.frechet import Frechet
from dcdbench.metrics.kl import KL
from dcdbench.metrics.sliced_w2 import SlicedW2
from dcdbench.objectives.ncsn import NCSN
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import Identity
from dcdbench.phases.distil import Distil
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption, Problem
from dcdbench.samplers.heun import Heun
from dcdbench.samplers.langevin import Langevin
from dcdbench.samplers.observed import Observed
from dcdbench.samplers.one_step import OneStep
from dcdbench.selection import FEWEST, LEAST, PAIR, SHARE
from dcdbench.streams import Stream
from dcdbench.training import Diverged, train

CHECKPOINTS = 4
TEACH = tiny.teach(kimg=0.32)  # ten steps
DISTIL = tiny.distil(kimg=0.32, batch=32)
ORACLE = replace(tiny.teach(Standard(), kimg=0.32), needs_clean=True)
CALM = replace(DISTIL, distiller=Breaking(p_mean=-1.4, p_std=0.4, address=""))
WILD = replace(CALM, distiller=replace(CALM.distiller, address="0/student/step/7/generator"))
SEEN = {"corruption": tiny.NOISE}
RNG = torch.Generator().manual_seed(0)


def before(phase: Teach | Distil) -> Teach | None:
    """What a phase starts from."""
    return TEACH if phase.kind == "student" else None


class World:
    """The outcomes of the stages before a training, and how to run one."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.base = tiny.base(scratch)
        self.teacher = self.train(TEACH)

    def parents(self, phase: Teach | Distil) -> dict[str, Outcome]:
        found = {"measurement": self.base["measurement"]}
        if phase.needs_clean:
            found["data"] = self.base["data"]
        if phase.kind == "student":
            found["trained"] = self.teacher
        return found

    def context(
        self, phase: Teach | Distil, tick: Callable[[float, str], None] | None = None, seed: int = 0
    ) -> Any:
        return tiny.context(phase.kind, self.scratch, self.parents(phase), tick or (lambda f, t: None), seed)

    def train(
        self,
        phase: Teach | Distil,
        tick: Callable[[float, str], None] | None = None,
        seed: int = 0,
        checkpoints: int = CHECKPOINTS,
    ) -> Outcome:
        spec = SEEN | {"shape": (tiny.D,), "checkpoints": checkpoints, "device": "cpu"}
        return training.run(self.context(phase, tick, seed), phase, before(phase), **spec)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("stages"))


@pytest.fixture(autouse=True)
def nothing_unfinished(world: World) -> Iterator[None]:
    yield
    shutil.rmtree(world.scratch)
    world.scratch.mkdir()


def equal(a: Outcome, b: Outcome) -> bool:
    """Bit for bit, but for what differs from run to run."""
    tensors = a.tensors.keys() == b.tensors.keys() and all(
        same(a.tensors[k], b.tensors[k]) for k in a.tensors
    )
    return tensors and (a.status, a.result) == (b.status, b.result)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def stop_at(step: int, error: type[BaseException]) -> Callable[[float, str], None]:
    """A tick that ends the run at its `step`-th call."""
    left = iter(range(step))

    def tick(fraction: float, text: str) -> None:
        assert 0 <= fraction <= 1 and text
        if next(left, None) is None:
            raise error

    return tick


# Resumption


@pytest.mark.parametrize("phase", [TEACH, DISTIL, ORACLE, WILD], ids=["teacher", "student", "oracle", "wild"])
@settings(max_examples=3)
@given(cuts=st.lists(st.integers(0, 8), min_size=1, max_size=3))
def test_an_interrupted_training_ends_with_the_same_bits(
    world: World, phase: Teach | Distil, cuts: list[int]
) -> None:
    whole = world.train(phase)
    for cut in cuts:
        try:
            world.train(phase, stop_at(cut, Interrupted))
        except Interrupted:
            continue
        break  # it ended before it was cut
    assert equal(world.train(phase), whole)
    shutil.rmtree(world.scratch)
    world.scratch.mkdir()
    assert not equal(world.train(phase, seed=1), whole)  # control


class Killed(BaseException):
    """The end of a process that saves nothing."""


@pytest.mark.parametrize("phase", [TEACH, DISTIL], ids=["teacher", "student"])
def test_a_killed_training_goes_on_from_its_last_save(
    world: World, phase: Teach | Distil, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = world.train(phase)
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    with pytest.raises(Killed):
        world.train(phase, stop_at(6, Killed))
    seen: list[str] = []
    assert equal(world.train(phase, lambda fraction, text: seen.append(text)), whole)
    assert len(seen) < 10  # it did not start again


def test_a_finished_training_left_in_scratch_ends_at_once(world: World) -> None:
    """Interrupted in its last step: nothing is left to do, and the result is the same."""
    whole = world.train(TEACH)
    with pytest.raises(Interrupted):
        world.train(TEACH, stop_at(9, Interrupted))
    assert equal(world.train(TEACH), whole)


def test_a_replay_from_the_start_has_the_same_bits(world: World) -> None:
    """The operations of a step are counted on a copy, which leaves the training as it is."""
    made = world.train(DISTIL, checkpoints=1)
    run = training.Run(world.context(DISTIL), DISTIL, before(DISTIL), tiny.NOISE, (tiny.D,), 1)
    for _ in islice(steps(run), 10):
        pass
    assert made.result["steps"] == run.state.step == 10 and made.result["flops"] > 0
    assert same(made.tensors["weights"], dict(run.phase.result(run.state).state_dict()))


# Candidates and their choice


def test_the_result_is_the_last_candidate_or_one_that_is_clearly_nearer(world: World) -> None:
    for phase in (TEACH, DISTIL, ORACLE):
        made = world.train(phase)
        curve, chosen, choice = (made.result[name] for name in ("curve", "chosen", "choice"))
        distances, last = [point["distance"] for point in curve], LEAST - 1
        assert len(curve) == LEAST == len(made.tensors["candidates"]) == len(set(distances))
        assert choice["best"] == distances.index(min(distances))
        if choice["best"] != last:
            assert choice["gain"] == pytest.approx(distances[last] - min(distances))
        clear = choice["best"] != last and choice["gain"] > choice["threshold"] * choice["error"]
        assert chosen == (choice["best"] if clear else last)
        assert [point["nimg"] for point in curve] == sorted(point["nimg"] for point in curve)
        assert curve[-1]["nimg"] == 32 * made.result["steps"] == 320
        net = training.load(tiny.parent(made), phase)
        run = training.Run(world.context(phase), phase, before(phase), tiny.NOISE, (tiny.D,), CHECKPOINTS)
        rng = (run.context.stream / "candidates").rng()
        n = made.result["comparison"]["fakes"]
        x = coarse(phase.preview(tiny.SIGMA_Y)).sample(net, run.problem, n, rng).x
        assert torch.equal(x, made.tensors["candidates"][str(chosen)])
        assert not torch.equal(x, made.tensors["candidates"][str((chosen + 1) % LEAST)])  # control


def test_a_training_shorter_than_its_candidates_still_has_them_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "SHARE", math.inf)
    made = world.train(replace(TEACH, kimg=0.05))
    assert made.result["steps"] == 2 and len(made.result["curve"]) == CHECKPOINTS


def test_the_record_tells_what_the_comparison_takes(world: World) -> None:
    """The operations of sampling are those that torch counts; two candidates are the least there are."""
    for phase in (TEACH, DISTIL):
        made = world.train(phase)
        told, drawn = made.result["comparison"], made.tensors["candidates"]
        assert [len(x) for x in drawn.values()] == [told["fakes"]] * told["candidates"] == [FEWEST] * LEAST
        run = training.Run(world.context(phase), phase, before(phase), tiny.NOISE, (tiny.D,), CHECKPOINTS)
        with Operations() as counter:
            run.candidates.sampler.sample(training.load(tiny.parent(made), phase), run.problem, FEWEST, RNG)
        pairs = FEWEST**2 + FEWEST * told["points"] + told["points"] ** 2
        assert told["flops"] == pytest.approx(LEAST * (counter.total + pairs * (PAIR + 3 * tiny.D)))
        assert told["flops"] > SHARE * made.result["flops"]  # the training is as short as that


def test_a_sampler_with_steps_takes_fewer_and_others_stay() -> None:
    heun = Heun(Standard(), "full", 0.0)
    assert coarse(heun) == replace(heun, steps=STEPS, sigma_max=TOP) != heun
    few = replace(heun, steps=3)
    assert coarse(few) is few
    langevin = Langevin(NCSN(), 0.1)  # its steps are those of each level
    assert coarse(langevin) is langevin


def test_a_candidate_that_is_not_finite_is_never_chosen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = OneStep.sample, []

    def sample(self: OneStep, *args: Any) -> Any:
        calls.append(1)
        drawn = real(self, *args)
        return drawn if len(calls) == 3 else replace(drawn, x=drawn.x / 0)

    monkeypatch.setattr(OneStep, "sample", sample)
    monkeypatch.setattr(selection, "SHARE", math.inf)
    made = world.train(DISTIL)
    assert made.status == "done" and made.result["chosen"] == 1
    assert [point["distance"] for point in made.result["curve"]].count("inf") == CHECKPOINTS - 1
    json.dumps(made.result, allow_nan=False)
    calls += [1, 1]
    none = world.train(DISTIL)
    assert none.status == "diverged" and none.result["address"].endswith("/candidates")


def test_operations_are_counted(world: World) -> None:
    made = world.train(TEACH)
    weights = sum(p.numel() for name, p in made.tensors["weights"].items() if name.endswith("weight"))
    assert 4 * weights * 32 < made.result["flops"] / made.result["steps"] <= 6 * weights * 32


def test_the_history_is_short_and_finite(world: World) -> None:
    made = world.train(DISTIL)
    history = made.result["history"]
    assert 0 < len(history) <= 100 and history[-1]["step"] == 10
    assert {"step", "generator_loss", "critic_loss", "width"} <= set(history[0])
    assert {"critic_lag", "student_variance", "teacher_variance", "critic_variance"} <= set(history[0])
    json.dumps(made.result, allow_nan=False)


def test_a_point_of_the_history_is_the_mean_of_what_was_taken() -> None:
    """A statistic of some steps only counts those, and is not in points that have none of it."""
    journal = Journal()
    for step in range(1, 301):
        stats = {"each": float(step)} | ({"some": float(step)} if step <= 5 else {})
        journal.note(step, 300, stats)
    assert len(journal.history) == 100
    assert [row["each"] for row in journal.history[:2]] == [2.0, 5.0]
    assert [row.get("some") for row in journal.history[:3]] == [2.0, 4.5, None]


def test_a_cut_between_points_loses_nothing_of_them(tmp_path: Path) -> None:
    whole, first, second = Journal(), Journal(), Journal()
    for step in range(1, 301):
        stats = {"each": float(step)} | ({"some": float(step)} if step % 2 else {})
        whole.note(step, 300, stats)
        (first if step <= 151 else second).note(step, 300, stats)
        if step == 151:
            first.save(tmp_path / "notes", {})
            second.load(tmp_path / "notes")
    assert second.history == whole.history


# Clean data


@pytest.mark.bits
def test_a_problem_has_no_field_for_clean_data(world: World) -> None:
    assert {f.name for f in fields(Problem)} == {"train", "val", "corruption", "shape"}
    run = training.Run(world.context(DISTIL), DISTIL, before(DISTIL), tiny.NOISE, (tiny.D,), CHECKPOINTS)
    clean = world.base["data"].tensors["splits"]
    for m in (run.problem.train, run.problem.val):
        for name in ("reference", "floor", "train", "val", "test"):
            assert float(nearest(m.y, clean[name])[0].min()) > 1e-6, name


def test_garbage_in_place_of_clean_references_changes_scores_alone(world: World) -> None:
    spoilt = dict(world.base["data"].tensors["splits"])
    for name in ("reference", "floor"):
        spoilt[name] = 100 + torch.rand(spoilt[name].shape, generator=Stream(0).rng())
    data = replace(world.base["data"], tensors=world.base["data"].tensors | {"splits": spoilt})
    place = tiny.context("measurement", world.scratch, {"data": data})
    measured = measurement.run(place, corrupted=False, shape=(tiny.D,), **SEEN)
    assert equal(measured, world.base["measurement"])
    other = World.__new__(World)
    other.scratch, other.base, other.teacher = (
        world.scratch,
        {"data": data, "measurement": measured},
        world.teacher,
    )
    for phase in (TEACH, DISTIL, ORACLE):
        assert equal(other.train(phase), world.train(phase))
    student = world.train(DISTIL)
    one, two = (score(w.base, sampled(w.base, student), student) for w in (world, other))
    assert one["scores"]["frechet"] != two["scores"]["frechet"] and one["regret"] != two["regret"]


def test_a_changed_measurement_does_change_the_training(world: World) -> None:
    """Control for the test above."""
    other = World.__new__(World)
    other.scratch, other.teacher = world.scratch, world.teacher
    other.base = tiny.base(world.scratch, Corruption(Identity(), 0.3))
    assert not equal(other.train(TEACH), world.train(TEACH))


SUITE = """\
seeds: [0]
network: {mlp: {width: 16, depth: 1}}
budget: {teacher_kimg: 12.8, student_kimg: 25.6, batch: 128}
tasks:
  normal:
    data: {gaussian: {dim: 2, rank: 2, spectrum: 0.25}}
    operator: identity
    sigma_y: 0.2
    train: 1000
    heldout: 200
methods: {observed: observed, oracle: oracle, teacher: teacher, dcd: dcd}
metrics: [sliced_w2, frechet]
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path = tmp_path_factory.mktemp("plan") / "s.yaml"
    path.write_text(SUITE)
    return make_plan(load_suite(path))


def test_only_scores_and_the_marked_oracle_have_clean_data_as_a_parent(plan: Plan) -> None:
    oracle = next(c for c in plan.cells if c.method == "oracle")
    assert oracle.marks and all(not c.marks for c in plan.cells if c.method != "oracle")
    for stage in plan.stages:
        sees = "data" in stage.parents
        if stage.kind in ("teacher", "student", "samples"):
            assert sees is (stage.key in oracle.trained)
        else:
            assert sees is (stage.kind != "data")


# Samples and scores


def sampled(
    base: dict[str, Outcome], trained: Outcome, phase: Teach | Distil = DISTIL, **more: Any
) -> Outcome:
    context = tiny.context("samples", Path(), {"measurement": base["measurement"], "trained": trained})
    sampler = more.pop("sampler", phase.preview(tiny.SIGMA_Y))
    return samples.run(context, sampler, phase, shape=(tiny.D,), device="cpu", **SEEN)


def score(
    base: dict[str, Outcome], drawn: Outcome | None, trained: Outcome | None, **more: Any
) -> dict[str, Any]:
    found = {"data": base["data"], "measurement": base["measurement"]}
    found |= {} if drawn is None else {"samples": drawn}
    found |= {} if trained is None else {"trained": trained}
    spec = {
        "source": "samples",
        "metrics": (SlicedW2(), Frechet(), KL()),
        "data": tiny.Normal(),
        "method": None,
    }
    spec |= {"regret": () if trained is None else ("sliced_w2", "frechet")}
    context = tiny.context("scores", Path(), found)
    return scores.run(context, **SEEN, **spec | more).result


def test_samples_are_as_many_as_the_measurements_that_they_are_scored_with(world: World) -> None:
    student = world.train(DISTIL)
    one, two = sampled(world.base, student), sampled(world.base, student)
    assert equal(one, two) and one.result == {"n": 256, "nfe": 1}
    assert one.tensors["samples"]["x"].shape == (256, tiny.D) and one.cost["ms_per_sample"] > 0
    many = sampled(world.base, world.teacher, TEACH, sampler=Heun(TEACH.objective, "full", tiny.SIGMA_Y, 5))
    assert many.result["nfe"] == 9


def test_samples_that_are_not_finite_are_a_divergence(world: World) -> None:
    student = world.train(DISTIL)
    weights = {k: v / 0 if k.endswith("last.bias") else v for k, v in student.tensors["weights"].items()}
    weights = {k: torch.full_like(v, math.nan) if k.endswith("last.bias") else v for k, v in weights.items()}
    broken = replace(student, tensors=student.tensors | {"weights": weights})
    drawn = sampled(world.base, broken)
    assert drawn.status == "diverged" and drawn.result["address"] == "0/samples" and drawn.result["reason"]


def test_no_model_samples_measurements(world: World) -> None:
    context = tiny.context("samples", Path(), {"measurement": world.base["measurement"]})
    drawn = samples.run(context, Observed(), None, shape=(tiny.D,), device="cpu", **SEEN)
    seen = {tuple(row) for row in world.base["measurement"].tensors["train"]["y"].tolist()}
    assert drawn.result == {"n": 256, "nfe": 0}
    assert all(tuple(row) in seen for row in drawn.tensors["samples"]["x"].tolist())


def test_the_floor_is_clean_against_clean_at_the_same_n(world: World) -> None:
    splits = world.base["data"].tensors["splits"]
    floor = score(world.base, None, None, source="floor")
    by_hand = Frechet()
    reference = scores.Reference(splits["reference"], None, tiny.NOISE)  # type: ignore[arg-type]
    expected = by_hand(splits["floor"], reference, Stream(0).rng())["frechet"]
    assert floor["scores"]["frechet"] == pytest.approx(expected, rel=1e-6)
    assert floor["n"] == len(splits["reference"]) == 256
    student = world.train(DISTIL)
    assert score(world.base, sampled(world.base, student), student)["n"] == floor["n"]
    noisy = Outcome({}, {"samples": {"x": world.base["measurement"].tensors["test"]["y"]}})
    observed = score(world.base, noisy, None)
    assert all(observed["scores"][k] > floor["scores"][k] for k in ("frechet", "sliced_w2"))  # control


def test_the_ideal_result_scores_like_the_floor_where_it_is_the_clean_law(world: World) -> None:
    """And like the measurements where theory expects their law: the unaware student at full capacity."""
    base = tiny.base(world.scratch, heldout=5000)

    def frechet(source: str, method: DCD | None = None) -> float:
        value: float = score(base, None, None, source=source, method=method)["scores"]["frechet"]
        return value

    noise = (math.hypot(tiny.SCALE, tiny.SIGMA_Y) - tiny.SCALE) ** 2 * tiny.D
    assert frechet("floor") < 0.4 * noise and frechet("ideal", DCD()) < 0.4 * noise
    assert frechet("ideal", DCD(objective=Standard(), noise=False)) == pytest.approx(noise, rel=0.4)


def test_regret_is_asked_for_in_each_primary_value_of_the_task(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    own = SUITE.replace("    heldout: 200\n", "    heldout: 200\n    primary: [coverage, recall]\n")
    found = []
    for text in (SUITE, own):
        path.write_text(text.replace("frechet]", "frechet, manifold]"))
        planned = make_plan(load_suite(path))
        scored = {c.stages["scores"] for c in planned.cells if c.method == "dcd"}
        found += [s.spec["regret"] for s in planned.stages if s.key in scored]
    assert found == [("sliced_w2", "frechet"), ("coverage", "recall")]


@pytest.mark.parametrize(
    ("row", "chosen", "direction", "percent"),
    [
        ([2.0, 1.0, 1.5], 2, "lower", 50.0),
        ([0.5, 0.8, 0.4], 2, "higher", 50.0),
        ([2.0, 1.0, 1.5], 1, "lower", 0.0),
        (
            [-0.02, 0.06],
            1,
            "lower",
            400.0,
        ),  # of the size of the best, which an estimate of KL may put below 0
        ([0.0, 0.0], 1, "lower", 0.0),
        ([0.0, 0.1], 1, "lower", math.nan),
        ([1.0, math.nan], 1, "lower", math.nan),
        ([math.nan, 1.0], 1, "lower", 0.0),
    ],
)
def test_regret_is_in_percent_of_the_best(
    row: list[float], chosen: int, direction: str, percent: float
) -> None:
    assert _regret(row, chosen, direction) == pytest.approx(percent, nan_ok=True)


def test_values_that_cannot_be_had_say_why(world: World) -> None:
    data = world.base["data"]
    none = {
        name: x[:0] if name in ("reference", "floor") else x for name, x in data.tensors["splits"].items()
    }
    bare = replace(data, tensors=data.tensors | {"splits": none})
    noisy = Outcome({}, {"samples": {"x": world.base["measurement"].tensors["test"]["y"]}})
    result = score(world.base | {"data": bare}, noisy, None)
    assert not result["scores"] and set(result["skipped"]) >= {"sliced_w2", "frechet"}
    assert all("clean references" in reason for reason in result["skipped"].values())


def test_the_regret_scores_every_candidate(world: World) -> None:
    student = world.train(DISTIL)
    drawn = sampled(world.base, student)
    regret = score(world.base, drawn, student)["regret"]
    assert set(regret) == {"sliced_w2", "frechet"}
    assert all(len(row) == LEAST and all(math.isfinite(v) for v in row) for row in regret.values())
    again = score(world.base, drawn, replace(student, result=student.result | {"chosen": 0}))["regret"]
    assert again == regret  # it judges the choice, and does not know it


def test_scores_depend_on_their_address_alone(world: World) -> None:
    drawn = sampled(world.base, world.train(DISTIL))
    before = torch.get_rng_state()
    one, two = (score(world.base, drawn, None) for _ in range(2))
    assert one == two and torch.equal(torch.get_rng_state(), before)


# Divergence


@pytest.mark.bits
def test_a_divergence_is_a_result_that_can_be_replayed(world: World) -> None:
    made = world.train(WILD)
    assert made.status == "diverged" and not {"weights"} & set(made.tensors)
    result = made.result
    assert result["reason"] == "the generator's loss is inf" and result["step"] == 7
    assert result["address"] == WILD.distiller.address
    json.dumps(result, allow_nan=False)
    run = training.Run(world.context(WILD), WILD, before(WILD), tiny.NOISE, (tiny.D,), CHECKPOINTS)
    run.state.load(made.tensors["before"])
    assert run.state.step == result["replay_from"] <= result["step"]
    with pytest.raises(Diverged) as seen:
        for _ in train(WILD, run.problem, run.state, run.context.stream / "step"):
            assert run.state.step <= result["step"]
    assert (seen.value.reason, seen.value.address) == (result["reason"], result["address"])
    assert world.train(CALM).status == "done"  # control


@pytest.mark.bits
def test_a_divergence_after_an_interruption_is_told_from_the_same_state(world: World) -> None:
    """The state to replay from is that of the last candidate, in whichever process it was."""
    whole = world.train(WILD, checkpoints=20)
    assert whole.result["replay_from"] > 0
    with pytest.raises(Interrupted):
        world.train(WILD, stop_at(whole.result["step"] - 1, Interrupted), checkpoints=20)
    assert equal(world.train(WILD, checkpoints=20), whole)


@pytest.mark.slow
def test_a_forced_divergence_stands_in_the_table(plan: Plan, tmp_path: Path) -> None:
    """A student whose loss is infinite at one step, beside the same without that step."""
    path = Path(breaking.__file__)
    (module,) = plugins.load([path])
    known = sys.modules[module].Breaking  # as the children know it
    calm, wild = (DCD(distiller=known(address=at)) for at in ("", "0/student/step/100/generator"))
    methods = {"observed": plan.suite.methods["observed"], "calm": calm, "wild": wild}
    planned = make_plan(replace(plan.suite, methods=methods))
    store = Store(tmp_path / "results")
    summary = execute(planned.stages, store, Options(plugins=(path,)), lambda event: None)
    assert summary.ok and summary.counts["diverged"] == 1
    board = collect(planned, store)
    cells = {cell.method: cell for cell in board.cells}
    assert {m: c.status for m, c in cells.items()} == {"observed": "done", "calm": "done", "wild": "diverged"}
    assert "0/student/step/" in cells["wild"].reason and not cells["wild"].scores
    text = render(leaderboard(board))
    row = next(line for line in text.splitlines() if line.startswith("wild"))
    assert "diverged" in row and "wild: diverged" in text
    assert "diverged" not in next(line for line in text.splitlines() if line.startswith("calm"))


def test_the_stages_know_the_corruption_of_the_task(world: World) -> None:
    context = tiny.context("x", world.scratch, {"measurement": world.base["measurement"]})
    made = measurement.problem(
        context.parents["measurement"], Corruption(Identity(), tiny.SIGMA_Y), (tiny.D,)
    )
    clean = world.base["data"].tensors["splits"]["train"]
    noise = made.train.y - clean
    assert float(noise.std()) == pytest.approx(tiny.SIGMA_Y, rel=0.1)
    assert abs(float((noise * clean).mean())) < 0.02
