"""Laws over masks: how often entries are seen, alone and together, and what a further corruption tells."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.harness.conformance import CONTRACT, SHAPES, Case, fits
from dcdbench.operators.blocks import Blocks
from dcdbench.operators.coordinates import Coordinates
from dcdbench.operators.fixed_mask import FixedMask
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.streams import Stream

N = 20_000
Z = 4.5  # standard errors, for a dozen frequencies at once
VARIANTS = (
    Blocks(size=1),
    Blocks(size=0.5),
    Blocks(size=3, missing=False),
    Coordinates(count=2),
    Coordinates(count=7),
    FixedMask("half"),
    FixedMask("stripes"),
    FixedMask("random", keep=0.3, seed=4),
    FixedMask(entries=(0,)),
)


def masks(law: Any, shape: tuple[int, ...], n: int = N, seed: int = 0) -> Tensor:
    return law.draw(shape, n, Stream(seed).rng()).mask.double().flatten(1)


def z(hits: Tensor, p: Tensor) -> float:
    """The greatest deviation of the frequencies of `hits`, `(n, k)`, from `p`, in standard errors."""
    return float(((hits.mean(0) - p) / (p * (1 - p) / len(hits)).sqrt()).abs().max())


@pytest.mark.parametrize("law", VARIANTS, ids=str)
@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_holds_for_other_arguments(law: Any, name: str) -> None:
    shapes = [shape for shape in (*SHAPES, (12,), (2, 4, 3)) if fits(law, shape)]
    assert shapes
    for shape, seed in itertools.product(shapes, range(2)):
        CONTRACT[name](Case(law, shape, seed=seed))


def covered(shape: tuple[int, int], block: tuple[int, int]) -> Iterator[Tensor]:
    """The masks of every block inside an image, 1 on the block."""
    for i in range(shape[0] - block[0] + 1):
        for j in range(shape[1] - block[1] + 1):
            mask = torch.zeros(shape, dtype=torch.float64)
            mask[i : i + block[0], j : j + block[1]] = 1
            yield mask.flatten()


@pytest.mark.parametrize(
    ("shape", "block", "size"), [((4, 5), (2, 2), 2), ((5, 8), (2, 2), 0.4), ((4, 6), (3, 3), 3)]
)
def test_blocks_lie_uniformly_inside_the_image(shape: Any, block: Any, size: float) -> None:
    hidden = torch.stack(list(covered(shape, block))).mean(0)
    law = Blocks(size=size)
    random = (hidden > 0) & (hidden < 1)
    seen = masks(law, (3, *shape))
    assert z(seen[:, random], 1 - hidden[random]) < Z
    torch.testing.assert_close(masks(Blocks(size, missing=False), (3, *shape)), 1 - seen)
    # Control: as many entries hidden, but any of them alike.
    control = masks(Inpainting(keep=1 - float(hidden.mean())), (3, *shape))
    assert z(control[:, random], 1 - hidden[random]) > 10


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(0, 2**31))
def test_a_block_is_one_square_that_the_image_may_cut(h: int, w: int, size: int, seed: int) -> None:
    hidden = 1 - masks(Blocks(size=size), (1, h, w), n=4, seed=seed)
    places = torch.stack(list(covered((h, w), (min(size, h), min(size, w)))))
    assert (torch.cdist(hidden, places, p=1).amin(1) == 0).all()
    interval = 1 - masks(Blocks(size=size), (w,), n=4, seed=seed)
    intervals = torch.stack(list(covered((1, w), (1, min(size, w)))))
    assert (torch.cdist(interval, intervals, p=1).amin(1) == 0).all()


def surely_hidden(seen: Tensor, shape: tuple[int, int], block: tuple[int, int]) -> Tensor:
    """For each further corrupted mask, `(n, d)`, whether every block that it may hide shares an entry."""
    places = torch.stack(list(covered(shape, block)))
    possible = ((seen[:, None] * places) == 0).all(2).double()  # (n, m)
    return (possible @ places == possible.sum(1, keepdim=True)).any(1)


@pytest.mark.parametrize(("shape", "size"), [((4, 4), 2), ((5, 4), 2), ((7, 7), 3), ((6, 6), 3), ((2, 9), 2)])
def test_further_hides_which_block_was_missing(shape: Any, size: int) -> None:
    law, rng = Blocks(size=size), Stream(1).rng()
    A = law.draw((1, *shape), 300, Stream(0).rng())
    assert law.identifiable((1, *shape))
    assert not surely_hidden(A.further(0.05, rng).mask.double().flatten(1), shape, (size, size)).any()
    # Control: independent entries alone, as for random pixels, leave the block known.
    plain = Mask(A.mask).further(0.05, rng).mask.double().flatten(1)
    assert surely_hidden(plain, shape, (size, size)).double().mean() > 0.5


@pytest.mark.parametrize(("d", "count"), [(1, 1), (4, 1), (4, 2), (6, 4), (5, 5)])
def test_coordinates_are_seen_alike_and_so_are_pairs(d: int, count: int) -> None:
    seen = masks(Coordinates(count), (d,))
    assert (seen.sum(1) == count).all()
    if count < d:
        assert z(seen, torch.full((d,), count / d, dtype=torch.float64)) < Z
    if 1 < count < d:
        pairs = torch.stack([seen[:, i] * seen[:, j] for i, j in itertools.combinations(range(d), 2)], 1)
        p = torch.full((pairs.shape[1],), count * (count - 1) / (d * (d - 1)), dtype=torch.float64)
        assert z(pairs, p) < Z
        # Control: independent coordinates are seen together more often.
        alone = masks(Inpainting(keep=count / d), (d,))
        pairs = torch.stack([alone[:, i] * alone[:, j] for i, j in itertools.combinations(range(d), 2)], 1)
        assert z(pairs, p) > 10


def test_further_drops_one_of_several_coordinates_at_least() -> None:
    count, delta, rng = 3, 0.2, Stream(1).rng()
    A = Coordinates(count).draw((5,), N, Stream(0).rng())
    left = A.further(delta, rng).mask.sum(1)
    assert (left < count).all()
    mean, spread = (count - 1) * (1 - delta), ((count - 1) * delta * (1 - delta) / N) ** 0.5
    assert abs(float(left.mean()) - mean) < Z * spread
    # Each of the seen coordinates is as likely to be the dropped one.
    dropped = (A.mask - A.further(1e-9, rng).mask).double()
    assert z(dropped, torch.full((5,), 1 / 5, dtype=torch.float64)) < Z
    # Control: independent drops sometimes leave them all.
    assert (Mask(A.mask).further(delta, rng).mask.sum(1) == count).any()


def test_one_coordinate_is_dropped_or_left() -> None:
    A = Coordinates(1).draw((5,), N, Stream(0).rng())
    dropped = 1 - A.further(0.2, Stream(1).rng()).mask.sum(1, keepdim=True).double()
    assert z(dropped, torch.tensor([0.2], dtype=torch.float64)) < Z


PATTERNS: list[tuple[FixedMask, tuple[int, ...], Any]] = [
    (FixedMask(), (3, 2, 3), [[[1, 0, 1], [0, 1, 0]]]),
    (FixedMask(), (5,), [1, 0, 1, 0, 1]),
    (FixedMask("half"), (1, 2, 3), [[[1, 1, 0], [1, 1, 0]]]),
    (FixedMask("half"), (4,), [1, 1, 0, 0]),
    (FixedMask("stripes"), (1, 2, 3), [[[1, 0, 1], [1, 0, 1]]]),
    (FixedMask(entries=(1, 5)), (1, 2, 3), [[[0, 1, 0], [0, 0, 1]]]),
]


@pytest.mark.parametrize(("law", "shape", "expected"), PATTERNS, ids=str)
def test_patterns(law: FixedMask, shape: tuple[int, ...], expected: Any) -> None:
    drawn = law.draw(shape, 2, Stream(0).rng()).mask
    torch.testing.assert_close(drawn, torch.tensor([expected, expected], dtype=torch.float32))
    assert not law.identifiable(shape)


def test_a_random_pattern_follows_from_its_seed() -> None:
    shape, law = (1, 40, 40), FixedMask("random", keep=0.3, seed=1)
    mask = law.draw(shape, 1, Stream(0).rng()).mask
    assert torch.equal(mask, law.draw(shape, 1, Stream(5).rng()).mask)
    assert not torch.equal(mask, FixedMask("random", keep=0.3, seed=2).draw(shape, 1, Stream(0).rng()).mask)
    assert z(mask.double().flatten()[:, None], torch.tensor([0.3], dtype=torch.float64)) < 4
    assert FixedMask("random", keep=1.0).identifiable(shape)


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: Blocks(size=0), "size must be"),
    (lambda: Blocks(size=2.5), "size must be"),
    (lambda: Coordinates(count=0), "count must be >= 1, got 0"),
    (lambda: Coordinates(count=3).measured_shape((2,)), "count must be <= 2"),
    (lambda: Coordinates().measured_shape((1, 4, 4)), "needs vectors"),
    (lambda: FixedMask("dots"), "pattern must be one of checkerboard"),  # type: ignore[arg-type]
    (lambda: FixedMask(keep=0), "keep must be"),
    (lambda: FixedMask(entries=(-1,)), "entries must be indices >= 0"),
    (lambda: FixedMask(entries=(7,)).mask((7,)), "entries must be below 7"),
]


@pytest.mark.parametrize(("make", "text"), WRONG)
def test_errors_say_what_would_be_right(make: Callable[[], Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()
