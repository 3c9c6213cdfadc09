r"""A rank below that of the data loses whole directions: $W_2^2 = k(\sqrt{1+\sigma^2}-1)^2 + (r - k)$.

The teacher has $r(\sqrt{1+\sigma^2}-1)^2 + (d - r)\sigma^2$, less where the noise of the $d - r$ directions
without data does not outweigh the lost ones.
"""

from __future__ import annotations

from math import sqrt

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import students
from theory.estimates import w2_laws
from theory.spectra import gaussian

D, R, NOISE = 5, 3, 0.5


def evidence(rank: int) -> Evidence:
    """Teacher T-Y against an unaware student of a rank up to r."""
    clean = gaussian([1.0] * R + [0.0] * (D - R))
    teacher = clean.noised(NOISE**0.5)
    wide = (sqrt(1 + NOISE) - 1) ** 2
    return Evidence(
        Check.of("teacher", w2_laws(teacher, clean), R * wide + (D - R) * NOISE),
        Check.of("student", w2_laws(students(teacher, rank), clean), rank * wide + (R - rank)),
    )


CLAIM = Claim(
    statement="Rank-r data, sampler of y's law: the unaware student of a rank k < r is nearer.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(R - 2),
    expects=Verdict.FAILS,
    control=Control("k = r", lambda: evidence(R), Verdict.HOLDS),
    source=OURS,
    setting="d=5, r=3, k=1, sigma^2=0.5",
)
