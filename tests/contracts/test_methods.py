"""The contract of the family: every registered method meets it, without a new test file."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import pytest
import torch
from component import (
    SHAPES,
    Lawful,
    corruptions,
    global_generator_at_rest,
    is_component,
    is_reason,
    signals,
)

from dcdbench.analytic import Gaussian
from dcdbench.batch import mean_per_sample
from dcdbench.diffusion import edm_weight, lognormal_levels
from dcdbench.distillers import registry as distillers
from dcdbench.distillers.sid import SiD
from dcdbench.harness.identity import describe
from dcdbench.methods import registry
from dcdbench.methods.ambient import Ambient
from dcdbench.methods.consistency import ConsistencyDistillation
from dcdbench.methods.dcd import DCD
from dcdbench.methods.teacher import Teacher
from dcdbench.networks.mlp import MLP
from dcdbench.objectives import registry as objectives
from dcdbench.objectives.standard import Standard
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.phases.start import on_clean
from dcdbench.problem import Corruption, Measurement, Problem
from dcdbench.protocols import Denoiser, Method, Phase, Sampler, Samples, Setting
from dcdbench.streams import Stream
from dcdbench.training import train

TRAIN = 96
Case = tuple[str, tuple[int, ...], Corruption]


def setting(case: Case, unit: float = 1.0) -> Setting:
    """As the harness makes it: the data's law is known to a method that is marked, and to no other."""
    name, shape, corruption = case
    source = Lawful(shape, 0.5 * unit) if registry[name].needs_clean else None
    return Setting(corruption, MLP(16, 1), teacher_kimg=0.2, student_kimg=0.1, batch=32, source=source)


def problem(corruption: Corruption, shape: tuple[int, ...], unit: float = 1.0) -> Problem:
    x = unit * signals(TRAIN + 64, shape)
    train, val = corruption(x[:TRAIN], Stream(1).rng()), corruption(x[TRAIN:], Stream(2).rng())
    return Problem(train, val, corruption, shape)


def problems() -> Iterator[tuple[tuple[int, ...], Corruption]]:
    """Each operator with noise on the first shape that fits it; two of them on all, and without noise too."""
    seen: set[str] = set()
    for shape in SHAPES:
        for corruption in corruptions(shape):
            often = isinstance(corruption.operator, Identity | Inpainting)
            if often or (corruption.sigma_y > 0 and repr(corruption) not in seen):
                seen.add(repr(corruption))
                yield shape, corruption


PROBLEMS = list(problems())


def cases() -> Iterator[Case]:
    for name in registry:
        for shape, corruption in PROBLEMS:
            if registry[name]().supports(corruption, shape) is None:
                yield name, shape, corruption


CASES = list(cases())
IDS = [f"{name}-{len(shape)}d-{type(c.operator).__name__}-{c.sigma_y:g}" for name, shape, c in CASES]


def run(
    case: Case, steps: int = 1, seed: int = 0, n: int = 20, unit: float = 1.0, method: Method | None = None
) -> tuple[Any, Samples]:
    """All phases for some steps each, then samples: what the harness does, without its stages."""
    name, shape, corruption = case
    method, given = method or registry[name](), setting(case, unit)
    if hasattr(method, "laps"):  # two tell what many do
        method = replace(method, laps=2)  # type: ignore[type-var]
    made, result = problem(corruption, shape, unit), None
    for k, phase in enumerate(method.phases(given)):
        stream = Stream(seed) / phase.kind / k
        world = on_clean(made, unit * signals(TRAIN, shape)) if phase.needs_clean else made
        state = phase.init(world, result, stream / "init")
        for _ in islice(train(phase, world, state, stream / "step"), steps):
            pass
        result = phase.result(state)
    return result, method.sampler(given).sample(result, made, n, (Stream(seed) / "samples").rng())


@pytest.fixture(params=CASES, ids=IDS)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.mark.parametrize("name", registry)
def test_is_a_component(name: str) -> None:
    method = registry[name]()
    is_component(method, Method)
    assert isinstance(method.needs_clean, bool)
    assert any(case[0] == name for case in CASES), "it supports nothing that there is"


@pytest.mark.parametrize("name", registry)
def test_says_of_every_problem_whether_it_is_supported(name: str) -> None:
    for shape in SHAPES:
        for corruption in corruptions(shape):
            assert is_reason(registry[name]().supports(corruption, shape))


def test_phases_keep_their_protocol_and_budget(case: Case) -> None:
    method, given = registry[case[0]](), setting(case)
    phases = method.phases(given)
    assert phases == method.phases(given) and isinstance(phases, tuple)
    assert sum(phase.kimg for phase in phases) <= (given.teacher_kimg + given.student_kimg) * (1 + 1e-9)
    for phase in phases:
        assert isinstance(phase, Phase) and 1 <= phase.batch <= given.batch
        assert pickle.loads(pickle.dumps(phase)) == phase and describe(phase)
        assert isinstance(phase.preview(case[2].sigma_y), Sampler)
        assert phase.needs_clean <= method.needs_clean  # clean data reach no method that is not marked
    sampler = method.sampler(given)
    assert isinstance(sampler, Sampler)
    assert pickle.loads(pickle.dumps(sampler)) == sampler and describe(sampler)


def test_runs_repeats_and_learns(case: Case) -> None:
    """Samples of the right form; the same address gives the same ones, other addresses and steps others."""
    with global_generator_at_rest():
        net, drawn = run(case)
    assert drawn.x.shape == (20, *case[1]) and drawn.x.dtype == torch.float32
    assert bool(torch.isfinite(drawn.x).all()) and not drawn.x.requires_grad
    modelled = net is not None or registry[case[0]].needs_clean
    assert isinstance(drawn.nfe, int) and (drawn.nfe > 0) is modelled
    torch.manual_seed(99)
    again, other = run(case)[1], run(case, seed=1)[1]
    assert torch.equal(drawn.x, again.x) and not torch.equal(drawn.x, other.x)
    longer = run(case, steps=4)[1]
    assert bool(torch.isfinite(longer.x).all())
    trains = bool(registry[case[0]]().phases(setting(case)))
    assert torch.equal(drawn.x, longer.x) is not trains


# Methods of which theory gives no law even where noise is all that corrupts, and why.
UNKNOWN = {"miwae": "its bound is not tight", "gaussian_mixture_em": "its family need not hold the law"}


def test_what_theory_expects_can_be_sampled(case: Case) -> None:
    name, _, corruption = case
    law = Gaussian(torch.zeros(3), torch.diag(torch.tensor([2.0, 1.0, 0.5])))
    expected = registry[name]().expected(law, corruption)
    if expected is None:
        assert name in UNKNOWN or not isinstance(corruption.operator, Identity) or not corruption.sigma_y
        return
    x = expected.sample(20_000, Stream(0).rng())
    assert x.shape == (20_000, 3) and pickle.dumps(expected)
    widest = law.noised(corruption.sigma_y).cov.diagonal()
    assert bool((x.var(0) < widest * 1.1).all())  # no result is wider than the measurements


@pytest.mark.parametrize("name", registry)
def test_only_what_is_marked_is_given_clean_data(name: str) -> None:
    method = registry[name]()
    for case in (case for case in CASES if case[0] == name):
        given = setting(case)
        granted = any(phase.needs_clean for phase in method.phases(given))
        assert (granted or _uses_source(method, given)) is method.needs_clean


def _uses_source(method: Method, given: Setting) -> bool:
    without = replace(given, source=None)
    try:
        return (method.phases(without), method.sampler(without)) != (
            method.phases(given),
            method.sampler(given),
        )
    except ValueError:
        return True


@pytest.mark.parametrize("name", [name for name in registry if registry[name].needs_clean])
def test_what_learns_from_clean_data_does_not_see_the_operator(name: str) -> None:
    """On the same clean data, any operator gives the same samples, shown or not."""
    found: dict[tuple[int, ...], torch.Tensor] = {}
    for case in (case for case in CASES if case[0] == name):
        phases = registry[name]().phases(setting(case))
        if phases and all(phase.needs_clean for phase in phases):
            x = run(case)[1].x
            assert torch.equal(x, found.setdefault(case[1], x)), case


def homogeneous(corruption: Corruption, shape: tuple[int, ...]) -> bool:
    """Whether signals in another unit have measurements in that unit."""
    x = signals(8, shape)
    A = corruption.operator.draw(shape, 8, Stream(0).rng())
    return torch.allclose(A(8 * x), 8 * A(x), rtol=1e-5, atol=1e-5)


def one_of_each_kind() -> Iterator[tuple[Case, Method]]:
    """Per method: noise, masks, masks with noise, and one more operator. Then more losses and samplers."""
    seen: set[tuple[Any, ...]] = set()
    for name, shape, corruption in CASES:
        A = type(corruption.operator)
        kind = (A, A is Inpainting and corruption.sigma_y) if A in (Identity, Inpainting) else None
        if (name, kind) not in seen and homogeneous(corruption, shape):
            seen.add((name, kind))
            yield (name, shape, corruption), registry[name]()
    noise, masks = (Corruption(A, 0.3) for A in (Identity(), Inpainting()))
    for name in distillers:
        yield ("dcd", (5,), noise), DCD(distiller=distillers[name]())
    yield ("dcd", (5,), noise), DCD(distiller=SiD(adversarial=0.5), start="random")
    for name in objectives:
        corruption = noise if objectives[name]().supports(noise) is None else masks
        yield ("teacher", (5,), corruption), Teacher(objective=objectives[name]())
    yield ("teacher", (5,), noise), Teacher(sampling="truncated")
    yield ("ambient", (5,), noise), Ambient(churn=10.0)
    yield ("ambient", (5,), masks), Ambient(guidance=0.1)
    yield ("consistency", (5,), noise), ConsistencyDistillation(huber=0.1)


EACH = list(one_of_each_kind())
EACH_IDS = [f"{c[0]}-{type(c[2].operator).__name__}-{c[2].sigma_y:g}-{i}" for i, (c, _) in enumerate(EACH)]


def unit_error(case: Case, method: Method, unit: float) -> float:
    """The largest difference of samples, by the data's unit, where signals and noise are in another unit."""
    name, shape, corruption = case
    other = name, shape, replace(corruption, sigma_y=unit * corruption.sigma_y)
    drawn, scaled = run(case, 2, method=method)[1].x, run(other, 2, unit=unit, method=method)[1].x
    return float((scaled / unit - drawn).abs().max())


@pytest.mark.parametrize(("case", "method"), EACH, ids=EACH_IDS)
def test_data_in_another_unit_change_nothing_but_the_unit(case: Case, method: Method) -> None:
    """Times 10 or a tenth: only rounding differs, which few steps do not amplify."""
    unit = 10.0 if isinstance(case[2].operator, Identity) else 0.1
    assert unit_error(case, method, unit) < 1e-3


@dataclass(frozen=True)
class Absolute(Standard):
    """The standard objective at levels in a unit of its own."""

    def __call__(self, denoiser: Denoiser, m: Measurement, rng: torch.Generator) -> torch.Tensor:
        sigma = lognormal_levels(len(m), self.p_mean, self.p_std, rng)
        estimate = self.view(m, sigma, rng).estimate(denoiser)
        return edm_weight(sigma, denoiser.sigma_data) * mean_per_sample((estimate - m.y) ** 2)


def test_levels_in_a_unit_of_their_own_are_found() -> None:  # the control
    case = ("teacher", (5,), Corruption(Identity(), 0.3))
    assert unit_error(case, Teacher(objective=Absolute()), 10.0) > 5e-3
