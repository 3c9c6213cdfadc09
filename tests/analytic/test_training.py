"""The training loop and its phases: exact resumption, addressed randomness, divergence as a result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import tiny
import torch
from breaking import Breaking
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dcdbench.distillers.dmd import DMD
from dcdbench.distillers.sid import SiD
from dcdbench.harness.plan import Plan, make_plan
from dcdbench.harness.suitefile import load_suite
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.phases.distil import Distil
from dcdbench.phases.start import batch_of, checked, denoiser_for, on_clean
from dcdbench.phases.survey import survey
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Denoiser, Judges, Objective, Operator
from dcdbench.streams import Stream
from dcdbench.training import Diverged, State, adam, average, copy_of, learning_rate, train

STREAM = Stream(7) / "test"


def phases() -> dict[str, tuple[Teach | Distil, Problem]]:
    noisy, masked = tiny.problem(), tiny.problem(Corruption(Inpainting(0.6)), (1, 3, 3))
    short = tiny.distil(kimg=2.0, batch=32)
    return {
        "tweedie": (tiny.teach(), noisy),
        "standard": (tiny.teach(Standard()), noisy),
        "masks": (tiny.teach(AmbientDiffusion()), masked),
        "sid": (short, noisy),
        "dmd": (replace(tiny.distil(kimg=2.0, batch=32, critic_steps=2), distiller=DMD()), noisy),
        "random": (tiny.distil(kimg=2.0, batch=32, start="random", noise=True), noisy),
        "masked sid": (replace(short, objective=AmbientDiffusion(), distiller=SiD()), masked),
        "adversarial": (replace(short, distiller=SiD(adversarial=0.1)), noisy),
        "no operator": (replace(short, objective=Standard(), operator=False), noisy),
        "full latents": (
            replace(short, objective=AmbientDiffusion(), critic=AmbientDiffusion(delta=0.3), latent="full"),
            masked,
        ),
    }


PHASES = phases()


def begin(name: str) -> State:
    phase, problem = PHASES[name]
    teacher = denoiser_for(problem, phase.objective, phase.network, STREAM / "teacher")
    return phase.init(problem, teacher, STREAM / "init")


def steps(name: str, state: State, count: int) -> list[dict[str, float]]:
    phase, problem = PHASES[name]
    return list(islice(train(phase, problem, state, STREAM / "step"), count))


def clone(state: State) -> dict[str, Tensor]:
    return {name: t.detach().clone() for name, t in state.tensors().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# Resumption


@pytest.mark.parametrize("name", PHASES)
@settings(max_examples=2)
@given(cut=st.integers(1, 4))
def test_a_resumed_training_gives_the_same_bits(name: str, cut: int) -> None:
    whole = begin(name)
    stats = steps(name, whole, 5)
    first = begin(name)
    before = steps(name, first, cut)
    saved = clone(first)
    second = begin(name)
    second.load(saved)
    assert (second.step, second.nimg) == (cut, 32 * cut)
    assert before + steps(name, second, 5 - cut) == stats
    assert same(clone(second), clone(whole))


@pytest.mark.parametrize("group", ["trained", "averages", "optimizers", "counters"])
def test_each_part_of_the_state_is_needed(group: str) -> None:
    """Control: whatever is left out, the bits differ."""
    whole = begin("sid")
    steps("sid", whole, 6)
    first, second = begin("sid"), begin("sid")
    steps("sid", first, 3)
    fresh = clone(second)
    steps("sid", second, 1)  # so that the optimizers have something to keep
    second.load({k: (fresh.get(k, 0 * v) if k.startswith(group) else v) for k, v in clone(first).items()})
    steps("sid", second, 3 if group != "counters" else 6)
    assert not same(clone(second), clone(whole))


def test_loading_copies_nothing_that_changes_later() -> None:
    """The tensors of a state are its own, so what is to be kept is cloned; loaded weights are copies."""
    state = begin("tweedie")
    saved = clone(state)
    kept = {k: v.clone() for k, v in saved.items()}
    state.load(saved)
    steps("tweedie", state, 2)
    assert same(saved, kept) and not same(clone(state), kept)


# Randomness


@pytest.mark.parametrize("name", PHASES)
def test_no_step_touches_the_global_generator(name: str) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    state = begin(name)
    stats = steps(name, state, 4)
    phase, problem = PHASES[name]
    phase.preview(problem.corruption.sigma_y).sample(phase.result(state), problem, 9, Stream(0).rng())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)  # nor does it listen to it
    assert steps(name, begin(name), 4) == stats


@pytest.mark.parametrize("name", PHASES)
def test_another_address_gives_other_numbers(name: str) -> None:
    phase, problem = PHASES[name]
    one, two = begin(name), begin(name)
    assert phase.step(one, problem, STREAM / 1) != phase.step(two, problem, STREAM / 2)


def test_critic_and_generator_draw_apart() -> None:
    """More steps of the critic leave the generator's draws as they were."""
    seen: dict[int, list[Tensor]] = {1: [], 3: []}
    for critic_steps, noted in seen.items():
        phase, problem = replace(PHASES["sid"][0], critic_steps=critic_steps, critic_lr=0.0), PHASES["sid"][1]
        state = phase.init(problem, tiny.exact_teacher(), STREAM)
        state.trained["generator"].register_forward_pre_hook(
            lambda m, args, noted=noted: noted.append(args[0])
        )
        phase.step(state, problem, STREAM / 5)
    # The critic's for all of its steps, then the generator's, then the survey's.
    assert [[len(x) for x in noted] for noted in seen.values()] == [[32, 32, 32], [96, 32, 32]]
    for k in (1, 2):
        assert torch.equal(seen[1][k], seen[3][k])
    assert len(torch.cat([*seen[3], *seen[1][:1]]).unique(dim=0)) >= 160  # all are fresh


def test_each_step_of_the_critic_sees_fakes_of_its_own() -> None:
    """They come from one call of the generator, and are those that it makes of their latents."""
    phase, problem = replace(PHASES["sid"][0], critic_steps=3), PHASES["sid"][1]
    state, seen = phase.init(problem, tiny.exact_teacher(), STREAM), []
    state.trained["generator"].register_forward_hook(lambda m, args, out: seen.append(out))
    fakes = phase._fakes(state, problem, STREAM / "critic")
    assert [len(x) for x in fakes] == [32] * 3 and torch.equal(torch.cat(fakes), *seen)
    assert len(torch.cat(fakes).unique(dim=0)) == 96 and not any(x.requires_grad for x in fakes)
    assert phase._fakes(state, problem, STREAM / "other")[0].ne(fakes[0]).all()


SUITE = """\
seeds: [0, 1]
network: {{mlp: {{width: 8, depth: 1}}}}
budget: {{teacher_kimg: 1, student_kimg: 1}}
tasks:
  a: {{data: gaussian_mixture, operator: identity, sigma_y: 0.2, train: 100, heldout: 30}}
  b: {{data: digits, operator: inpainting}}
methods: {{{methods}}}
metrics: [sliced_w2]
"""


def plan(tmp_path: Path, methods: str) -> Plan:
    (tmp_path / "s.yaml").write_text(SUITE.format(methods=methods))
    return make_plan(load_suite(tmp_path / "s.yaml"))


def test_a_further_method_changes_no_other_methods_keys(tmp_path: Path) -> None:
    few = plan(tmp_path, "teacher: teacher, dcd: dcd")
    more = plan(tmp_path, "x: {dcd: {lr: 0.01}}, o: oracle, teacher: teacher, dcd: dcd, y: observed")
    cells = {(c.task, c.method, c.seed): (c.stages, c.trained) for c in more.cells}
    assert all(cells[c.task, c.method, c.seed] == (c.stages, c.trained) for c in few.cells)
    assert {s.key for s in few.stages} < {s.key for s in more.stages}
    changed = plan(tmp_path, "teacher: {teacher: {lr: 0.01}}, dcd: dcd")  # control
    keys = {(c.task, c.method, c.seed): c.trained for c in changed.cells}
    assert all((keys[c.task, c.method, c.seed] != c.trained) is (c.method == "teacher") for c in few.cells)


def test_data_of_a_task_and_seed_are_the_same_for_every_method(tmp_path: Path) -> None:
    cells = plan(tmp_path, "t: teacher, d: dcd, o: oracle, y: observed").cells
    for role in ("data", "measurement", "floor"):
        keys = {}
        for cell in cells:
            keys.setdefault((cell.task, cell.seed), set()).add(cell.stages[role])
        assert all(len(found) == 1 for found in keys.values()) and len(keys) == 4
        assert len(set.union(*keys.values())) == 4  # control: tasks and seeds differ


def test_streams_of_stages_hold_no_method(tmp_path: Path) -> None:
    """Their address is seed and kind: equal trainings of two methods are one, and so are their numbers."""
    cells = plan(tmp_path, "t: teacher, d: dcd, e: {dcd: {lr: 0.01}}").cells
    trained = {(c.task, c.seed, c.method): c.trained for c in cells}
    for task, seed, _ in trained:
        t, d, e = (trained[task, seed, m] for m in "tde")
        assert t[0] == d[0] == e[0] and d[1] != e[1]


# The parts of a step


@pytest.mark.parametrize(
    ("done", "rate"), [(0.0, 0.0), (0.005, 0.5), (0.01, 1.0), (0.5, 1.0), (0.75, 0.5), (1.0, 0.0), (1.1, 0.0)]
)
def test_the_learning_rate_rises_rests_and_falls(done: float, rate: float) -> None:
    optimizer = adam(nn.Linear(2, 2), 1.0, 0.9)
    learning_rate(optimizer, 0.3, done, warmup=0.01, decay=0.5)
    assert optimizer.lr == pytest.approx(0.3 * rate)


def test_without_warm_up_and_decay_the_rate_is_constant() -> None:
    optimizer = adam(nn.Linear(2, 2), 1.0, 0.9)
    for done in (0.0, 0.5, 1.0, 2.0):
        learning_rate(optimizer, 0.3, done, warmup=0.0, decay=0.0)
        assert optimizer.lr == 0.3


@pytest.mark.parametrize(("nimg", "halflife"), [(64, 1000.0), (10_000, 1000.0), (1_000_000, 1000.0)])
def test_the_running_average_has_the_stated_half_life(nimg: int, halflife: float) -> None:
    net = nn.Linear(3, 2)
    mean = copy_of(net, trained=False)
    nn.init.constant_(mean.weight, 1.0)
    nn.init.zeros_(net.weight)
    effective = min(halflife, 0.05 * nimg)
    average(mean, net, 64, nimg, halflife)
    torch.testing.assert_close(mean.weight, torch.full((2, 3), 0.5 ** (64 / effective)))
    for _ in range(round(effective / 64) - 1):
        average(mean, net, 64, nimg, halflife)
    if effective % 64 == 0:
        torch.testing.assert_close(mean.weight, torch.full((2, 3), 0.5))


def test_the_running_average_moves_buffers_too_and_nothing_else() -> None:
    net = nn.BatchNorm1d(2, momentum=None)
    net.num_batches_tracked = None  # type: ignore[assignment]
    mean = copy_of(net, trained=False)
    net.running_mean += 1.0  # type: ignore[operator]
    before = {k: v.clone() for k, v in net.state_dict().items()}
    average(mean, net, 64, 10_000, 64.0)
    torch.testing.assert_close(mean.running_mean, torch.full((2,), 0.5))
    assert same(before, dict(net.state_dict()))


def test_batches_are_drawn_with_their_draws_of_the_operator() -> None:
    x = torch.arange(50.0)[:, None].expand(50, 3)
    m = Corruption(Inpainting(0.5))(x + 1, Stream(0).rng())
    batch = batch_of(m, 400, Stream(1).rng())
    assert len(batch) == 400 and batch.y[:, 0].unique().numel() > 20
    torch.testing.assert_close(batch.A.restrict(batch.y), batch.y)
    seen = batch.A.restrict(torch.ones_like(batch.y)).bool()
    assert torch.equal(seen, batch.y != 0)


@pytest.mark.parametrize(
    ("objective", "corruption"),
    [
        (Standard(), Corruption(Identity(), 0.4)),
        (AmbientTweedie(), Corruption(Identity(), 0.4)),
        (AmbientDiffusion(), Corruption(Inpainting(0.5))),
    ],
)
def test_the_denoiser_is_scaled_to_what_it_is_to_learn(objective: Objective, corruption: Corruption) -> None:
    """The law of y with noise for the standard objective; without noise, and unseen zeros, for the others."""
    x = 2 + 0.5 * torch.randn(40_000, 3, generator=Stream(0).rng())
    m = corruption(x, Stream(1).rng())
    problem = Problem(m, m[:9], corruption, (3,))
    net = denoiser_for(problem, objective, tiny.SMALL, STREAM)
    expected = math.hypot(0.5, 0.4) if isinstance(objective, Standard) else 0.5
    # 4096 signals of 3 entries, half of them seen: 4 standard errors of a variance, and of a mean.
    assert net.sigma_data == pytest.approx(expected, rel=0.05)
    assert net.location == pytest.approx(2, abs=0.03)
    assert net.condition_channels == (3 if isinstance(objective, AmbientDiffusion) else 0)


def test_noise_alone_leaves_a_scale_above_zero() -> None:
    corruption = Corruption(Identity(), 1.0)
    m = corruption(torch.zeros(1000, 2), Stream(0).rng())
    net = denoiser_for(Problem(m, m, corruption, (2,)), AmbientTweedie(), tiny.SMALL, STREAM)
    assert 0.05 < net.sigma_data < 0.5


def test_an_oracle_trains_on_clean_data_and_chooses_by_measurements() -> None:
    problem = tiny.problem()
    clean = torch.randn(20, 2, generator=Stream(3).rng())
    given = on_clean(problem, clean)
    assert torch.equal(given.train.y, clean) and given.train.sigma_y == 0
    assert given.val is problem.val and given.corruption is problem.corruption


def test_generator_and_critic_start_from_the_teacher_or_apart() -> None:
    teacher = tiny.exact_teacher()
    for p in teacher.parameters():
        nn.init.normal_(p, generator=Stream(4).rng())
    weights = teacher.state_dict()
    state = tiny.distil().init(tiny.problem(), teacher, STREAM)
    for net in (*state.trained.values(), *state.averages.values(), *state.frozen.values()):
        assert same(dict(net.state_dict()), dict(weights)) and net is not teacher
    fresh = tiny.distil(start="random").init(tiny.problem(), teacher, STREAM)
    g, c = (fresh.trained[name].net.first.weight for name in ("generator", "critic"))
    assert not torch.equal(g, c) and not torch.equal(g, teacher.net.first.weight)
    assert same(dict(fresh.frozen["teacher"].state_dict()), dict(weights))


def test_a_step_of_phase_two_moves_each_network_by_its_own_loss_only() -> None:
    """The generator's step leaves its judges alone, and theirs leave the generator."""
    problem = tiny.problem()
    teacher = tiny.exact_teacher()
    for lr, critic_lr, moved in ((0.0, 1e-3, ("critic", "discriminator")), (1e-3, 0.0, ("generator",))):
        phase = tiny.distil(lr=lr, critic_lr=critic_lr)
        phase = replace(phase, distiller=replace(phase.distiller, adversarial=0.1))
        state = phase.init(problem, teacher, STREAM)
        tiny.widen(state.trained["generator"], 0.3)
        tiny.widen(state.trained["critic"], 0.2)  # else it agrees with the teacher, which is no force
        before = {name: copy_of(net, trained=False) for name, net in (state.trained | state.frozen).items()}
        for k in range(2):  # the first step is at a rate of 0: it warms up
            phase.step(state, problem, STREAM / k)
        for name, net in (state.trained | state.frozen).items():
            still = same(dict(net.state_dict()), dict(before[name].state_dict()))
            assert still is (name not in moved)
        assert all(p.requires_grad for net in state.trained.values() for p in net.parameters())
        assert all(p.grad is None for p in state.frozen["teacher"].parameters())


def test_switches_that_change_nothing_give_the_same_bits() -> None:
    """The critic's loss is the teacher's unless it is said; without noise, the identity is no operator."""

    def weights(problem: Problem, **more: object) -> dict[str, Tensor]:
        phase = replace(PHASES["sid"][0], objective=Standard(), **more)
        state = phase.init(problem, tiny.exact_teacher(), STREAM)
        for _ in islice(train(phase, problem, state, STREAM / "step"), 3):
            pass
        return clone(state)

    noisy, quiet = tiny.problem(), tiny.problem(Corruption(Identity()))
    assert same(weights(noisy), weights(noisy, critic=Standard()))
    assert not same(weights(noisy), weights(noisy, critic=Standard(p_mean=0.0)))  # control
    assert same(weights(quiet), weights(quiet, operator=False))
    assert not same(weights(noisy), weights(noisy, operator=False))  # control


# What no loss shows


def test_surveys_are_a_hundred_however_long_the_training() -> None:
    for kimg, every in ((2.0, 1), (12.8, 4)):
        phase = replace(PHASES["sid"][0], kimg=kimg)
        state = phase.init(PHASES["sid"][1], tiny.exact_teacher(), STREAM)
        stats = list(islice(train(phase, PHASES["sid"][1], state, STREAM / "step"), 9))
        assert [k for k, row in enumerate(stats) if "critic_lag" in row] == list(range(0, 9, every))


@pytest.mark.parametrize("way", [0.25, 0.5, 1.0, 1.5])
def test_the_lag_of_a_critic_is_the_way_that_is_left(way: float) -> None:
    """On its way from the teacher to the exact denoiser of fakes, in one dimension, at a share of it."""
    n, std = 200_000, 0.8
    exact, teacher = (lambda x, s, A=None, v=v: x * v**2 / (v**2 + s[:, None] ** 2) for v in (std, 0.5))

    def critic(x: Tensor, s: Tensor, A: object = None) -> Tensor:
        return teacher(x, s) + way * (exact(x, s) - teacher(x, s))

    teacher.sigma_data = 0.5  # type: ignore[attr-defined]
    x = std * torch.randn(n, 1, generator=Stream(0).rng())
    fake = Corruption(Identity(), 0.2).fake(x, Stream(1).rng(), noise=False)
    judges = Judges(teacher, critic, AmbientTweedie(), 0.2)  # type: ignore[arg-type]
    found = survey(SiD(), judges, fake, Stream(2).rng())
    # The standard error is that of a mean over the fakes, over the way gone.
    assert found["critic_lag"] == pytest.approx(1 / way - 1, abs=0.05 / way)
    assert found["student_variance"] == pytest.approx(std**2, rel=0.02)
    assert found["teacher_variance"] < found["student_variance"]


def test_a_short_training_lowers_the_loss_towards_the_exact_one() -> None:
    """Tweedie on normal data: the loss of the exact denoiser is approached from a wrong start."""
    problem = tiny.problem(n=4000)
    phase = tiny.teach(kimg=25.6, batch=128, lr=1e-2)
    state = phase.init(problem, None, STREAM)
    tiny.widen(state.trained["denoiser"], 1.0)
    losses = [s["loss"] for s in islice(train(phase, problem, state, STREAM / "step"), 200)]
    best = phase.objective(tiny.exact_teacher(), problem.train, Stream(0).rng()).mean().detach()
    assert sum(losses[-60:]) / 60 == pytest.approx(float(best), rel=0.15)
    assert losses[0] > 1.5 * float(best)


# Divergence


def diverge(alpha: float, count: int) -> tuple[State, list[dict[str, Tensor]], list[float], Diverged | None]:
    """Steps of SiD from a generator that starts too wide, with the states before each."""
    free = {"update_clip": math.inf, "warmup": 0.02}
    phase, problem = tiny.distil(tiny.Wide, alpha=alpha, **free), tiny.problem()
    state = phase.init(problem, tiny.exact_teacher(), STREAM)
    states, widths = [], []
    try:
        for _ in range(count):
            states.append(clone(state))
            widths.append(next(train(phase, problem, state, STREAM / "step"))["width"])
    except Diverged as end:
        return state, states, widths, end
    return state, states, widths, None


@pytest.mark.bits
def test_sid_beyond_alpha_one_diverges_from_a_wide_start_and_the_exact_gradient_does_not() -> None:
    _, states, widths, end = diverge(1.2, 200)
    assert end is not None and widths[0] > 5 and widths[-1] > widths[0]
    assert end.reason.startswith("the fakes' width has exploded") or "loss" in end.reason
    assert end.address.startswith(f"7/test/step/{len(states) - 1}/")
    assert end.address in str(end) and end.reason in str(end)
    _, _, calm, none = diverge(0.5, 200)
    assert none is None and calm[0] > 5 and abs(calm[-1] - 1) < 0.4


@pytest.mark.bits
def test_the_address_of_a_divergence_replays_it() -> None:
    """From the state before it, or from any earlier one: the same step ends for the same reason."""
    distiller = Breaking(p_mean=-1.4, p_std=0.4, address="7/test/step/12/generator")
    phase, problem = replace(tiny.distil(), distiller=distiller), tiny.problem()

    def run(state: State, steps: int) -> Iterator[dict[str, Tensor]]:
        for _ in range(steps):
            yield clone(state)
            next(train(phase, problem, state, STREAM / "step"))

    state, states = phase.init(problem, tiny.exact_teacher(), STREAM), []
    with pytest.raises(Diverged) as end:
        states.extend(run(state, 20))
    assert end.value.address == distiller.address and end.value.reason == "the generator's loss is inf"
    for back in (1, 10):
        state = phase.init(problem, tiny.exact_teacher(), STREAM)
        state.load(states[-back])
        with pytest.raises(Diverged) as seen:
            list(run(state, back))
        assert (seen.value.address, seen.value.reason) == (end.value.address, end.value.reason)
    state.load(states[-10])
    for p in state.trained["critic"].parameters():
        p.requires_grad_(True)
    list(run(state, 9))  # control: the steps before it do not


class Bad:
    """An objective whose loss is not finite from some call on."""

    def __init__(self, good: int, bad: float) -> None:
        self.good, self.bad = good, bad

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> Tensor:
        self.good -= 1
        loss = AmbientTweedie()(denoiser, m, rng)
        if self.good >= 0:
            return loss
        return torch.where(torch.arange(len(m)) == 3, self.bad, loss)  # one image in the batch

    def __getattr__(self, name: str) -> object:
        return getattr(AmbientTweedie(), name)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e9])
def test_one_bad_image_ends_the_training(bad: float) -> None:
    """It is neither masked nor skipped, and the weights are those before the step."""
    phase, problem = tiny.teach(Bad(2, bad)), tiny.problem()  # type: ignore[arg-type]
    state = phase.init(problem, None, STREAM)
    stats = list(islice(train(phase, problem, state, STREAM / "step"), 2))
    before = clone(state)
    assert all(math.isfinite(s["loss"]) for s in stats)
    with pytest.raises(Diverged, match=r"the loss (is|has exploded).* \(step 7/test/step/2\)"):
        next(train(phase, problem, state, STREAM / "step"))
    assert same(clone(state), before)


def test_a_bad_gradient_ends_the_training_before_a_weight_is_touched() -> None:
    class Steep(nn.Module):
        """Finite in value, infinite in slope."""

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner, self.scale = inner, nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor, c: Tensor, condition: Operator | None = None) -> Tensor:
            return self.inner(x, c) + self.scale.abs().sqrt()

    phase, problem = tiny.teach(), tiny.problem()
    state = phase.init(problem, None, STREAM)
    net = state.trained["denoiser"]
    net.net = Steep(net.net)
    state.optimizers["denoiser"] = adam(net, 1e-3, 0.9)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(Diverged, match=r"the gradient's norm is (nan|inf)"):
        phase.step(state, problem, STREAM / 0)
    assert same(dict(net.state_dict()), before) and state.step == 0


@pytest.mark.parametrize(
    ("value", "bound", "ends"), [(1.0, 2.0, False), (3.0, 2.0, True), (math.nan, 2.0, True)]
)
def test_checked_values(value: float, bound: float, ends: bool) -> None:
    if ends:
        with pytest.raises(Diverged, match=r"^x (is nan|has exploded: 3, over 2) \(step 7/test\)$"):
            checked(value, bound, "x", STREAM)
    else:
        assert checked(value, bound, "x", STREAM) == value
