r"""The minimiser of each objective over linear denoisers, to rounding, against `E[x | what is seen]`.

For a Gaussian the minimiser is affine in what the denoiser is shown, and the loss of the code itself is a
quadratic form of signal and noise. Samples whose second moments are exactly those of the law give its
expectation exactly, and all draws of A with all their further corruptions are enumerated. (With what weight
makes no difference: the minimiser given `A'` is the same for all of them.) The coefficients solve the normal
equations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from dcdbench.analytic import Gaussian
from dcdbench.objectives import ambient_diffusion, ambient_tweedie, standard
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.objectives.ambient_tweedie import AmbientTweedie
from dcdbench.objectives.fourier_ambient import FourierAmbient
from dcdbench.objectives.standard import Standard
from dcdbench.operators.blur import Blur
from dcdbench.operators.composition import Composed, Composition
from dcdbench.operators.draw import LinearDraw
from dcdbench.operators.fixed_mask import FixedMask
from dcdbench.operators.fourier import Fourier
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.greyscale import Greyscale
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Mask
from dcdbench.operators.matrix import Matrix
from dcdbench.operators.mixture import Mixed
from dcdbench.operators.motion_blur import MotionBlur
from dcdbench.operators.mri import MRI, MultiCoil
from dcdbench.operators.random_projections import Projections
from dcdbench.operators.super_resolution import SuperResolution
from dcdbench.problem import Measurement
from dcdbench.protocols import Objective, Operator, OperatorLaw, View

SIGMA, SIGMA_Y = 0.75, 0.5  # numbers of float32, as which levels are drawn
Shape = tuple[int, ...]


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def law(d: int) -> Gaussian:
    """A Gaussian with a mean, and with correlations between all entries."""
    root = normal(1, d, d)
    return Gaussian(normal(2, d), root @ root.T / d + 0.1 * torch.eye(d))


def whitened(*sizes: int) -> list[Tensor]:
    """Vectors with mean 0, whose covariances are exactly 1, and exactly 0 with each other."""
    n = 1 + sum(sizes)
    ones = torch.ones(n, 1, dtype=torch.float64)
    frame = torch.linalg.qr(torch.cat([ones, normal(3, n, n - 1)], 1))[0][:, 1:] * math.sqrt(n)
    return list(frame.split(sizes, 1))


# The world: every pair of draws on all of the same samples


@dataclass(frozen=True)
class Scripted:
    """Draws whose further corruptions are given."""

    A: Operator
    after: Operator

    def __getattr__(self, name: str) -> Any:
        return getattr(self.A, name)

    def __call__(self, x: Tensor) -> Tensor:
        return self.A(x)

    def __getitem__(self, index: Tensor | slice) -> Scripted:
        return Scripted(self.A[index], self.after[index])

    def further(self, delta: float, rng: torch.Generator) -> Operator:
        return self.after


@dataclass(frozen=True)
class World:
    """Measurements of all samples through all pairs of draws, and the noise that the objective will add."""

    m: Measurement
    noise: Tensor
    law: Gaussian

    def __getitem__(self, index: Tensor) -> World:
        return World(self.m[index], self.noise[index], self.law)


def world(shape: Shape, A: Operator, after: Operator, pairs: int, sigma_y: float) -> World:
    """`A` and `after` are draws of each pair."""
    d = math.prod(shape)
    measured = tuple(A(torch.zeros(pairs, *shape, dtype=torch.float64)).shape[1:])
    z, n_y, n_t = (
        t.repeat_interleave(pairs, 0) for t in whitened(d, math.prod(measured), math.prod(measured))
    )
    each = torch.arange(pairs).repeat(len(z) // pairs)
    given = law(d)
    root = torch.linalg.cholesky(given.cov)
    x = (given.mean + z @ root.T).reshape(-1, *shape)
    draws = Scripted(A[each], after[each])
    y = draws(x) + sigma_y * draws.restrict(n_y.reshape(-1, *measured))
    return World(Measurement(y, cast(Operator, draws), sigma_y, shape), n_t.reshape(-1, *measured), given)


def single(operator: OperatorLaw, shape: Shape, sigma_y: float) -> World:
    """All samples through an operator that is the same for all."""
    A = operator.draw(shape, 1, torch.Generator()).to(dtype=torch.float64)
    return world(shape, A, A, 1, sigma_y)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], None]:
    """Makes the objectives add the noise of a world."""

    def tell(of: World) -> None:
        for module in (ambient_diffusion, ambient_tweedie, standard):
            monkeypatch.setattr(module, "randn_like", lambda like, rng: of.noise)

    return tell


# Linear denoisers


@dataclass
class Affine:
    """`W x_t + b` of what is shown, with the coefficients in one vector."""

    coefficients: Tensor  # (d * (d + 1),)
    sigma_data: float = 1.0

    def __call__(self, x_t: Tensor, sigma: Tensor, A: Operator | None = None) -> Tensor:
        flat = x_t.flatten(1)
        table = self.coefficients.reshape(flat.shape[1], -1)
        return (flat @ table[:, :-1].T + table[:, -1]).reshape(x_t.shape)


def at(objective: Objective, sigma: float = SIGMA) -> Objective:
    """The objective at one level."""
    return replace(objective, p_mean=math.log(sigma), p_std=1e-12)  # type: ignore[type-var]


def minimiser(objective: Objective, of: World) -> Affine:
    """The coefficients of least norm that solve the normal equations of the expected loss."""
    d = math.prod(of.m.shape)

    def loss(coefficients: Tensor) -> Tensor:
        return at(objective)(Affine(coefficients), of.m, torch.Generator()).mean()

    zero = torch.zeros(d * (d + 1), dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(loss, zero, vectorize=True)
    slope = torch.autograd.functional.jacobian(loss, zero)
    return Affine(-torch.linalg.pinv(hessian, rtol=1e-10, hermitian=True) @ slope)


def view(objective: Objective, of: World) -> View:
    return objective.view(of.m, torch.full((len(of.m),), SIGMA, dtype=torch.float64), torch.Generator())


def matrices(A: Operator, n: int, shape: Shape) -> Tensor:
    """The matrix of each draw, `(n, m, d)`."""
    basis = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, 1, *shape)
    return torch.stack([A(e.expand(n, *shape)).flatten(1) for e in basis], 2)


def posterior_mean(given: Gaussian, H: Tensor, seen: Tensor, sigma: float) -> Tensor:
    """`E[x | H x + sigma n = seen]`, `(n, d)`, for matrices `(n, m, d)`; entries of `seen` may be masked."""
    gain = given.cov @ H.mT @ torch.linalg.inv(H @ given.cov @ H.mT + sigma**2 * torch.eye(H.shape[1]))
    return given.mean + (gain @ (seen - H @ given.mean).unsqueeze(2)).squeeze(2)


def gap(got: Tensor, expected: Tensor) -> float:
    return float((got.flatten(1) - expected.flatten(1)).abs().max())


def same(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got.flatten(1), expected.flatten(1), rtol=1e-6, atol=1e-7)


# What is learned where nothing is hidden: E[Ax | x_t], or with the standard objective E[y | x_t]

PLAIN: list[tuple[OperatorLaw, Shape]] = [
    (Identity(), (3,)),
    (Identity(), (2, 1, 2)),
    (GaussianBlur(), (1, 2, 3)),
    (MotionBlur(), (1, 3, 3)),
    (Blur(((0.2, 0.5, 0.1), (0.0, 1.0, -0.3), (0.1, 0.0, 0.2)), "circular"), (1, 3, 3)),
    (SuperResolution(2), (1, 2, 4)),  # seen through A, as those below
    (Matrix(((1.0, 0.5, 0.0), (-0.3, 1.0, 2.0))), (3,)),
    (Greyscale(), (3, 1, 2)),
    (Composition(GaussianBlur(), Matrix(((1.0, 0.5, 0.0), (-0.3, 1.0, 2.0)))), (3,)),
]
PLAIN_IDS = [
    "identity",
    "images",
    "blur",
    "motion_blur",
    "kernel",
    "super_resolution",
    "matrix",
    "greyscale",
    "composition",
]


def measured_law(of: World, noise: float) -> Gaussian:
    """That of `A x + noise n`."""
    return of.law.affine(matrices(of.m.A[:1], 1, of.m.shape)[0], sigma=noise)


@pytest.mark.parametrize("sigma_y", [0.0, SIGMA_Y])
@pytest.mark.parametrize(("operator", "shape"), PLAIN, ids=PLAIN_IDS)
def test_standard_learns_the_mean_of_the_measurement(
    operator: OperatorLaw, shape: Shape, sigma_y: float, told: Callable[[World], None]
) -> None:
    of = single(operator, shape, sigma_y)
    told(of)
    v = view(Standard(), of)
    got = v.estimate(minimiser(Standard(), of))
    expected = measured_law(of, sigma_y).denoise(v.x_t.flatten(1), SIGMA)
    same(got, expected)
    clean = measured_law(of, 0.0).denoise(v.x_t.flatten(1), math.hypot(SIGMA, sigma_y))
    assert (gap(got, clean) > 0.01) is (sigma_y > 0)  # control: noise is a part of what is learned


@pytest.mark.parametrize(("operator", "shape"), PLAIN, ids=PLAIN_IDS)
def test_ambient_tweedie_learns_the_mean_of_the_noiseless_measurement(
    operator: OperatorLaw, shape: Shape, told: Callable[[World], None]
) -> None:
    of = single(operator, shape, SIGMA_Y)
    told(of)
    v = view(AmbientTweedie(), of)
    got = v.estimate(minimiser(AmbientTweedie(), of))
    same(got, measured_law(of, 0.0).denoise(v.x_t.flatten(1), SIGMA))
    noisy = measured_law(of, SIGMA_Y).denoise(v.x_t.flatten(1), math.sqrt(SIGMA**2 - SIGMA_Y**2))
    assert gap(got, noisy) > 0.01  # control: E[y | x_t], without Tweedie's formula
    wrong = World(replace(of.m, sigma_y=0.8 * SIGMA_Y), of.noise, of.law)
    assert gap(v.estimate(minimiser(AmbientTweedie(), wrong)), got) > 0.01  # control: a wrong sigma_y


# What is learned through masks: E[x | A' x_t, A']


def subsets(of: Iterable[int]) -> Iterator[set[int]]:
    items = list(of)
    return (set(c) for k in range(len(items) + 1) for c in combinations(items, k))


def pixel_masks(d: int, choices: list[tuple[set[int], set[int]]]) -> tuple[Mask, Mask, int]:
    """The masks of pairs of seen and further seen entries."""
    rows = [[[float(i in s) for i in range(d)] for s in pair] for pair in choices]
    table = torch.tensor(rows, dtype=torch.float64)
    return Mask(table[:, 0]), Mask(table[:, 1]), len(choices)


def every_mask(d: int) -> list[tuple[set[int], set[int]]]:
    """Inpainting: all masks, with all masks below them."""
    return [(seen, left) for seen in subsets(range(d)) for left in subsets(seen)]


def exactly(k: int, d: int) -> list[tuple[set[int], set[int]]]:
    """A number of coordinates, at least one of which is dropped where there are several."""
    pairs = [(set(c), left) for c in combinations(range(d), k) for left in subsets(c)]
    return [(seen, left) for seen, left in pairs if k == 1 or left < seen]


def projections(d: int, m: int) -> tuple[Projections, Projections, int]:
    """Pairs of rows out of `m`; one of each pair is dropped, or both."""
    rows = torch.nn.functional.normalize(normal(5, m, d), dim=1)
    choices = [(i, j, left) for i, j in product(range(m), repeat=2) if i != j for left in (0.0, 1.0)]
    table = torch.stack([rows[[i, j]] for i, j, _ in choices])
    kept = torch.tensor([[left, 0.0] for *_, left in choices], dtype=torch.float64)
    draws = Projections(table, torch.ones_like(kept)), Projections(table * kept[..., None], kept)
    return *draws, len(choices)


def blocks(d: int) -> list[tuple[set[int], set[int]]]:
    """One entry is missing; of the others another one is dropped, and any that are left."""
    every = set(range(d))
    pairs = {
        (hidden, frozenset(left))
        for hidden, other in product(every, repeat=2)
        if hidden != other
        for left in subsets(every - {hidden, other})
    }
    return [(every - {hidden}, set(left)) for hidden, left in sorted(pairs, key=str)]


def after_blur(d: int) -> tuple[Composed, Composed, int]:
    """All masks of what a blur measures: it loses nothing."""
    one, two, n = pixel_masks(d, every_mask(d))
    first = GaussianBlur().draw((d,), n, torch.Generator()).to(dtype=torch.float64)
    return Composed(first, one), Composed(first, two), n


def mixed(d: int) -> tuple[Mixed, Mixed, int]:
    """All masks, or a blur of which nothing is dropped."""
    all_seen = set(range(d))
    one, two, n = pixel_masks(d, [*every_mask(d), (all_seen, all_seen)])
    blur = GaussianBlur().draw((d,), n, torch.Generator()).to(dtype=torch.float64)
    which = (torch.arange(n) == n - 1).long()
    return Mixed((one, blur), which), Mixed((two, blur), which), n


def spectra(shape: Shape) -> tuple[LinearDraw, LinearDraw, int]:
    """All choices of lines with the middle one, of one coil that sees all alike."""
    width = shape[2]
    pairs = [(s, t) for s, t in every_mask(width) if width // 2 in t]
    draw = Fourier(acceleration=2.0, acs=1.0).draw(shape, 1, torch.Generator().manual_seed(7))
    one, two, n = pixel_masks(width, pairs)
    return replace(draw, lines=one.mask), replace(draw, lines=two.mask), n


def lines(shape: Shape, operator: OperatorLaw) -> tuple[LinearDraw, LinearDraw, int]:
    """All choices of lines with the middle one, and all that a further corruption may leave of them."""
    width = shape[2]
    middle = width // 2
    pairs = [(s, t) for s, t in every_mask(width) if middle in t]
    draw = operator.draw(shape, 1, torch.Generator().manual_seed(7)).to(dtype=torch.float64)
    assert isinstance(draw, MultiCoil)
    one, two, n = pixel_masks(width, pairs)
    maps = draw.maps.expand(n, *draw.maps.shape[1:]).contiguous()
    return replace(draw, lines=one.mask, maps=maps), replace(draw, lines=two.mask, maps=maps), n


COILS = MRI(acceleration=2.0, acs=1.0, coils=2)
HIDDEN: dict[str, tuple[Shape, Callable[[], tuple[Any, Any, int]]]] = {
    "inpainting-3": ((3,), lambda: pixel_masks(3, every_mask(3))),
    "inpainting-4": ((4,), lambda: pixel_masks(4, every_mask(4))),
    "coordinates": ((3,), lambda: pixel_masks(3, exactly(2, 3))),
    "blocks": ((4,), lambda: pixel_masks(4, blocks(4))),
    "composition": ((3,), lambda: after_blur(3)),
    "mixture": ((3,), lambda: mixed(3)),
    "fourier": ((2, 1, 4), lambda: spectra((2, 1, 4))),
    "projections": ((3,), lambda: projections(3, 4)),
    "mri": ((2, 1, 4), lambda: lines((2, 1, 4), COILS)),
}


def groups(of: World) -> Iterator[World]:
    """The samples that share a further corruption."""
    assert isinstance(of.m.A, Scripted)
    table = matrices(of.m.A.after, len(of.m), of.m.shape).flatten(1)
    which = table.unique(dim=0, return_inverse=True)[1]
    return (of[which == k] for k in range(int(which.max()) + 1))


def mask_of(of: World) -> Tensor:
    """What is shown, where draws are masks."""
    assert isinstance(of.m.A, Scripted) and isinstance(of.m.A.after, Mask)
    return of.m.A.after.mask


def completed(objective: Objective, of: World) -> tuple[Tensor, Tensor]:
    """What is learned of the signal given what is seen, and what theory says."""
    v = view(objective, of)
    assert v.A is not None
    H = matrices(v.A, len(of.m), of.m.shape)
    got = v.signal(minimiser(objective, of)).flatten(1)
    return got, posterior_mean(of.law, H, v.x_t.flatten(1), SIGMA)


@pytest.mark.parametrize("objective", [AmbientDiffusion(), FourierAmbient()], ids=["ambient", "fourier"])
@pytest.mark.parametrize("sigma_y", [0.0, SIGMA_Y])
@pytest.mark.parametrize("case", HIDDEN)
def test_ambient_objectives_learn_the_mean_given_what_is_shown(
    case: str, sigma_y: float, objective: Objective, told: Callable[[World], None]
) -> None:
    """Hidden entries too, for every further corruption that there is."""
    shape, make = HIDDEN[case]
    count = 0
    for of in groups(world(shape, *make(), sigma_y)):
        told(of)
        same(*completed(objective, of))
        count += 1
    assert count > 3


def test_errors_as_images_are_other_numbers_with_several_coils(told: Callable[[World], None]) -> None:
    """Control: the two losses differ, though their minimisers do not; for masks they are the same."""
    rng = torch.Generator()
    for case, alike in (("mri", False), ("inpainting-3", True)):
        of = world(HIDDEN[case][0], *HIDDEN[case][1](), SIGMA_Y)
        told(of)
        d = math.prod(of.m.shape)
        denoiser = Affine(normal(8, d * (d + 1)))
        one, two = (at(o)(denoiser, of.m, rng) for o in (AmbientDiffusion(), FourierAmbient()))
        assert torch.allclose(one, two) is alike


@pytest.mark.parametrize("objective", [AmbientDiffusion(), FourierAmbient()], ids=["ambient", "fourier"])
@pytest.mark.parametrize("sigma_y", [0.0, SIGMA_Y])
def test_judged_by_what_is_shown_the_rest_is_free(
    objective: AmbientDiffusion, sigma_y: float, told: Callable[[World], None]
) -> None:
    """Shown entries are learned as ever. The others are of least norm, 0: they count nothing."""
    for of in groups(world((3,), *pixel_masks(3, every_mask(3)), sigma_y)):
        told(of)
        got, expected = completed(replace(objective, judged="further"), of)
        shown = mask_of(of)
        same(shown * got, shown * expected)
        assert gap((1 - shown) * got, torch.zeros_like(got)) < 1e-6
        assert bool((shown == 1).all()) or gap(got, expected) > 0.01


def test_through_one_mask_what_it_shows_is_learned(told: Callable[[World], None]) -> None:
    """Entries of the fixed mask, dropped ones too; the others are of least norm, 0, and known to nobody."""
    mask = FixedMask("half").mask((3,)).double()
    seen = {i for i in range(3) if mask[i] > 0}
    for of in groups(world((3,), *pixel_masks(3, [(seen, left) for left in subsets(seen)]), SIGMA_Y)):
        told(of)
        got, expected = completed(AmbientDiffusion(), of)
        same(mask * got, mask * expected)
        assert gap((1 - mask) * got, torch.zeros_like(got)) < 1e-6 < gap((1 - mask) * expected, 0 * got)


def test_one_coordinate_at_a_time_tells_nothing_of_the_others(told: Callable[[World], None]) -> None:
    """Control: shown one coordinate, no other was measured, and what is said of it is free."""
    for of in groups(world((3,), *pixel_masks(3, exactly(1, 3)), 0.0)):
        told(of)
        got, expected = completed(AmbientDiffusion(), of)
        shown = mask_of(of)
        same(shown * got, shown * expected)
        assert (gap(got, expected) > 0.01) is bool(shown.any())  # where nothing is shown, all is learned


@pytest.mark.parametrize("case", ["inpainting-3", "mri"])
def test_under_noise_what_is_seen_needs_tweedies_formula(case: str, told: Callable[[World], None]) -> None:
    """Control: measurements taken for noiseless ones have another minimiser."""
    shape, make = HIDDEN[case]
    gaps = []
    for of in groups(world(shape, *make(), SIGMA_Y)):
        blind = World(replace(of.m, sigma_y=0.0), of.noise, of.law)
        told(blind)
        gaps.append(gap(*completed(AmbientDiffusion(), blind)))
    assert max(gaps) > 0.01


# Slopes: the closed form is stationary, what lies near is not


def test_the_closed_form_is_stationary_and_its_neighbours_are_not(told: Callable[[World], None]) -> None:
    of = single(Identity(), (3,), SIGMA_Y)
    told(of)
    W = of.law.cov @ torch.linalg.inv(of.law.noised(SIGMA).cov)
    exact = torch.cat([W, (of.law.mean - W @ of.law.mean)[:, None]], 1).flatten()

    def slope(coefficients: Tensor) -> float:
        moving = coefficients.clone().requires_grad_()
        loss = at(AmbientTweedie())(Affine(moving), of.m, torch.Generator()).mean()
        return float(torch.autograd.grad(loss, moving)[0].abs().max())

    assert slope(exact) < 1e-6
    for i in range(len(exact)):
        moved = exact.clone()
        moved[i] += 0.01
        assert slope(moved) > 1e-3
