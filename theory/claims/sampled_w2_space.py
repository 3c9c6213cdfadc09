r"""W2 by samples in five dimensions decides nothing, by construction; the sum over coordinates does.

The distance of two samples of n points is biased by some $n^{-2/d}$, and debiasing leaves an error that no
interval tried is wide enough for. So the estimator gives a value and no bounds. For laws that are products
the distance is the sum of those of their factors, which are exact.
"""

from __future__ import annotations

import torch

from theory.claim import OURS, Claim, Control, Evidence, Verdict
from theory.claims.sampled_w2 import checks, laws
from theory.decide import sequential
from theory.divergences.paired import w2_difference

D, WIDTH, SIZE = 5, 0.75, 4


def evidence(by_samples: bool) -> Evidence:
    """The exact distances, with the interval of the estimator or without."""
    teacher, student = checks(D, WIDTH)
    if not by_samples:
        return Evidence(teacher, student)
    all_laws, rng = laws(D, WIDTH), torch.Generator().manual_seed(0)
    found = sequential(
        lambda size: w2_difference(*all_laws, rng, size=size, blocks=2),
        teacher.computed,
        start=SIZE,
        cap=64 * SIZE,
        values=2,
    )
    return Evidence(teacher, student, found.covers(student.computed - teacher.computed), found.interval)


CLAIM = Claim(
    statement="Separated modes in five dimensions, sampler of y's law: a student of about their width along "
    "one axis is nearer, as samples tell.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(by_samples=True),
    expects=Verdict.UNDECIDED,
    control=Control("the sum over coordinates", lambda: evidence(by_samples=False), Verdict.HOLDS),
    source=OURS,
    setting="32 modes, s^2 = .3, sigma^2 = .5, width .75",
)
