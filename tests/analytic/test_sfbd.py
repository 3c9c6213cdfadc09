"""Forward-backward deconvolution: the reverse process from the noise of the data, and its fixed point."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture, w2_gaussian
from dcdbench.methods.oracle import OnSignals
from dcdbench.methods.sfbd import SFBD
from dcdbench.methods.teacher import Teacher
from dcdbench.networks.exact import ExactDenoiser
from dcdbench.networks.mlp import MLP
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.phases.few import Few
from dcdbench.phases.relearn import Relearn
from dcdbench.phases.start import on_clean
from dcdbench.phases.teach import Teach
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Setting
from dcdbench.restorers.backward import Backward
from dcdbench.restorers.merged import Merged
from dcdbench.streams import Stream
from dcdbench.training import train

SIGMA_Y = 0.6
LAW = Gaussian(torch.tensor([0.5, -1.0]), torch.diag(torch.tensor([1.0, 0.15])))
NOISY = Corruption(Identity(), SIGMA_Y)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(n: int = 2000) -> Problem:
    x = LAW.sample(n, rng()).float()
    return Problem(NOISY(x, rng(1)), NOISY(x[:50], rng(2)), NOISY, (2,))


def moments(x: Tensor) -> Gaussian:
    return Gaussian(x.double().mean(0), torch.cov(x.double().T))


def distance(x: Tensor) -> float:
    """W2 of the Gaussian with the moments of `x` to the law."""
    return float(w2_gaussian(moments(x), LAW))


def test_the_flow_of_a_gaussian_is_known() -> None:
    """From exactly `sigma_y` to 0 it scales a principal coordinate by `sqrt(lam / (lam + sigma_y^2))`."""
    world = problem(200)
    x = Backward(steps=40).restore(ExactDenoiser(LAW), world, Stream(0))
    lam = LAW.cov.diagonal()
    expected = LAW.mean + (lam / (lam + SIGMA_Y**2)).sqrt() * (world.train.y - LAW.mean)
    torch.testing.assert_close(x.double(), expected, rtol=0, atol=5e-3)


def test_starts_at_the_level_of_the_noise() -> None:
    seen: list[float] = []

    class Noted(ExactDenoiser):
        def forward(self, x_t: Tensor, sigma: Tensor, A: Any = None) -> Tensor:
            seen.append(float(sigma[0]))
            return super().forward(x_t, sigma, A)

    Backward().restore(Noted(LAW), problem(4), Stream(0))
    assert seen[0] == pytest.approx(SIGMA_Y) and max(seen) == seen[0]


def test_a_right_model_maps_measurements_to_signals() -> None:
    """Of the right law, samples have the law; a model of the noisy law, the control, leaves them too wide."""
    means = torch.tensor([[-1.5], [1.5]]).double()
    law = GaussianMixture(torch.tensor([0.5, 0.5]), means, torch.full((2, 1, 1), 0.01))
    x = law.sample(2000, rng()).float()
    world = Problem(NOISY(x, rng(1)), NOISY(x[:5], rng(2)), NOISY, (1,))
    right = Backward(steps=40).restore(ExactDenoiser(law), world, Stream(0))
    wrong = Backward(steps=40).restore(ExactDenoiser(law.noised(SIGMA_Y)), world, Stream(0))
    spread = [float((t.abs() - 1.5).std()) for t in (right, wrong)]
    assert spread[0] == pytest.approx(0.1, abs=0.02) and spread[1] > 0.2


def test_laps_converge_to_the_law() -> None:
    """With a Gaussian fitted for a training: `lam <- lam (lam* + sigma_y^2) / (lam + sigma_y^2)`."""
    world = problem(4000)
    distances: list[float] = []
    model = moments(world.train.y)
    observed = torch.cov(world.train.y.double().T).diagonal()
    lam = observed.clone()
    for _ in range(8):
        x = Backward(steps=30).restore(ExactDenoiser(model), world, Stream(0))
        lam = lam * observed / (lam + SIGMA_Y**2)
        model = moments(x)
        torch.testing.assert_close(model.cov.diagonal(), lam, rtol=0.02, atol=0.005)
        distances.append(distance(x))
    assert all(b < a + 1e-3 for a, b in pairwise(distances))
    assert distances[-1] < 0.4 * distance(world.train.y)


def result_of(method: SFBD, world: Problem, clean: Tensor, kimg: float = 100.0) -> Tensor:
    """Samples, after trainings as the harness runs them."""
    setting = Setting(NOISY, MLP(48, 1), teacher_kimg=kimg, student_kimg=0.6 * kimg, batch=256)
    net: Any = None
    for phase in method.phases(setting):
        stream, given = Stream(0) / phase.kind, on_clean(world, clean) if phase.needs_clean else world
        state = phase.init(given, net, stream / "init")
        for _ in islice(train(phase, given, state, stream / "step"), round(1000 * phase.kimg / 256)):
            pass
        net = phase.result(state).requires_grad_(False)
    return method.sampler(setting).sample(net, world, 2000, rng(9)).x


def test_learns_from_noisy_data_alone() -> None:
    world = problem()
    assert distance(result_of(SFBD(laps=2), world, torch.empty(0, 2))) < 0.5 * distance(world.train.y)


# With a few clean signals

FEW = Few(OnSignals(), MLP(8, 1), kimg=1.0, batch=16, signals=7)
CLEAN = torch.randn(40, 2, generator=torch.Generator().manual_seed(8))


def test_a_few_clean_signals_tell_of_the_law() -> None:
    """Clean signals of another law, the control, do not."""
    world, x, few = problem(), LAW.sample(100, rng(7)).float(), SFBD(laps=1, clean=100)
    near = distance(result_of(few, world, x, 50.0))
    assert near < 0.5 * distance(world.train.y)
    assert near < distance(result_of(few, world, 0.1 * x + 2.0, 50.0))


def test_so_many_different_clean_signals_are_seen() -> None:
    """What the others are changes no bit; one of those that were drawn, the control, does."""
    world = on_clean(problem(30), CLEAN)
    state = FEW.init(world, None, Stream(0))
    drawn = state.frozen["pool"].x
    assert len(drawn.unique(dim=0)) == len(drawn) == 7
    among = (CLEAN[:, None] == drawn).all(2).any(1)
    assert int(among.sum()) == 7

    def weights(x: Tensor) -> dict[str, Tensor]:
        given = on_clean(world, x)
        state = FEW.init(given, None, Stream(0))
        for _ in islice(train(FEW, given, state, Stream(1)), 3):
            pass
        return state.tensors()

    a = weights(CLEAN)
    b = weights(torch.where(among[:, None], CLEAN, torch.full_like(CLEAN, torch.nan)))
    assert all(torch.equal(a[k], b[k]) for k in a)
    c = weights(CLEAN.index_fill(0, among.nonzero()[0], 0.0))
    assert not all(torch.equal(a[k], c[k]) for k in a)


def test_fewer_are_the_first_of_more() -> None:
    world = on_clean(problem(30), CLEAN)
    few, more, others = (
        replace(FEW, signals=n).init(world, None, Stream(seed)).frozen["pool"].x
        for n, seed in ((5, 0), (9, 0), (9, 1))
    )
    assert torch.equal(few, more[:5]) and not torch.equal(more, others)


def test_a_resumed_training_on_a_few_gives_the_same_bits() -> None:
    world = on_clean(problem(30), CLEAN)
    whole, first, second = (FEW.init(world, None, Stream(0)) for _ in range(3))
    second.frozen["pool"].x.zero_()  # what was saved is put in its place
    for state, steps in ((whole, 5), (first, 2)):
        for _ in islice(train(FEW, world, state, Stream(1)), steps):
            pass
    second.load({k: v.clone() for k, v in first.tensors().items()})
    for _ in islice(train(FEW, world, second, Stream(1)), 3):
        pass
    a, b = whole.tensors(), second.tensors()
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_laps_learn_from_the_clean_signals_too() -> None:
    """Bit by bit, beside one signal for each measurement, though networks are stored between trainings."""
    setting = Setting(NOISY, MLP(8, 1), teacher_kimg=0.128, student_kimg=0.128, batch=32)
    world, pools, net = problem(20), [], None
    for phase in SFBD(laps=3, clean=7).phases(setting):
        given = on_clean(world, CLEAN) if phase.needs_clean else world
        state = phase.init(given, net, Stream(0) / "init")
        for _ in islice(train(phase, given, state, Stream(1)), 3):
            pass
        result, net = phase.result(state), phase.empty((2,), phase.result(state).form())
        net.load_state_dict(result.state_dict())
        pools.append(state.frozen["pool"].x)
    clean, *laps = pools
    assert len(laps) == 3 and clean.shape == (7, 2) and not torch.equal(laps[0], laps[1])
    for pool in laps:
        assert pool.shape == (27, 2) and torch.equal(pool[:7], clean)
        assert not (pool[7:, None] == clean).all(2).any()


def test_without_clean_signals_there_is_nothing_to_merge() -> None:
    """Control: measurements alone, and a network that carries none."""
    setting = Setting(NOISY, MLP(8, 1), teacher_kimg=2.0, student_kimg=1.5)
    restorers = [lap.restorer for lap in SFBD().phases(setting)[1:] if isinstance(lap, Relearn)]
    assert restorers == [Backward()] * 3
    with pytest.raises(TypeError, match="Granted, got ExactDenoiser"):
        Merged(Backward()).restore(ExactDenoiser(LAW), problem(4), Stream(0))


def test_only_the_first_model_is_given_clean_signals() -> None:
    setting = Setting(NOISY, MLP(8, 1), teacher_kimg=2.0, student_kimg=1.5)
    plain, few = SFBD(), SFBD(clean=50)
    assert not plain.needs_clean and few.needs_clean
    first, *laps = few.phases(setting)
    assert isinstance(first, Few) and first.signals == 50 and first.needs_clean and first.kimg == 2.0
    assert not any(isinstance(lap, Few) for lap in laps)
    assert not any(phase.needs_clean for phase in (*laps, *plain.phases(setting)))


def test_shares_its_teacher() -> None:
    setting = Setting(NOISY, MLP(8, 1), teacher_kimg=2.0, student_kimg=1.5)
    first, *laps = SFBD(laps=3).phases(setting)
    assert first == Teacher().phases(setting)[0] and type(first) is Teach
    assert [lap.kimg for lap in laps] == pytest.approx([0.5] * 3)
    assert all(isinstance(lap, Relearn) and lap.warm for lap in laps)


def test_says_what_it_cannot_do() -> None:
    assert SFBD().supports(NOISY, (2,)) is None
    assert "white noise" in str(SFBD().supports(Corruption(Inpainting(0.5), 0.3), (2,)))
    assert "sigma_y is 0" in str(SFBD().supports(Corruption(Identity()), (2,)))
    with pytest.raises(ValueError, match="laps must be >= 1, got 0"):
        SFBD(laps=0)
    for wrong in (-1, 1):
        with pytest.raises(ValueError, match=f"clean must be 0 or >= 2, got {wrong}"):
            SFBD(clean=wrong)
    with pytest.raises(ValueError, match="signals must be >= 2"):
        replace(FEW, signals=1)
    with pytest.raises(ValueError, match="needs_clean must be true"):
        replace(FEW, needs_clean=False)
    with pytest.raises(ValueError, match="50 clean signals are to be drawn, and there are 40"):
        replace(FEW, signals=50).init(on_clean(problem(30), CLEAN), None, Stream(0))
