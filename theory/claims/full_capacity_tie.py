r"""No free lunch: an unaware student whose family holds the teacher's law equals its teacher.

If the teacher's scores are those of one law, at every noise level, and the student's family holds that law,
all four objectives vanish there and nowhere else: distillation as such changes nothing. A gain needs a
mechanism, and every claim names its own: a `family` that leaves the teacher's law out, `awareness` of the
corruption, a teacher's `sampler` whose law is not that of its scores, or unfinished `optimisation`.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import OBJECTIVES, students, w2_squared
from theory.estimates import w2_laws
from theory.spectra import gaussian, w2_spectra

NOISE = 0.5
SPECTRUM = [2.0, 1.0, 0.3, 0.05]


def evidence(rank: int) -> Evidence:
    """Teacher T-Y against unaware students of a rank."""
    noisy_spectrum = [value + NOISE for value in SPECTRUM]
    clean = gaussian(SPECTRUM)
    teacher = clean.noised(NOISE**0.5)
    ideal = noisy_spectrum[:rank] + [0.0] * (len(SPECTRUM) - rank)
    found = {name: students(teacher, rank, name) for name in OBJECTIVES}
    closed = w2_spectra(ideal, SPECTRUM)
    checks = [Check.of(f"student by {name}", w2_laws(laws, clean), closed) for name, laws in found.items()]
    apart = Check(
        "student to teacher", w2_squared(found["reverse KL"][0], teacher), w2_spectra(ideal, noisy_spectrum)
    )
    return Evidence(
        Check.of("teacher", w2_laws(teacher, clean), w2_spectra(noisy_spectrum, SPECTRUM)),
        checks[0],
        (*checks[1:], apart),
    )


CLAIM = Claim(
    statement="Any spectrum, sampler of y's law: the unaware student of full rank is nearer.",
    metric="W2^2",
    mechanism="none",
    evidence=lambda: evidence(len(SPECTRUM)),
    expects=Verdict.FAILS,
    control=Control("a rank that drops only variances below sigma^2/3", lambda: evidence(3), Verdict.HOLDS),
    source=OURS,
    setting="d=4, sigma^2=0.5",
)
