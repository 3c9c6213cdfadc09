"""Loops of models that learn from models: what is shared, what anchors, and what drifts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice, pairwise

import pytest
import tiny
import torch

from dcdbench.methods.dcd import DCD
from dcdbench.methods.oracle import OnSignals
from dcdbench.methods.self_consuming import SelfConsuming
from dcdbench.methods.teacher import Teacher
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.inpainting import Inpainting
from dcdbench.phases.anchored import Anchored
from dcdbench.phases.relearn import Relearn
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Denoiser, Samples, Setting
from dcdbench.restorers.own import Own
from dcdbench.samplers.heun import Heun
from dcdbench.streams import Stream
from dcdbench.training import State, train

GIVEN = Setting(tiny.NOISE, tiny.SMALL, 3.0, 2.0, batch=32)
STREAM = Stream(4) / "loop"
SHIFT = 3.0


@dataclass(frozen=True)
class Shifted:
    """A model that has gone astray: its samples are all far to one side."""

    def sample(self, denoiser: Denoiser | None, problem: Problem, n: int, rng: torch.Generator) -> Samples:
        return Samples(SHIFT + 0.3 * torch.randn(n, *problem.shape, generator=rng), 1)


def run(phase: Relearn, steps: int, state: State | None = None) -> State:
    made = tiny.problem()
    state = phase.init(made, None, STREAM / "init") if state is None else state
    for _ in islice(train(phase, made, state, STREAM / "step"), steps):
        pass
    return state


@pytest.mark.parametrize("base", ["teacher", "dcd"])
@pytest.mark.parametrize("anchor", [False, True])
def test_more_generations_begin_alike(base: str, anchor: bool) -> None:
    """What comes before is the same training, which is done once."""
    all_phases = [SelfConsuming(base, g, anchor).phases(GIVEN) for g in range(4)]  # type: ignore[arg-type]
    for fewer, more in pairwise(all_phases):
        assert more[: len(fewer)] == fewer and len(more) == len(fewer) + 1
    assert all_phases[0] == (DCD() if base == "dcd" else Teacher()).phases(GIVEN)
    assert len(set(all_phases[3])) == len(all_phases[3])


def test_generation_0_is_the_base() -> None:
    assert SelfConsuming(generations=0).sampler(GIVEN) == Teacher().sampler(GIVEN)
    assert SelfConsuming("dcd", 0).sampler(GIVEN) == DCD().sampler(GIVEN)
    last = SelfConsuming("dcd", 1).phases(GIVEN)[-1]
    assert isinstance(last, Relearn) and last.restorer == Own(DCD().sampler(GIVEN))
    assert SelfConsuming().sampler(GIVEN) == Heun(OnSignals(), "full", tiny.SIGMA_Y)


def test_samples_are_as_many_as_measurements() -> None:
    x = Own(Shifted()).restore(None, tiny.problem(), STREAM)
    assert x.shape == (512, tiny.D)


def centre(phase: Relearn) -> float:
    """Where the model thinks that signals are: its estimate under much noise."""
    net = run(phase, 150).trained["denoiser"]
    x_t = 30 * torch.randn(4000, tiny.D, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return float(net(x_t, torch.full((4000,), 30.0)).mean())


def test_an_anchor_holds_half_of_what_strays() -> None:
    teach = tiny.teach(AmbientTweedie(p_mean=1.5), kimg=4.8, lr=1e-2, halflife_kimg=0.1)
    anchored = centre(Anchored(teach, Own(Shifted()), lap=1))
    free = centre(Relearn(replace(teach, objective=OnSignals(p_mean=1.5)), Own(Shifted()), warm=False, lap=1))
    assert free == pytest.approx(SHIFT, abs=0.5)
    assert anchored == pytest.approx(SHIFT / 2, abs=0.7)


def test_a_resumed_training_gives_the_same_bits() -> None:
    phase = Anchored(tiny.teach(), Own(Shifted()), lap=2)
    whole = run(phase, 5)
    first = run(phase, 2)
    second = phase.init(tiny.problem(), None, STREAM / "other")
    second.load({k: v.clone() for k, v in first.tensors().items()})
    run(phase, 3, second)
    a, b = whole.tensors(), second.tensors()
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_laps_have_randomness_of_their_own() -> None:
    pools = [run(Anchored(tiny.teach(), Own(Shifted()), lap=lap), 0).frozen["pool"].x for lap in (1, 2)]
    assert not torch.equal(*pools)


def test_what_is_supported() -> None:
    blurred = Corruption(GaussianBlur(3, 0.8), 0.1)
    assert SelfConsuming().supports(blurred, (1, 6, 6))  # a teacher's samples are measurements
    assert SelfConsuming("dcd").supports(blurred, (1, 6, 6)) is None  # a student's are signals
    assert SelfConsuming("dcd", anchor=True).supports(blurred, (1, 6, 6))
    assert SelfConsuming(anchor=True).supports(Corruption(Inpainting()), (4,)) is None
    with pytest.raises(ValueError, match="generations"):
        SelfConsuming(generations=-1)
    with pytest.raises(ValueError, match="warm"):
        Anchored(tiny.teach(), Own(Shifted()), warm=True)
