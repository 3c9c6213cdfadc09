"""Ranks of the maps of moments: against theory, against sums over all draws, and what is told of them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.operators.blocks import Blocks
from dcdbench.operators.blur import Blur
from dcdbench.operators.clip import Clip
from dcdbench.operators.composition import Composition
from dcdbench.operators.coordinates import Coordinates
from dcdbench.operators.fixed_mask import FixedMask
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.greyscale import Greyscale
from dcdbench.operators.identifiability import Ranks, explain, mean_has_full_rank, moment_ranks, small
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting, Mask
from dcdbench.operators.mixture import Mixture
from dcdbench.operators.mri import MRI
from dcdbench.operators.quantise import Quantise
from dcdbench.operators.random_projections import RandomProjections
from dcdbench.operators.super_resolution import SuperResolution
from dcdbench.protocols import OperatorLaw
from dcdbench.streams import Stream


def full(d: int) -> Ranks:
    return Ranks((d, d), (d * (d + 1) // 2, d * (d + 1) // 2))


@pytest.mark.parametrize(
    ("law", "shape", "ranks"),
    [
        (Coordinates(1), (4,), Ranks((4, 4), (4, 10))),
        (Coordinates(2), (4,), full(4)),
        (Inpainting(0.5), (5,), full(5)),
        (Inpainting(0.1), (1, 3, 3), full(9)),
        (Identity(), (4,), full(4)),
        (RandomProjections(1), (6,), full(6)),
        (FixedMask("half"), (6,), Ranks((3, 6), (6, 21))),
        (GaussianBlur(), (1, 4, 4), full(16)),
        (Composition(GaussianBlur(), Coordinates(1)), (4,), Ranks((4, 4), (4, 10))),
        (Mixture((FixedMask("half"), Coordinates(1))), (4,), Ranks((4, 4), (5, 10))),
        # Every third mean of three neighbours, or every third entry, from a fixed or a random phase.
        (SuperResolution(3, "average"), (12,), Ranks((4, 12), (10, 78))),
        (SuperResolution(3, "average", "random"), (12,), Ranks((10, 12), (28, 78))),
        (SuperResolution(3, "nearest", "random"), (12,), Ranks((12, 12), (30, 78))),
    ],
    ids=str,
)
def test_ranks_are_those_of_theory(law: OperatorLaw, shape: tuple[int, ...], ranks: Ranks) -> None:
    assert moment_ranks(law, shape) == ranks


@dataclass(frozen=True)
class Given:
    """One of some masks, drawn uniformly."""

    masks_: tuple[tuple[int, ...], ...]

    linear: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    random: ClassVar[bool] = True

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Mask:
        all_masks = torch.tensor(self.masks_, dtype=torch.float32)
        return Mask(all_masks[torch.randint(len(all_masks), (n,), generator=rng)])


def summed(masks: list[tuple[int, ...]]) -> tuple[int, int]:
    """Both ranks by adding up `P` and `P S P` over all masks, without drawing."""
    P = torch.diag_embed(torch.tensor(masks, dtype=torch.float64))
    d = P.shape[-1]
    pairs = itertools.combinations_with_replacement(range(d), 2)
    images = []
    for i, j in pairs:
        S = torch.zeros(d, d, dtype=torch.float64)
        S[i, j] = S[j, i] = 1
        images.append((P @ S @ P).sum(0).flatten())
    return int(torch.linalg.matrix_rank(P.sum(0))), int(torch.linalg.matrix_rank(torch.stack(images)))


@settings(max_examples=25, deadline=None)
@given(masks=st.lists(st.tuples(*[st.integers(0, 1)] * 4), min_size=1, max_size=4, unique=True))
def test_ranks_are_those_of_the_sum_over_all_masks(masks: list[tuple[int, ...]]) -> None:
    ranks = moment_ranks(Given(tuple(masks)), (4,))
    assert (ranks.mean[0], ranks.second[0]) == summed(masks)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_all_choices_of_so_many_coordinates(count: int) -> None:
    masks = [m for m in itertools.product((0, 1), repeat=5) if sum(m) == count]
    ranks = moment_ranks(Coordinates(count), (5,))
    assert (ranks.mean[0], ranks.second[0]) == summed(masks)


def test_draws_are_added_until_the_ranks_stop_growing() -> None:
    """Control: so few draws of so many masks cannot show all pairs."""
    d = 12
    rng = Stream(0).rng()
    few: Tensor = Coordinates(2).draw((d,), 8, rng).mask
    assert summed([tuple(map(int, m)) for m in few.tolist()])[1] < math.comb(d + 1, 2)
    assert moment_ranks(Coordinates(2), (d,), draws=8) == full(d)


def test_masks_that_hardly_ever_show_a_pair_are_not_called_unidentifiable() -> None:
    ranks = moment_ranks(Inpainting(0.02), (16,))
    assert ranks.mean == (16, 16) and ranks.second[0] < 136 and not ranks.settled
    assert explain(Inpainting(0.02), (16,)) is None


def test_ranks_do_not_depend_on_the_conditioning() -> None:
    """Eigenvalues of the second map are products: those of a soft blur would be lost without whitening."""
    law = GaussianBlur(7, 1.2)
    values = torch.linalg.svdvals(law.matrix(12)) ** 4
    assert values[-1] < 1e-9 * values[0]
    assert moment_ranks(Composition(law, Inpainting(0.7)), (12,)) == full(12)


def test_ranks_are_deterministic_and_those_of_linear_laws() -> None:
    before = torch.get_rng_state()
    assert moment_ranks(Coordinates(1), (3,)) == moment_ranks(Coordinates(1), (3,))
    assert torch.equal(before, torch.get_rng_state())
    with pytest.raises(ValueError, match="Clip is not linear"):
        moment_ranks(Clip(), (3,))


@pytest.mark.parametrize(
    ("law", "shape", "reason"),
    [
        (Identity(), (64,), None),
        (Inpainting(), (1, 32, 32), None),
        (Coordinates(2), (8,), None),
        (Coordinates(1), (8,), "has rank 8 of 36"),
        (Coordinates(1), (17,), "rank 16 of 136 for signals of shape (16,)"),  # by a small one of its kind
        (Coordinates(2), (17,), None),
        (Blocks(missing=False), (1, 8, 8), "of 136 for signals of shape (1, 4, 4)"),
        (Blocks(), (1, 8, 8), None),
        (Blocks(5), (1, 16, 16), None),  # the small one hides all
        (MRI(2, 4), (2, 12, 12), None),
        (Inpainting(0.02), (1, 32, 32), None),
        (FixedMask(), (1, 32, 32), "singular"),
        (SuperResolution(), (1, 8, 8), "singular"),
        (Greyscale(), (3, 8, 8), "singular"),
        (Quantise(), (5,), "not injective"),
        (Composition(Identity(), Clip()), (5,), "not injective"),
    ],
    ids=str,
)
def test_the_reason_is_told(law: OperatorLaw, shape: tuple[int, ...], reason: str | None) -> None:
    told = explain(law, shape)
    assert told is None if reason is None else told is not None and reason in told


@pytest.mark.parametrize(
    ("law", "shape", "identifiable"),
    [
        (Composition(Inpainting(), Greyscale()), (3, 16, 16), False),
        (Composition(SuperResolution(2, "nearest", "random"), FixedMask("half")), (16,), False),
        (Composition(Inpainting(), SuperResolution(2)), (1, 32, 32), True),  # means of what was seen
        (Composition(Blur(((1.0, 1.0, 1.0),)), Inpainting()), (8,), True),
        (Composition(Inpainting(), Blur(((0.2, 1.0, 0.2),))), (8,), True),
        (Mixture((FixedMask("half"), FixedMask("stripes"))), (1, 8, 8), False),
        (Mixture((FixedMask(entries=(0, 1)), FixedMask(entries=(2, 3)))), (4,), True),
        (Mixture((FixedMask("half"), Inpainting())), (1, 32, 32), True),
        (Mixture((Clip(), Quantise())), (4,), False),
        (Mixture((Clip(), Identity())), (4,), True),
    ],
    ids=str,
)
def test_what_is_made_of_operators(law: OperatorLaw, shape: tuple[int, ...], identifiable: bool) -> None:
    assert law.identifiable(shape) == identifiable


def test_small_versions() -> None:
    assert small(Identity(), (3, 32, 16)) == (3, 2, 2)
    assert small(Identity(), (1, 32, 2)) == (1, 8, 2)
    assert small(Identity(), (100,)) == (16,)
    assert small(SuperResolution(8), (1, 32, 32)) is None
    assert small(Identity(), (64, 4, 4)) is None
    assert not mean_has_full_rank(Composition(SuperResolution(8), Identity()), (1, 32, 32))
