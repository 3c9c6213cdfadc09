"""Laws of the statistics: calibration, symmetry, and agreement with brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdbench.harness.statistics import (
    DOES_NOT,
    IMPROVES,
    UNDECIDED,
    compare,
    gap_closed,
    holm,
    letters,
    mean_interval,
    mean_ranks,
    pairwise_p,
    sign_flip,
    sign_flip_floor,
    tie_groups,
)
from dcdbench.streams import Stream

N, TRIALS = 5, 2000
NUMBERS = st.floats(0.01, 100, allow_subnormal=False)


def series(x):
    return dict(enumerate(map(float, x)))


def draws(*address, shape=(TRIALS, N)):
    stream = Stream(0)
    for part in ("test_statistics", *address):
        stream = stream / part
    return stream.numpy().standard_normal(shape)


def z_score(hits, expected):
    """How many standard errors a share of `TRIALS` lies off a probability."""
    return (np.mean(hits) - expected) / math.sqrt(expected * (1 - expected) / len(hits))


def covered(intervals, truth):
    return [e.low <= truth <= e.high for e in intervals]


def test_the_student_interval_covers_at_its_level():
    estimates = [mean_interval(3 + x) for x in draws("coverage")]
    assert abs(z_score(covered(estimates, 3.0), 0.95)) < 4


@pytest.mark.parametrize("n", [2, 3, 5, 6])
@pytest.mark.parametrize("x", [0.0, 0.1, -3.912735, 1e-300, 1e300])
def test_equal_numbers_are_their_mean_and_have_no_interval(n, x):
    """To the last bit, which a sum of three tenths is not; the control: one of them differs by a bit."""
    e = mean_interval([x] * n)
    assert (e.mean, e.low, e.high, e.half, e.n) == (x, x, x, 0, n)
    assert mean_interval([1.0] * n + [1 + 2**-52]).half > 0


def test_a_normal_interval_would_not_cover():
    from scipy import stats

    shrink = stats.norm.ppf(0.975) / stats.t.ppf(0.975, N - 1)
    hits = [abs(e.mean - 3) <= shrink * e.half for e in (mean_interval(3 + x) for x in draws("coverage"))]
    assert z_score(hits, 0.95) < -4


def paired(address, effect, trials=600):
    """Comparisons of two methods that share a large effect of the seed."""
    common = 10 * draws(address, "seed", shape=(trials, N))
    own, other = (draws(address, side, shape=(trials, N)) for side in ("own", "other"))
    return [
        compare(series(100 + effect + c + a), series(100 + c + b), "lower")
        for c, a, b in zip(common, own, other, strict=True)
    ]


def test_the_paired_interval_covers_at_its_level():
    hits = covered([c.difference for c in paired("paired", -2.0)], -2.0)
    assert abs(z_score(hits, 0.95)) < 4


def test_an_unpaired_interval_would_be_far_too_wide():
    comparisons = paired("paired", -2.0, trials=50)
    assert np.mean([math.hypot(c.better.half, c.than.half) / c.difference.half for c in comparisons]) > 3


def test_under_the_null_improves_is_no_more_frequent_than_alpha():
    assert np.mean([c.verdict == IMPROVES for c in paired("null", 0.0)]) <= 0.05


def test_an_improvement_below_delta_min_is_rarely_called_one():
    assert z_score([c.verdict == IMPROVES for c in paired("margin", -1.0)], 0.025) < 4


def test_a_clear_improvement_is_found():
    assert np.mean([c.verdict == IMPROVES for c in paired("power", -8.0)]) > 0.95


@given(st.lists(NUMBERS, min_size=2, max_size=8), st.sampled_from(["lower", "higher"]))
def test_exact_ties_do_not_improve(values, direction):
    c = compare(series(values), series(values), direction)
    assert c.verdict == DOES_NOT
    assert c.p == 1


def test_a_difference_of_exactly_delta_min_is_undecided():
    assert compare(series([99.0] * 5), series([100.0] * 5), "lower").verdict == UNDECIDED
    assert compare(series([98.9] * 5), series([100.0] * 5), "lower").verdict == IMPROVES
    assert compare(series([99.1] * 5), series([100.0] * 5), "lower").verdict == DOES_NOT


def test_direction_turns_the_verdict():
    low, high = series([1.0, 1.1, 0.9, 1.0, 1.05]), series([2.0, 2.1, 1.9, 2.05, 2.0])
    assert compare(low, high, "lower").verdict == IMPROVES
    assert compare(low, high, "higher").verdict == DOES_NOT
    assert compare(high, low, "higher").verdict == IMPROVES
    assert compare(low, high, "neither").verdict == ""


@pytest.mark.parametrize("seeds", [0, 1])
def test_fewer_than_two_seeds_decide_nothing(seeds):
    c = compare(series([0.0] * seeds), series([9.0] * seeds), "lower")
    assert c.verdict == UNDECIDED
    assert math.isnan(c.difference.half)


INF = math.inf


@pytest.mark.parametrize(
    ("student", "teacher", "verdict"),
    [
        ([1, 1, INF], [9, 9, 9], DOES_NOT),
        ([1, 1, 1], [INF, INF, INF], IMPROVES),
        ([1, 1, 1.01], [9, 9, INF], IMPROVES),
        ([9, 9, 9.01], [1, 1, INF], UNDECIDED),
        ([1, 1, INF], [9, 9, INF], UNDECIDED),
        ([1, 1, math.nan], [9, 9, 9], UNDECIDED),
        ([1, 1, 1.01], [9, 9, 9], IMPROVES),
    ],
)
def test_infinite_losses(student, teacher, verdict):
    assert compare(series(student), series(teacher), "lower").verdict == verdict
    flip = [-x for x in student], [-x for x in teacher]
    assert compare(series(flip[0]), series(flip[1]), "higher").verdict == verdict


def test_only_common_seeds_are_compared():
    c = compare({0: 1.0, 1: 1.1, 7: 50.0}, {0: 2.0, 1: 2.1, 8: -50.0}, "lower")
    assert (c.difference.n, c.better.mean) == (2, pytest.approx(1.05))


def brute_force(d):
    flips = [abs(np.mean(np.multiply(d, s))) for s in itertools.product([1, -1], repeat=len(d))]
    return np.mean([f >= abs(np.mean(d)) * (1 - 1e-12) for f in flips])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=2, max_size=7))
def test_sign_flips_equal_brute_force(d):
    assert sign_flip(d) == pytest.approx(brute_force(d), abs=1e-12)


@pytest.mark.parametrize("n", range(2, 9))
def test_the_floor_of_sign_flips_is_reached_and_not_passed(n):
    assert sign_flip(np.arange(1.0, n + 1)) == pytest.approx(sign_flip_floor(n)) == 2 / 2**n


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.5]), [1.0, 1.0])
    assert not np.allclose(holm([0.01, 0.04, 0.03, 0.005]), 4 * np.array([0.01, 0.04, 0.03, 0.005]))


PAIRS = list(itertools.combinations("pqrstu", 2))


@given(st.sets(st.sampled_from(PAIRS)))
def test_two_share_a_letter_iff_not_different(different):
    shown = letters("pqrstu", different)
    assert shown["p"].startswith("a")
    for a, b in PAIRS:
        assert bool(set(shown[a]) & set(shown[b])) == ((a, b) not in different)


def test_a_naive_partition_would_break_the_letters():
    # p = q and q = r but p != r: no assignment of one letter each can say so
    assert letters("pqr", [("p", "r")]) == {"p": "a", "q": "ab", "r": "b"}


def rivals():
    """Two that differ by turns, so that their tie is no matter of luck, and two far away."""
    noise = draws("rivals", shape=(3, 6))
    p, r, s = (level + 0.05 * x for level, x in zip((1, 2, 3), noise, strict=True))
    return {
        "p": series(p),
        "q": series(p + np.array([0.1, -0.09, 0.08, -0.07, 0.06, -0.05])),
        "r": series(r),
        "s": series(s),
    }


def test_tie_groups_agree_with_the_adjusted_tests():
    data = rivals()
    shown = tie_groups(data, "lower")
    p = pairwise_p(data)
    for (a, b), q in zip(p, holm(list(p.values())), strict=True):
        assert bool(set(shown[a]) & set(shown[b])) == (q >= 0.05)
    assert shown["p"] == shown["q"] == "a"
    assert len({shown[m] for m in "prs"}) == 3


@given(st.permutations("pqrs"), st.permutations(range(6)), st.sampled_from([0.001, 3.0, 1000.0]))
@settings(max_examples=20, deadline=None)
def test_order_and_unit_change_nothing(methods, seeds, unit):
    data = rivals()
    moved = {m: {i: unit * data[m][s] for i, s in enumerate(seeds)} for m in methods}
    assert tie_groups(moved, "lower") == tie_groups(data, "lower")
    for a, b in itertools.permutations("pqrs", 2):
        old, new = compare(data[a], data[b], "lower"), compare(moved[a], moved[b], "lower")
        assert (new.verdict, new.p) == (old.verdict, old.p)
        assert new.difference.low == pytest.approx(unit * old.difference.low)


def test_breaking_the_pairs_changes_the_comparison():
    common = 10 * draws("pairs", shape=(N,))
    a, b = series(common + 100), series(common + 105 + 0.1 * draws("pairs", "b", shape=(N,)))
    broken = {s: b[(s + 1) % N] for s in b}
    assert compare(a, b, "lower").verdict == IMPROVES
    assert compare(a, broken, "lower").verdict != IMPROVES


def test_gap_closed_is_0_at_the_baseline_and_1_at_the_floor():
    baseline, floor = series([5.0, 6.0, 7.0]), series([1.0, 1.5, 1.0])
    assert gap_closed(baseline, baseline, floor, "lower").mean == 0
    assert gap_closed(floor, baseline, floor, "lower").mean == 1
    assert gap_closed(floor, baseline, floor, "lower").half == 0
    assert gap_closed(floor, floor, baseline, "lower") is None
    assert gap_closed(baseline, floor, baseline, "higher").mean == 1
    assert gap_closed({}, baseline, floor, "lower") is None


def ranks(losses):
    return mean_ranks(losses, Stream(0) / "test")


def test_mean_ranks():
    losses = {t: np.array([[1.0, 2, 2, np.inf], [1, 3, 3, 4]]) for t in ("b", "a", "c")}
    assert [(e.mean, e.low, e.high) for e in ranks(losses)] == [
        (1, 1, 1),
        (2.5, 2.5, 2.5),
        (2.5, 2.5, 2.5),
        (4, 4, 4),
    ]
    assert ranks({"a": losses["a"]}) is None


def test_mean_ranks_do_not_depend_on_the_order_of_tasks_and_move_with_the_methods():
    losses = {t: draws("ranks", t, shape=(5, 3)) for t in "abcd"}
    first = ranks(losses)
    assert ranks(dict(reversed(losses.items()))) == first
    assert ranks({t: x[:, ::-1] for t, x in losses.items()}) == first[::-1]
    assert all(e.low < e.mean < e.high for e in first)


def test_the_bootstrap_over_tasks_is_wider_than_over_seeds_alone():
    # the order of the methods turns from task to task, and never from seed to seed
    losses = {t: np.tile([[0.0, 1.0]] if t in "ab" else [[1.0, 0.0]], (20, 1)) for t in "abcd"}
    assert [(e.low, e.high) for e in ranks(losses)] == [(1.0, 2.0), (1.0, 2.0)]


def test_the_bootstrap_draws_seeds_too():
    # every task has the same ranks, so all that can vary is which seeds are drawn
    losses = {t: np.array([[0.0, 1.0], [1.0, 0.0]] * 2) for t in "ab"}
    assert all(e.low < 1.5 < e.high for e in ranks(losses))
    steady = {t: np.array([[0.0, 1.0]] * 4) for t in "ab"}
    assert [(e.low, e.high) for e in ranks(steady)] == [(1.0, 1.0), (2.0, 2.0)]
