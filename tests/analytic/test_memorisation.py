"""Memorisation: exactly 0 on average for exchangeable signals, 1 for copies; what the floor needs."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from dcdbench.harness.stages.scores import without
from dcdbench.metrics.memorisation import Memorisation, memorised
from dcdbench.operators.identity import Identity
from dcdbench.problem import Corruption, Reference


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


POINTS = {
    "normal": normal(0, 7, 2),
    "duplicates": normal(1, 3, 2)[torch.tensor([0, 0, 1, 1, 1, 2, 0])],
    "grid": torch.tensor([[0.0], [1], [2], [3], [4], [5], [6]], dtype=torch.float64),
}


def roles(points: Tensor, train: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Every division of the points into one sample, `train` training signals, and held-out ones."""
    found = []
    for i in range(len(points)):
        others = [j for j in range(len(points)) if j != i]
        for chosen in combinations(others, train):
            rest = [j for j in others if j not in chosen]
            found.append((points[[i]], points[list(chosen)], points[rest]))
    return found


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("train", [1, 2, 4, 5])
def test_it_is_zero_on_average_over_exchangeable_roles(name: str, train: int) -> None:
    """An identity, not an estimate: the average is over all divisions of seven points."""
    divisions = roles(POINTS[name], train)
    values = [memorised(*division) for division in divisions]
    assert sum(values) / len(values) == pytest.approx(0, abs=1e-12)
    kept = [
        memorised(x, torch.cat([t, x]), held) for x, t, held in divisions
    ]  # control: x among the training
    assert sum(kept) / len(kept) > 0.05


def test_copies_score_one_and_copies_of_held_out_signals_the_opposite() -> None:
    train, held_out = normal(0, 200, 5), normal(1, 50, 5)
    assert memorised(train[:60], train, held_out) == 1
    assert memorised(train[:60] + 1e-6, train, held_out) == 1
    assert memorised(held_out, train, held_out) == pytest.approx(-4)  # -e / (1 - e), with e = 0.8


def test_a_share_of_copies_scores_about_that_share() -> None:
    """At unequal sizes too, where a subset of the training signals would miss most of the copies."""
    train, held_out, fresh = normal(0, 4000, 3), normal(1, 400, 3), normal(2, 1000, 3)
    found = memorised(fresh, train, held_out)
    distinct = len(nearest(fresh, torch.cat([train, held_out])).unique())
    assert abs(found) < 4 * math.sqrt(10 / distinct)
    mixed = memorised(torch.cat([fresh, train[:1000]]), train, held_out)
    most = 1000 / (1000 + distinct)  # of the nearest signals some are copied and nearest to others too
    assert found + (1 - found) * most * 0.7 < mixed <= found + (1 - found) * most + 1e-12


def test_a_neighbour_counts_once_however_many_samples_share_it() -> None:
    """Samples outside of the data have a few neighbours in common, whose roles would decide the value."""
    train, held_out, fresh = normal(0, 900, 3), normal(1, 100, 3), normal(2, 500, 3)
    both = torch.cat([train, held_out])
    distinct = len(nearest(fresh, both).unique())
    for far in (100 * both[:1], 100 * both[-1:]):
        moved = memorised(torch.cat([fresh, far.expand(500, -1)]), train, held_out)
        assert abs(moved - memorised(fresh, train, held_out)) <= 10 / distinct


def nearest(x: Tensor, y: Tensor) -> Tensor:
    """Which of `y` is nearest to each of `x`."""
    return torch.from_numpy(NearestNeighbors(n_neighbors=1).fit(y).kneighbors(x)[1][:, 0])


@pytest.mark.parametrize("dim", [3, 200])
def test_it_agrees_with_nearest_neighbours_of_scikit_learn(dim: int) -> None:
    x, train, held_out = normal(0, 300, dim), normal(1, 500, dim), normal(2, 200, dim)
    found = nearest(x, torch.cat([train, held_out])).unique()
    share, expected = (found < 500).double().mean().item(), 500 / 700
    assert memorised(x, train, held_out) == pytest.approx((share - expected) / (1 - expected), abs=1e-12)


def test_a_floor_of_training_signals_needs_a_training_set_without_them() -> None:
    """A finite set in random order, divided as data sets are: the floor is the first of the training part."""
    values, wrong = [], []
    for seed in range(40):
        x = normal(seed, 90, 2)
        held_out, train = x[:30], x[30:]
        floor = train[:30]
        values.append(memorised(floor, without(train, floor), held_out))
        wrong.append(memorised(floor, train, held_out))
    spread = torch.tensor(values)
    assert abs(spread.mean()) < 4 * spread.std() / math.sqrt(40)
    assert min(wrong) == 1  # control
    assert without(train, train[:60]).shape == (0, 2) and torch.equal(without(train, held_out), train)


def test_it_says_what_is_missing() -> None:
    x, corruption = normal(0, 4, 2), Corruption(Identity())
    test = corruption(x, torch.Generator())
    metric = Memorisation()
    unknown, none, bare = (
        Reference(c, test, corruption, train=t) for c, t in ((x, None), (x, x[:0]), (None, x))
    )
    reasons = [metric.supports(r) for r in (unknown, none, bare, Reference(x, test, corruption, train=x))]
    assert all(reasons[:3]) and len(set(reasons)) == 4 and reasons[3] is None
    with pytest.raises(ValueError, match="training"):
        metric(x, unknown, torch.Generator())
