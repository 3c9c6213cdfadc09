"""Patches of photographs: splits share no pixel, and a patch is what is at its place."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from torch import Tensor

from dcdbench.datasets.photos import HEIGHT, WIDTH, Photos
from dcdbench.protocols import Data
from dcdbench.streams import Stream

SPLITS = ("train", "val", "test")
SOURCES = (Photos(), Photos(size=4), Photos(size=64), Photos(size=8, reduce=3), Photos(size=4, reduce=16))


def load(source: Photos, train: int = 40, heldout: int = 30, seed: int = 0) -> Data:
    return source.load(train, heldout, Stream(seed) / "data")


def rng(split: str) -> torch.Generator:
    return (Stream(0) / "data" / split).rng()


def covered(corners: Tensor, source: Photos) -> Tensor:
    """How many rectangles, `(m, 4)`, cover each pixel of a photograph after `reduce`."""
    count = torch.zeros(HEIGHT // source.reduce, WIDTH // source.reduce, dtype=torch.long)
    for top, bottom, left, right in corners.tolist():
        count[top:bottom, left:right] += 1
    return count


def patches(source: Photos, split: str, n: int) -> Tensor:
    """Their rectangles."""
    _, top, left = source.places(split, n, rng(split))
    return torch.stack([top, top + source.size, left, left + source.size], 1)


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_splits_divide_the_pixels(source: Photos) -> None:
    shares = {split: covered(source.blocks(split), source) for split in SPLITS}
    assert bool((sum(shares.values()) == 1).all())
    assert float(shares["train"].float().mean()) == pytest.approx(0.6, abs=0.1)
    for split, of in (("floor", "train"), ("reference", "test")):
        assert torch.equal(source.blocks(split), source.blocks(of))


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_patches_keep_to_their_split(source: Photos) -> None:
    seen = {split: covered(patches(source, split, 300), source) > 0 for split in SPLITS}
    for split in SPLITS:
        assert not bool((seen[split] & (covered(source.blocks(split), source) == 0)).any())
    assert not any(bool((seen[a] & seen[b]).any()) for a, b in combinations(SPLITS, 2))
    wider = patches(source, "train", 300) + torch.tensor(
        [-1, 1, -1, 1]
    )  # control: one more pixel on each side
    assert bool(
        ((covered(wider.clamp_min(0), source) > 0) & (covered(source.blocks("train"), source) == 0)).any()
    )


def test_splits_lie_all_over_the_photographs() -> None:
    """Places of their pixels have the mean of the whole photograph, within a block, and its spread."""
    size = Photos().size
    middle = torch.tensor([(HEIGHT - 1) / 2, (WIDTH - 1) / 2])
    for split in SPLITS:
        places = covered(Photos().blocks(split), Photos()).nonzero().float()
        assert bool(((places.mean(0) - middle).abs() < 2 * size).all())
        assert bool(((places.std(0) - torch.tensor([HEIGHT, WIDTH]) / 12**0.5).abs() < size).all())
    left = covered(Photos().blocks("train"), Photos())[:, : WIDTH // 2].nonzero().float()  # control
    assert bool(((left.mean(0) - middle).abs() > 2 * size).any())


@pytest.mark.parametrize("reduce", [1, 3])
def test_a_patch_is_what_the_photograph_has_there(reduce: int) -> None:
    source, size = Photos(size=6, reduce=reduce), 6 * reduce
    data, photos = load(source), [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    for split in (*SPLITS, "reference", "floor"):
        x = getattr(data, split)
        for i, (which, top, left) in enumerate(zip(*source.places(split, len(x), rng(split)), strict=True)):
            rows, columns = (slice(reduce * int(start), reduce * int(start) + size) for start in (top, left))
            mean = (
                photos[which][rows, columns].reshape(6, reduce, 6, reduce, 3).mean((1, 3)).transpose(2, 0, 1)
            )
            np.testing.assert_allclose(x[i].numpy(), mean / 127.5 - 1, atol=1e-6)
            if split in data.labels:
                assert data.labels[split][i] == which


def test_more_patches_leave_the_first_ones_as_they_were() -> None:
    few, many, other = load(Photos(), 5, 7), load(Photos(), 300, 90), load(Photos(), 5, 7, seed=1)
    for name in (*SPLITS, "reference", "floor"):
        x = getattr(few, name)
        assert torch.equal(getattr(many, name)[: len(x)], x)
        assert not torch.equal(getattr(other, name), x)  # control
    for name in ("reference", "floor"):
        assert torch.equal(many.labels[name][:7], few.labels[name])


def test_places_are_uniform_in_their_block() -> None:
    """And so are photographs and blocks: by their means, of standard error $1 / \\sqrt{12 n}$."""
    source, n = Photos(size=20, reduce=2), 20_000
    which, top, left = source.places("test", n, rng("test"))
    block = torch.zeros(HEIGHT // 2, WIDTH // 2, dtype=torch.long)
    blocks = source.blocks("test")
    for i, (a, b, c, d) in enumerate(blocks.tolist()):
        block[a:b, c:d] = i
    own = block[top, left]
    for start, low, high in ((top, *blocks[own, :2].unbind(1)), (left, *blocks[own, 2:].unbind(1))):
        u = (start - low + 0.5) / (high - low - 20 + 1)
        assert bool(((u > 0) & (u < 1)).all())
        assert abs(float(u.mean()) - 0.5) * (12 * n) ** 0.5 < 4.5
    counts = torch.bincount(own, minlength=len(blocks)).float()
    assert float((counts - n / len(blocks)).abs().max()) < 4.5 * (n / len(blocks)) ** 0.5
    assert abs(float(which.float().mean()) - 0.5) * 2 * n**0.5 < 4.5


def test_photographs_refuse() -> None:
    with pytest.raises(ValueError, match="reduce must be between 1 and 16, got 17"):
        Photos(reduce=17)
    for size, reduce, most in ((65, 1, 64), (33, 2, 32), (3, 1, 64)):
        with pytest.raises(
            ValueError, match=f"size must be between 4 and {most} where reduce is {reduce}, got"
        ):
            Photos(size=size, reduce=reduce)
