"""Consistency distillation: its ideal student is the teacher's sampler, and no better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian, GaussianMixture, Law
from dcdbench.batch import expand
from dcdbench.diffusion import heun
from dcdbench.methods.consistency import ConsistencyDistillation
from dcdbench.methods.ideal import FilledMean, PosteriorMean
from dcdbench.methods.teacher import Teacher
from dcdbench.networks.edm import Preconditioned
from dcdbench.networks.mlp import MLP
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.operators.random_projections import RandomProjections
from dcdbench.phases.consistency import Consistency, distance, heun_step, jump
from dcdbench.phases.start import denoiser_for
from dcdbench.problem import Corruption, Problem
from dcdbench.protocols import Denoiser, Objective, Operator, Setting, View
from dcdbench.samplers.heun import Heun
from dcdbench.selection import compare
from dcdbench.streams import Stream
from dcdbench.training import Diverged, State, train

SIGMA_Y = 0.4
NOISY, CLEAN = Corruption(Identity(), SIGMA_Y), Corruption(Identity())
MASKS = Corruption(Inpainting(0.6), SIGMA_Y)
LAW = GaussianMixture(
    torch.tensor([0.3, 0.7]),
    torch.tensor([[-1.0, 0.5], [1.0, 0.2]]),
    torch.diag(torch.tensor([0.1, 0.4])).expand(2, 2, 2),
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass
class Of:
    """The exact denoiser of a law; through masks, that of a Gaussian."""

    law: Law
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        if A is None:
            return self.law.denoise(x_t, sigma)
        assert isinstance(A, Mask)
        m, cov = A.mask.to(x_t), self.law.cov.to(x_t)
        seen = m[:, :, None] * cov * m[:, None, :] + sigma[:, None, None] ** 2 * torch.eye(len(cov)).to(x_t)
        return torch.linalg.solve(seen, x_t[:, :, None])[:, :, 0] @ cov


@dataclass
class Ideal:
    """Where the teacher's sampler arrives from a level, by `diffusion.heun` itself."""

    teacher: Denoiser
    levels: Tensor
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        out = torch.empty_like(x_t)
        for n, level in enumerate(self.levels):
            chosen = torch.isclose(sigma, level.to(sigma))
            if bool(chosen.any()):
                out[chosen] = self._end(x_t[chosen], n, None if A is None else A[chosen])
        return out

    def _end(self, x_t: Tensor, n: int, A: Operator | None) -> Tensor:
        def signal(x: Tensor, sigma: float) -> Tensor:
            return View(x, torch.full((len(x),), sigma, dtype=x.dtype), A).signal(self.teacher)

        def estimate(x: Tensor, sigma: float) -> Tensor:
            return signal(x, sigma) if A is None else A(signal(x, sigma))

        return signal(heun(estimate, x_t, self.levels[n:]), float(self.levels[-1]))


@dataclass
class World:
    """An exact teacher, views of measurements at the levels of its sampler, and the phase."""

    objective: Objective
    corruption: Corruption
    law: Law = LAW
    n: int = 400

    def __post_init__(self) -> None:
        self.phase = Consistency(self.objective, MLP(16, 1), 1.0, steps=6)
        self.teacher = Of(self.law)
        self.levels = self.phase.levels(self.corruption.sigma_y, self.teacher.sigma_data)
        m = self.corruption(self.law.sample(self.n, rng(1)), rng(2))
        self.index = torch.arange(self.n) % 5
        self.view = self.objective.view(m, self.levels[self.index], rng(3))

    def error(self, student: Denoiser, target: Denoiser | None = None) -> Tensor:
        """The student's, with itself as the target."""
        after = heun_step(self.teacher, self.view, self.levels[self.index + 1])
        wanted = jump(target or student, self.teacher, after, self.levels[-1])
        return self.view.signal(student) - wanted


def worlds() -> dict[str, World]:
    return {
        "tweedie": World(AmbientTweedie(), NOISY),
        "standard": World(Standard(), NOISY, LAW.noised(SIGMA_Y)),
        "clean": World(Standard(), CLEAN),
        "masks": World(
            AmbientDiffusion(), MASKS, Gaussian(torch.zeros(2), torch.tensor([[1.0, 0.6], [0.6, 0.8]]))
        ),
    }


@pytest.mark.parametrize("name", worlds())
def test_the_sampler_of_the_teacher_has_no_loss(name: str) -> None:
    """A fixed point, exactly: what arrives where the sampler does agrees with itself along the way."""
    world = worlds()[name]
    ideal = Ideal(world.teacher, world.levels)
    assert float(world.error(ideal).abs().max()) < 1e-9
    others = (world.teacher, Ideal(world.teacher, world.levels[:-1]))  # control
    assert all(float(world.error(other).abs().mean()) > 1e-3 for other in others)


@pytest.mark.parametrize("name", ["tweedie", "standard", "clean"])
def test_candidates_are_compared_with_the_law_of_a_perfect_student(name: str) -> None:
    """The teacher's last estimates of held-out measurements, which are means under noise."""
    world = worlds()[name]
    objective, sigma_y = world.objective, world.corruption.sigma_y
    phase = Consistency(objective, MLP(16, 1), 1.0, steps=40)
    student = Ideal(world.teacher, phase.levels(sigma_y, world.teacher.sigma_data))
    val = world.corruption(LAW.sample(8000, rng(5)), rng(6))
    problem = Problem(val, val, world.corruption, (2,))
    x = phase.preview(sigma_y).sample(student, problem, 8000, rng(7)).x
    state = State({}, {}, frozen={"teacher": world.teacher})
    found = compare([x], phase.ideal(state, val, rng(8)).to(x))
    assert abs(found.distance) < 0.002
    if name == "tweedie":  # control: means are narrower than signals
        assert compare([x], LAW.sample(8000, rng(9)).to(x)).distance > 0.004


@pytest.mark.parametrize("name", worlds())
def test_nothing_else_has_no_loss(name: str) -> None:
    """From the last level up, each target determines the student at the level before."""
    world = worlds()[name]
    student: Denoiser = Constant(torch.zeros(2, dtype=torch.float64))
    ideal = Ideal(world.teacher, world.levels)
    for n in reversed(range(5)):
        at = world.index == n
        assert float(world.error(student, world.teacher)[at].abs().mean()) > 3e-3  # not there yet
        student = Patched(student, Learned(world, n, student), world.levels[n])
        torch.testing.assert_close(world.view.signal(student)[at], world.view.signal(ideal)[at])


@dataclass
class Constant:
    """A denoiser that has seen nothing."""

    value: Tensor
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        return self.value.expand_as(x_t)


@dataclass
class Learned:
    """A perfect fit to the targets of one level, given the student of those below."""

    world: World
    n: int
    below: Denoiser
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        world = self.world
        after = heun_step(
            world.teacher, View(x_t, sigma, A), torch.full_like(sigma, float(world.levels[self.n + 1]))
        )
        return jump(self.below, world.teacher, after, world.levels[-1])


@dataclass
class Patched:
    """A denoiser that is another one at one level."""

    rest: Denoiser
    there: Denoiser
    level: Tensor
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        at = expand(torch.isclose(sigma, self.level.to(sigma)), x_t)
        return torch.where(at, self.there(x_t, sigma, A), self.rest(x_t, sigma, A))


@pytest.mark.parametrize("name", worlds())
def test_the_ideal_student_samples_what_its_teacher_samples(name: str) -> None:
    """From the same noise, sample by sample: it cannot be better, in any metric."""
    world = worlds()[name]
    problem = Problem(*(world.corruption(LAW.sample(4, rng(1)).float(), rng(2)),) * 2, world.corruption, (2,))
    sigma_y = world.corruption.sigma_y
    truncated = Heun(world.objective, "truncated", sigma_y, steps=6).sample(
        world.teacher, problem, 200, rng(4)
    )
    student = world.phase.preview(sigma_y).sample(Ideal(world.teacher, world.levels), problem, 200, rng(4))
    torch.testing.assert_close(student.x, truncated.x, rtol=1e-4, atol=1e-4)
    assert student.nfe == 1 < truncated.nfe
    full = Heun(world.objective, "full", sigma_y, steps=6).sample(world.teacher, problem, 200, rng(4))
    every_level_is_trained = world.objective.lowest(sigma_y) == 0
    assert torch.allclose(student.x, full.x, rtol=1e-4, atol=1e-4) is every_level_is_trained  # else a control


def test_a_step_is_that_of_the_sampler() -> None:
    world = worlds()["tweedie"]
    for n in range(5):
        x_t = 3 * torch.randn(20, 2, generator=rng(n), dtype=torch.float64)
        one = heun(lambda x, sigma: LAW.denoise(x, sigma), x_t, world.levels[n : n + 2])
        view = View(x_t, world.levels[n].expand(20))
        got = heun_step(world.teacher, view, world.levels[n + 1].expand(20))
        torch.testing.assert_close(got.x_t, one)
        assert torch.equal(got.sigma, world.levels[n + 1].expand(20))


@pytest.mark.parametrize("huber", [None, 0.1, 2.0])
def test_distances(huber: float | None) -> None:
    error = torch.randn(7, 3, 2, generator=rng(), dtype=torch.float64)
    square = error.square().flatten(1).mean(1)
    wanted = square if huber is None else (square + huber**2) ** 0.5 - huber
    torch.testing.assert_close(distance(error, huber), wanted)
    assert bool((distance(0 * error, huber) == 0).all())


# Training


def small(corruption: Corruption, shape: tuple[int, ...], seed: int = 0) -> Problem:
    x = 0.5 * torch.randn(1024, *shape, generator=rng(seed))
    m = corruption(x, rng(seed + 1))
    return Problem(m, m, corruption, shape)


def run(phase: Consistency, problem: Problem, teacher: Preconditioned, steps: int) -> Any:
    state = phase.init(problem, teacher, Stream(0))
    stats = list(islice(train(phase, problem, state, Stream(1)), steps))
    return state, stats


CASES: dict[str, tuple[Objective, Corruption, tuple[int, ...]]] = {
    "identity": (AmbientTweedie(), NOISY, (2,)),
    "standard": (Standard(), NOISY, (1, 3, 4)),
    "masks": (AmbientDiffusion(), MASKS, (1, 3, 4)),
    "apart": (AmbientDiffusion(), Corruption(RandomProjections(), 0.2), (6,)),
}


@pytest.mark.parametrize("name", CASES)
def test_trains_and_samples(name: str) -> None:
    objective, corruption, shape = CASES[name]
    problem = small(corruption, shape)
    teacher = denoiser_for(problem, objective, MLP(16, 1), Stream(0))
    phase = Consistency(objective, MLP(16, 1), kimg=1.0, batch=32)
    state, stats = run(phase, problem, teacher, 4)
    assert all(set(s) == {"loss", "gradient"} for s in stats) and (state.step, state.nimg) == (4, 128)
    drawn = phase.preview(corruption.sigma_y).sample(phase.result(state), problem, 9, rng(2))
    assert drawn.x.shape == (9, *shape) and drawn.nfe == 1 and bool(torch.isfinite(drawn.x).all())
    frozen, before = state.frozen["teacher"].state_dict(), teacher.state_dict()
    assert all(torch.equal(frozen[k], before[k]) for k in before)
    assert not torch.equal(
        state.averages["target"].net.last.bias, state.averages["student"].net.last.bias * 2 + 1
    )


def test_the_target_follows_faster_than_the_result() -> None:
    phase = Consistency(
        AmbientTweedie(), MLP(16, 1), 50.0, batch=32, halflife_kimg=50.0, target_halflife_kimg=0.02
    )
    problem = small(NOISY, (2,))
    state, _ = run(phase, problem, denoiser_for(problem, AmbientTweedie(), MLP(16, 1), Stream(0)), 60)

    def lag(name: str) -> float:
        nets = (state.trained["student"], state.averages[name])
        weights = (torch.cat([p.detach().flatten() for p in net.parameters()]) for net in nets)
        return float(torch.dist(*weights))

    assert 0 < lag("target") < lag("student")


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_training_gives_the_same_bits(name: str) -> None:
    objective, corruption, shape = CASES[name]
    problem = small(corruption, shape)
    teacher = denoiser_for(problem, objective, MLP(16, 1), Stream(0))
    phase = Consistency(objective, MLP(16, 1), kimg=1.0, batch=32)
    whole, _ = run(phase, problem, teacher, 5)
    first, _ = run(phase, problem, teacher, 2)
    second = phase.init(problem, teacher, Stream(0))
    second.load({k: t.clone() for k, t in first.tensors().items()})
    list(islice(train(phase, problem, second, Stream(1)), 3))
    assert all(torch.equal(t, second.tensors()[k]) for k, t in whole.tensors().items())
    assert not all(torch.equal(t, first.tensors()[k]) for k, t in whole.tensors().items())  # control


def test_divergence_is_told_with_its_address() -> None:
    problem = small(NOISY, (2,))
    teacher = denoiser_for(problem, AmbientTweedie(), MLP(16, 1), Stream(0))
    with torch.no_grad():
        teacher.net.last.bias.fill_(torch.nan)
    with pytest.raises(Diverged, match="the loss is nan"):
        run(Consistency(AmbientTweedie(), MLP(16, 1), 1.0, batch=32), problem, teacher, 1)


def test_the_student_becomes_the_sampler_and_not_the_law() -> None:
    """Of isotropic normal data, whose exact denoiser a fresh network is: posterior means, not signals."""
    noisy = Corruption(Identity(), tiny.SCALE)
    problem, teacher = tiny.problem(noisy, n=4096), tiny.exact_teacher()
    phase = Consistency(AmbientTweedie(), tiny.SMALL, kimg=120.0, lr=2e-3, halflife_kimg=5.0)
    state, stats = run(phase, problem, teacher, 468)

    def scale(denoiser: Denoiser, sampler: Heun) -> float:
        return float(sampler.sample(denoiser, problem, 20_000, rng(5)).x.std())

    before = scale(teacher, phase.preview(noisy.sigma_y))
    after = scale(phase.result(state), phase.preview(noisy.sigma_y))
    goal = scale(teacher, Heun(AmbientTweedie(), "truncated", noisy.sigma_y))
    mean = PosteriorMean(Gaussian(torch.zeros(1), torch.full((1, 1), tiny.SCALE**2)), noisy.sigma_y)
    assert goal == pytest.approx(float(mean.sample(20_000, rng(6)).std()), rel=0.05)
    assert after == pytest.approx(goal, rel=0.05) and before < 0.1 * goal
    assert goal < 0.85 * tiny.SCALE  # control: not the clean law
    assert stats[-1]["loss"] < 0.2 * stats[0]["loss"]


# The method


def setting(corruption: Corruption) -> Setting:
    return Setting(corruption, MLP(16, 1), teacher_kimg=2.0, student_kimg=1.0)


@pytest.mark.parametrize("corruption", [NOISY, CLEAN, MASKS])
def test_its_teacher_is_that_of_the_method_teacher(corruption: Corruption) -> None:
    """Phase I is shared, and the levels are those of the teacher's sampler."""
    method, given = ConsistencyDistillation(), setting(corruption)
    teacher, student = method.phases(given)
    assert (teacher,) == Teacher().phases(given)
    assert isinstance(student, Consistency) and student.kimg == 1.0
    assert method.sampler(given) == student.preview(corruption.sigma_y)
    mode = "truncated" if corruption.sigma_y else "full"
    levels = replace(Teacher().sampler(given), mode=mode).levels(0.7)
    assert torch.equal(student.levels(corruption.sigma_y, 0.7), levels[levels > 0])
    assert student.left(corruption, (2,)) == teacher.left(corruption, (2,))


def test_what_theory_expects() -> None:
    """Posterior means above the noise, and the law that was learned where every level is trained."""
    law = Gaussian(torch.zeros(2), torch.eye(2))
    expected: Callable[..., Any] = ConsistencyDistillation().expected
    assert isinstance(expected(law, NOISY), PosteriorMean)
    assert torch.equal(expected(law, CLEAN).cov, law.cov)
    noisy = ConsistencyDistillation(objective=Standard()).expected(law, NOISY)
    assert noisy is not None and torch.equal(noisy.cov, law.noised(SIGMA_Y).cov)
    assert isinstance(expected(law, MASKS), FilledMean)


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="steps must be >= 2, got 1"):
        ConsistencyDistillation(steps=1)
    with pytest.raises(ValueError, match="huber must be > 0, or null for the squared distance, got 0"):
        ConsistencyDistillation(huber=0.0)
    assert "needs measurement noise" in str(ConsistencyDistillation(AmbientTweedie()).supports(CLEAN, (2,)))
