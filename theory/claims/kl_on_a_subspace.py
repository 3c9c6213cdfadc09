r"""For data on a subspace the student of their rank has finite KL, and the teacher none.

The teacher's noise leaves the subspace, so that its law and the clean one are singular to each other.
The student's variances are $1 + \sigma^2$ on it: $KL(G\|X) = (r/2)(\sigma^2 - \log(1 + \sigma^2))$ and
$KL(X\|G) = (r/2)(1/(1 + \sigma^2) - 1 + \log(1 + \sigma^2))$.
"""

from __future__ import annotations

from math import inf, log

import torch

from dcdbench.analytic import Gaussian, kl_gaussian
from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import students
from theory.divergences.estimate import Estimate
from theory.estimates import kl_laws
from theory.spectra import axes, gaussian

D, R, NOISE = 5, 2, 0.5
ROUNDING = 1e-9  # of the minimisation: what the student has outside of the subspace


def evidence(rank: int) -> Evidence:
    """Teacher T-Y against an unaware student; KL on the subspace, if the student is on it."""
    clean = gaussian([1.0] * R + [0.0] * (D - R))
    teacher = clean.noised(NOISE**0.5)
    student, again = students(teacher, rank)
    frame = axes(D)
    outside = float(torch.trace(frame[:, R:].T @ student.cov @ frame[:, R:]))
    inside, other = (
        Gaussian(torch.zeros(R), frame[:, :R].T @ law.cov @ frame[:, :R]) for law in (student, again)
    )
    white = Gaussian(torch.zeros(R), torch.eye(R))
    on_it = outside < ROUNDING
    backwards = Check("KL(student || clean)", kl_gaussian(inside, white), R / 2 * (NOISE - log(1 + NOISE)))
    forwards = R / 2 * (1 / (1 + NOISE) - 1 + log(1 + NOISE))
    near = kl_laws([(white, inside), (white, other)])
    return Evidence(
        Check.of("teacher", kl_laws([(clean, teacher)]), inf),
        Check.of("student", near if on_it else Estimate.exact(inf), forwards if rank == R else inf),
        (backwards, Check("KL(teacher || clean)", kl_gaussian(teacher, clean), inf)),
    )


CLAIM = Claim(
    statement="Rank-r data, sampler of y's law: the unaware student of rank r is nearer, "
    "as its KL is finite and the teacher's is not.",
    metric="KL(clean || .)",
    mechanism="family",
    evidence=lambda: evidence(R),
    expects=Verdict.HOLDS,
    control=Control("one rank more: both are infinite", lambda: evidence(R + 1), Verdict.UNDECIDED),
    source=OURS,
    setting="d=5, r=2, sigma^2=0.5",
)
