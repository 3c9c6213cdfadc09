"""The choice among candidates: unbiased energy distances, calibrated errors, and the last one by default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.harness.stages import training
from dcdbench.harness.stages.journal import Journal
from dcdbench.metrics.energy import energy_distance
from dcdbench.networks.edm import Preconditioned
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.operators.inpainting import Inpainting
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption
from dcdbench.samplers.heun import Heun
from dcdbench.selection import (
    FEWEST,
    LEAST,
    MOST,
    PAIR,
    SHARE,
    Comparison,
    advantage,
    compare,
    effort,
    fakes_for,
)
from dcdbench.streams import Stream
from dcdbench.training import State

STREAM = Stream(5) / "selection"


def normal(n: int, name: object, d: int = 3) -> Tensor:
    return torch.randn(n, d, generator=(STREAM / str(name)).rng())


# The comparison


def test_the_distance_is_the_energy_distance_without_its_bias() -> None:
    """A V-statistic counts each point's distance 0 to itself: its means over pairs are too small by 1/n."""
    x, y = normal(40, "x") + 0.5, normal(30, "y")
    own, others = (float(torch.cdist(t, t).mean()) for t in (x, y))
    expected = energy_distance(x, y) + own * (1 - 40 / 39) + others * (1 - 30 / 29)
    assert compare([x], y).distance == pytest.approx(expected, rel=1e-5)
    assert compare([x, x], y).distance == pytest.approx(expected, rel=1e-5)
    assert compare([x, normal(40, "z")], y).distance != pytest.approx(expected, rel=1e-2)  # control


def test_equal_laws_are_at_no_distance_on_average() -> None:
    values = torch.tensor([compare([normal(30, k)], normal(30, f"y{k}")).distance for k in range(300)])
    assert abs(float(values.mean())) < 4 * float(values.std()) / 300**0.5
    biased = torch.tensor([energy_distance(normal(30, k), normal(30, f"y{k}")) for k in range(300)])
    assert float(biased.mean()) > 4 * float(biased.std()) / 300**0.5  # control


def test_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 fakes and 2 points, got 1 and 5"):
        compare([normal(1, "x")], normal(5, "y"))


@pytest.mark.parametrize("shared", [0.0, 0.9])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_candidates_that_are_alike_are_told_apart_no_more_often_than_the_level(
    shared: float, shift: float
) -> None:
    """Of one law, right or wrong, from random numbers that are shared in part, as those of candidates are."""
    clear, trials = 0, 400
    for k in range(trials):
        y, common = normal(60, f"y{k}"), normal(80, f"c{k}")
        a, b = (
            shared * common + (1 - shared**2) ** 0.5 * normal(80, f"{name}{k}") + shift for name in ("a", "b")
        )
        clear += advantage(compare([a], y), compare([b], y), candidates=1).clear
    assert clear / trials < 0.05 + 4 * (0.05 * 0.95 / trials) ** 0.5


def test_a_nearer_candidate_is_seen_and_a_farther_one_is_not() -> None:
    y, z = normal(200, "y"), normal(300, "z")
    near, far = compare([z], y), compare([1.3 * z + 0.2], y)
    assert advantage(near, far, candidates=7).clear and not advantage(far, near, candidates=7).clear
    assert advantage(near, far, candidates=7).gain == pytest.approx(far.distance - near.distance)


def test_the_error_is_that_of_repetitions() -> None:
    """To first order, as theory has it: the terms of points and of fakes."""
    found = []
    for k in range(300):
        y, z = normal(100, f"y{k}"), normal(150, f"z{k}")
        found.append(advantage(compare([z], y), compare([1.2 * z + 0.3], y), candidates=1))
    gains, errors = (torch.tensor([getattr(a, name) for a in found]) for name in ("gain", "error"))
    assert float(errors.mean()) == pytest.approx(float(gains.std()), rel=0.15)


def test_more_candidates_ask_for_more() -> None:
    a, b = compare([normal(20, "a")], normal(20, "y")), compare([normal(20, "b")], normal(20, "y"))
    thresholds = [advantage(a, b, candidates=k).threshold for k in (1, 7)]
    assert thresholds == pytest.approx([1.645, 2.450], abs=1e-3)


# The choice


def comparison(distance: float, noise: float) -> Comparison:
    """Terms that differ from those of others by `noise`."""
    spread = noise * torch.linspace(-1, 1, 100)
    return Comparison(distance, spread, spread.clone())


def journal(*found: Comparison | None) -> Journal:
    made = Journal()
    for k, each in enumerate(found):
        made.candidate(k, each, torch.zeros(1), {"w": torch.tensor([float(k)])})
    return made


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ([comparison(0.2, 0.1), comparison(0.3, 0.9)], 1),  # by 0.1, where 1.6 standard errors are 0.2
        ([comparison(0.2, 0.1), comparison(0.9, 0.2)], 0),
        ([comparison(0.9, 0.1), comparison(0.2, 0.2), comparison(0.9, 0.0)], 1),
        ([comparison(0.2, 0.1), comparison(0.1, 0.1)], 1),
        ([comparison(0.2, 0.1), None], 0),
        ([None, comparison(0.9, 0.1)], 1),
        ([None, None], None),
        ([comparison(0.2, 0.1), comparison(math.nan, 0.1)], 0),
        ([comparison(math.nan, 0.1), comparison(0.2, 0.1)], 1),
        ([comparison(math.inf, 0.1), comparison(math.nan, 0.1)], None),
    ],
)
def test_the_last_is_chosen_unless_another_is_clearly_nearer(
    found: list[Comparison | None], chosen: int | None
) -> None:
    made = journal(*found)
    assert made.chosen == chosen and made.result()["chosen"] == chosen
    if chosen is not None:
        assert made.chosen_weights()["w"].item() == chosen


def test_the_choice_outlives_an_interruption(tmp_path: Path) -> None:
    whole = journal(comparison(0.2, 0.1), comparison(0.9, 0.2))
    half = journal(comparison(0.2, 0.1))
    half.save(tmp_path / "notes", {})
    again = Journal()
    again.load(tmp_path / "notes")
    again.candidate(1, comparison(0.9, 0.2), torch.zeros(1), {"w": torch.ones(1)})
    assert again.result() == whole.result() and again.chosen_weights() == whole.chosen_weights()
    assert whole.result()["choice"]["gain"] == pytest.approx(0.7)


# Teachers


class Below(Preconditioned):
    """Exact above the noise of the measurements, and worse and worse below it."""

    drift = 0.0

    def forward(self, x_t: Tensor, sigma: Tensor, A: Any = None) -> Tensor:
        exact = super().forward(x_t, sigma, A)
        below = sigma < 0.999 * tiny.SIGMA_Y
        return torch.where(below[:, None], (1 + self.drift) * exact, exact)


@dataclass(frozen=True)
class Drifting(Teach):
    """A teacher that drifts below the noise as training goes on; all that it was trained for stays exact."""

    def result(self, state: State) -> Any:
        net = Below(tiny.SMALL.build((tiny.D,), 0, Stream(0).rng()), 0.0, tiny.SCALE)
        net.drift = state.step / 5
        return net


def test_levels_that_were_not_trained_choose_nothing(tmp_path: Path) -> None:
    """Under full sampling each candidate is worse than the one before; down to the noise they are alike."""
    base = tiny.base(tmp_path)
    phase = Drifting(tiny.teach().objective, tiny.SMALL, kimg=0.64, batch=32)
    context = tiny.context("teacher", tmp_path, {"measurement": base["measurement"]})
    run = training.Run(context, phase, None, tiny.NOISE, (tiny.D,), 4)
    made = run.outcome()
    assert made.result["chosen"] == len(made.result["curve"]) - 1 > 0
    distances = [row["distance"] for row in made.result["curve"]]
    assert max(distances) - min(distances) < 1e-6 and abs(distances[0]) < 0.05

    def under_full_sampling(drift: float) -> float:  # control
        net = phase.result(State({}, {}, step=round(5 * drift)))
        x = Heun(phase.objective, "full", tiny.SIGMA_Y).sample(net, run.problem, 500, STREAM.rng()).x
        return compare([tiny.NOISE(x, STREAM.rng()).y], run.problem.val.y).distance

    full = [under_full_sampling(drift) for drift in (1, 2, 3, 4)]
    assert full == sorted(full) and full[3] > 10 * max(full[0], 0.001)


def test_an_exact_teacher_has_the_law_of_measurements_where_it_stops() -> None:
    """With a draw of A shown, too: what is compared are views of measurements at the lowest level."""
    made = tiny.problem(n=4000)
    drawn = Heun(tiny.teach().objective, "truncated", tiny.SIGMA_Y).sample(
        tiny.exact_teacher(), made, 2000, STREAM.rng()
    )
    assert drawn.view is not None and drawn.view.A is None
    found = compare([drawn.view.x_t], made.val.y[:2000])
    posterior = compare([drawn.x], made.val.y[:2000])
    assert abs(found.distance) < 0.002
    assert advantage(found, posterior, 1).clear  # control: means are too narrow
    masked = Corruption(Inpainting(0.6), 0.2)
    objective = AmbientDiffusion()
    shown = Heun(objective, "truncated", 0.2).sample(
        tiny.Zero(),
        tiny.problem(masked, (1, 3, 3)),
        50,
        STREAM.rng(),
    )
    assert shown.view is not None and shown.view.A is not None
    assert torch.equal(shown.view.x_t, shown.view.A.restrict(shown.view.x_t))


def test_samplers_that_end_elsewhere_have_no_view() -> None:
    made = tiny.problem()
    for sampler in (
        Heun(tiny.teach().objective, "full", tiny.SIGMA_Y),
        Heun(tiny.teach().objective, "truncated", tiny.SIGMA_Y, steps=1),
    ):
        assert sampler.sample(tiny.exact_teacher(), made, 5, STREAM.rng()).view is None


# The effort


@given(
    training=st.floats(0.0, 1e14),
    fake=st.floats(0.0, 1e9),
    held_out=st.integers(2, 5000),
    entries=st.integers(1, 300),
    most=st.integers(1, 12),
)
def test_candidates_take_a_share_of_the_training_and_no_less_than_they_could(
    training: float, fake: float, held_out: int, entries: int, most: int
) -> None:
    found = effort(training, fake, held_out, entries, most)
    assert FEWEST <= found.fakes <= fakes_for(held_out) and 1 <= found.candidates <= most
    assert found.points <= min(held_out, found.fakes)
    pairs = found.fakes**2 + found.fakes * found.points + found.points**2
    whole = found.candidates * (found.fakes * fake + pairs * (PAIR + 3 * entries))
    assert found.flops == pytest.approx(whole)
    if found.flops > SHARE * training > 0:  # only where there is nothing left to save
        assert (found.candidates, found.fakes) == (min(LEAST, most), FEWEST)
    elif training > 0 and found.candidates < most:
        assert found.fakes == FEWEST or found.flops * (found.candidates + 1) > SHARE * training
    if training == 0:
        assert (found.candidates, found.fakes) == (most, fakes_for(held_out))


def test_longer_trainings_compare_more() -> None:
    efforts = [effort(10.0**k, 1e6, 2000, 16, 8) for k in range(6, 15)]
    assert [(e.candidates, e.fakes) for e in efforts] == sorted((e.candidates, e.fakes) for e in efforts)
    assert (efforts[0].candidates, efforts[0].fakes) == (LEAST, FEWEST)
    assert (efforts[-1].candidates, efforts[-1].fakes) == (8, MOST)
    assert any(e.candidates == 8 and FEWEST < e.fakes < MOST for e in efforts)
