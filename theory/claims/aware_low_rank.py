r"""An aware student of rank k misses the tail: it is nearer if that is less than the teacher's error.

It has $\Sigma$ cut to its k largest eigenvalues, so that $W_2^2 = \sum_{i>k} \lambda_i$, against
$\sum_i (\sqrt{\lambda_i + \sigma^2} - \sqrt{\lambda_i})^2$ of the teacher. It is never worse than the unaware
student of the same rank.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import distil, students, w2_squared
from theory.estimates import w2_laws
from theory.spectra import gaussian, w2_spectra

NOISE, RANK = 0.5, 2
SMALL_TAIL = [2.0, 1.0, 0.15, 0.1]
LARGE_TAIL = [2.0, 1.0, 0.9, 0.8]


def evidence(spectrum: list[float]) -> Evidence:
    """Teacher T-Y against the aware student, with the unaware one beside."""
    clean = gaussian(spectrum)
    teacher = clean.noised(NOISE**0.5)
    noisy = [value + NOISE for value in spectrum]
    aware = w2_laws(students(teacher, RANK, aware=NOISE), clean)
    unaware = w2_squared(distil(teacher, RANK), clean)
    return Evidence(
        Check.of("teacher", w2_laws(teacher, clean), w2_spectra(noisy, spectrum)),
        Check.of("student", aware, sum(spectrum[RANK:])),
        (Check("not worse than unaware", aware.value, unaware, relation="<="),),
    )


CLAIM = Claim(
    statement="Any spectrum, sampler of y's law: the aware student of rank k is nearer "
    "if the variances that it drops add up to less than the teacher's W2^2.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(SMALL_TAIL),
    expects=Verdict.HOLDS,
    control=Control("a tail that weighs more", lambda: evidence(LARGE_TAIL), Verdict.FAILS),
    source=OURS,
    setting="d=4, k=2, sigma^2=0.5",
)
