"""Statistics over few seeds: intervals, paired verdicts, exact tests, tie groups, mean ranks.

A sample here is one seed. Values are numbers by seed, so that comparisons can be paired.
"""

from __future__ import annotations

__all__ = [
    "Comparison",
    "Estimate",
    "compare",
    "gap_closed",
    "holm",
    "letters",
    "mean_interval",
    "mean_ranks",
    "pairwise_p",
    "sign_flip",
    "sign_flip_floor",
    "tie_groups",
]

import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, count
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dcdbench.streams import Stream

IMPROVES, DOES_NOT, UNDECIDED = "IMPROVES", "DOES NOT", "UNDECIDED"
EXACT = 14  # seeds up to which all sign flips are enumerated


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds and its interval, which is NaN where there is none (`n < 2`)."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


@lru_cache(maxsize=256)
def _t_quantile(confidence: float, n: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + confidence) / 2))


def mean_interval(values: Iterable[float], confidence: float = 0.95) -> Estimate:
    """The mean and its Student interval. Non-finite values stay in the mean; equal ones have no width."""
    x = np.sort(np.fromiter(values, float))  # sorted, so that the order of seeds moves no bit
    n = len(x)
    mean = float(x.mean()) if n else math.nan
    if n < 2 or not np.isfinite(x).all():
        return Estimate(mean, math.nan, math.nan, n)
    if x[0] == x[-1]:  # sums round
        return Estimate(float(x[0]), float(x[0]), float(x[0]), n)
    half = _t_quantile(confidence, n) * float(x.std(ddof=1)) / n**0.5
    return Estimate(mean, mean - half, mean + half, n)


@dataclass(frozen=True)
class Comparison:
    """Whether one method is better than another, on the seeds that both have.

    Means, difference (`better - than`) and `p` are over the pairs whose members are finite;
    `infinite` counts the others, which the verdict takes into account.
    """

    better: Estimate
    than: Estimate
    difference: Estimate
    verdict: str  # IMPROVES, DOES NOT, UNDECIDED; empty for a value without direction
    p: float  # exact sign flips, two-sided; NaN where a pair is infinite or there is none
    infinite: int = 0


def compare(
    better: Mapping[int, float],
    than: Mapping[int, float],
    direction: str,
    alpha: float = 0.05,
    share: float = 0.01,
) -> Comparison:
    """The paired difference of two methods, and its verdict.

    With losses S and T (signs turned where higher is better), the interval [lo, hi] of
    `mean(S - T)` at confidence `1 - alpha`, and `delta_min = share * |mean(T)|`: IMPROVES iff
    `hi < -delta_min`; DOES NOT iff `lo > -delta_min`, so also on ties; otherwise UNDECIDED.
    A pair with S infinite (or diverged) alone is a DOES NOT; both infinite is undefined.
    """
    seeds = sorted(better.keys() & than.keys())
    s = np.array([better[seed] for seed in seeds], float)
    t = np.array([than[seed] for seed in seeds], float)
    finite = np.isfinite(s) & np.isfinite(t)
    difference = mean_interval(s[finite] - t[finite], 1 - alpha)
    means = mean_interval(s[finite], 1 - alpha), mean_interval(t[finite], 1 - alpha)
    infinite = int((~finite).sum())
    p = math.nan if infinite else sign_flip(s - t)
    if direction == "neither":
        return Comparison(*means, difference, "", p, infinite)
    sign = 1 if direction == "lower" else -1
    verdict = _verdict(difference, sign, share * abs(means[1].mean))
    return Comparison(*means, difference, _with_infinities(verdict, sign * s, sign * t), p, infinite)


def _verdict(difference: Estimate, sign: int, delta_min: float) -> str:
    low, high = sorted((sign * difference.low, sign * difference.high))
    if high < -delta_min:
        return IMPROVES
    return DOES_NOT if low > -delta_min else UNDECIDED


def _with_infinities(verdict: str, s: NDArray[np.float64], t: NDArray[np.float64]) -> str:
    """The verdict on losses of which some may be infinite, given that on the finite pairs."""
    if np.isnan(s).any() or np.isnan(t).any():
        return UNDECIDED
    s_worst, t_worst = np.isposinf(s), np.isposinf(t)
    if (s_worst & ~t_worst).any():
        return DOES_NOT
    if np.isinf(s).any():
        return UNDECIDED
    if not np.isinf(t).any():
        return verdict
    if t_worst.all():
        return IMPROVES if len(t) > 1 else UNDECIDED
    # where only T is infinite, S is better: that can support a verdict, not turn it
    return verdict if verdict == IMPROVES else UNDECIDED


def sign_flip(differences: Iterable[float]) -> float:
    """The two-sided p-value of `mean = 0` under all flips of signs: exact up to 14 seeds."""
    d = np.sort(np.fromiter(differences, float))
    if not len(d) or not np.isfinite(d).all():
        return math.nan
    if len(d) == 1 or not d.any():
        return 1.0
    if len(d) <= EXACT:
        signs = 1 - 2 * (np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1)
        size = np.abs(signs @ d)
        return float(np.mean(size >= abs(d.sum()) * (1 - 1e-12)))
    return _sampled_flips(d)


def _sampled_flips(d: NDArray[np.float64]) -> float:
    """The p-value from random flips, where there are too many to enumerate."""
    from scipy import stats

    from dcdbench.streams import Stream

    test = stats.permutation_test(
        (d,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**EXACT,
        rng=(Stream(0) / "leaderboard" / "flips").numpy(),
    )
    return min(1.0, float(test.pvalue))


def sign_flip_floor(n: int) -> float:
    """The least p-value that `n` seeds can reach by sign flips: `2 / 2^n`."""
    return min(1.0, 0.5 ** (n - 1))


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """Holm's adjusted p-values, in the order of `p` (Holm, 1979, https://www.jstor.org/stable/4615733)."""
    values = np.asarray(p, float)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def pairwise_p(series: Mapping[str, Mapping[int, float]]) -> dict[tuple[str, str], float]:
    """p-values of all paired t-tests, not adjusted; 1 where a pair shares fewer than two seeds."""
    groups: dict[tuple[int, ...], list[tuple[str, str]]] = {}
    for a, b in combinations(series, 2):
        groups.setdefault(tuple(sorted(series[a].keys() & series[b].keys())), []).append((a, b))
    p: dict[tuple[str, str], float] = {}
    for seeds, pairs in groups.items():
        x = np.array([[series[a][s] - series[b][s] for s in seeds] for a, b in pairs])
        p.update(zip(pairs, _t_test(x), strict=True))
    return {pair: p[pair] for pair in combinations(series, 2)}


def _t_test(differences: NDArray[np.float64]) -> list[float]:
    from scipy.special import stdtr

    n = differences.shape[1]
    if n < 2:
        return [1.0] * len(differences)
    with np.errstate(all="ignore"):  # equal differences: p is 0, or NaN if all are 0
        t = differences.mean(1) / (differences.std(1, ddof=1) / n**0.5)
        p = 2 * stdtr(n - 1, -np.abs(t))
    return [float(v) for v in np.where(np.isnan(p), 1.0, p)]


def letters(names: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A compact letter display: two names share a letter iff they are not `different`.

    Insert and absorb (Piepho, 2004, https://doi.org/10.1198/1061860043515). Letters follow
    the order of `names`: the first one has an "a".
    """
    groups = [frozenset(names)] if names else []
    for a, b in different:
        split = [g - {x} for g in groups if a in g and b in g for x in (a, b)]
        split += [g for g in groups if not (a in g and b in g)]
        unique = list(dict.fromkeys(split))
        groups = [g for g in unique if not any(g < other for other in unique)]
    groups.sort(key=lambda g: sorted(names.index(name) for name in g))
    return {
        name: "".join(x for x, g in zip(_alphabet(len(groups)), groups, strict=True) if name in g)
        for name in names
    }


def _alphabet(n: int) -> list[str]:
    single = string.ascii_lowercase + string.ascii_uppercase
    more = (f"({i})" for i in count(1))
    return [single[i] if i < len(single) else next(more) for i in range(n)]


def tie_groups(
    series: Mapping[str, Mapping[int, float]], direction: str, alpha: float = 0.05
) -> dict[str, str]:
    """Letters from Holm-adjusted pairwise paired t-tests, "a" for the best mean and its ties."""
    sign = -1 if direction == "higher" else 1
    order = sorted(series, key=lambda m: (sign * mean_interval(series[m].values()).mean, m))
    p = pairwise_p({name: series[name] for name in order})
    adjusted = holm(list(p.values()))
    return letters(order, [pair for pair, q in zip(p, adjusted, strict=True) if q < alpha])


def gap_closed(
    method: Mapping[int, float], baseline: Mapping[int, float], floor: Mapping[int, float], direction: str
) -> Estimate | None:
    """The fraction `(baseline - method) / (baseline - floor)` per seed, and its interval.

    None where a seed's baseline is no worse than its floor, so that there is no gap, or where
    no seed has all three.
    """
    seeds = sorted(method.keys() & baseline.keys() & floor.keys())
    sign = -1 if direction == "higher" else 1
    gaps = [baseline[s] - floor[s] for s in seeds]
    if not seeds or not all(math.isfinite(g) and sign * g > 0 for g in gaps):
        return None
    return mean_interval((baseline[s] - method[s]) / g for s, g in zip(seeds, gaps, strict=True))


def mean_ranks(
    losses: Mapping[str, NDArray[np.float64]], stream: Stream, draws: int = 2000
) -> list[Estimate] | None:
    """The mean rank of each method over tasks, with a hierarchical bootstrap interval (95 %).

    Args:
        losses: By task, `(seeds, methods)`; infinite for a diverged cell. Ranks (1 is best, ties
            share their mean) are taken within each task and seed.
        stream: The address of the bootstrap, which draws tasks, and seeds within each task.
        draws: How often.

    Returns:
        An estimate per method, whose `n` counts tasks; None for fewer than two tasks.
    """
    if len(losses) < 2:
        return None
    ranks = [_ranks(losses[task]) for task in sorted(losses)]
    means = np.mean([r.mean(0) for r in ranks], axis=0)
    rng, k = stream.numpy(), len(ranks)
    tasks = rng.integers(k, size=(draws, k))
    total = np.zeros((draws, len(means)))
    for i, r in enumerate(ranks):
        draw, _ = np.nonzero(tasks == i)
        seeds = rng.integers(len(r), size=(len(draw), len(r)))
        np.add.at(total, draw, r[seeds].mean(1))
    low, high = np.quantile(total / k, [0.025, 0.975], axis=0)
    return [Estimate(float(m), float(a), float(b), k) for m, a, b in zip(means, low, high, strict=True)]


def _ranks(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks within each row, 1 for the least; ties share their mean rank."""
    mine, other = losses[:, :, None], losses[:, None, :]
    return (other < mine).sum(2) + ((other == mine).sum(2) + 1) / 2
