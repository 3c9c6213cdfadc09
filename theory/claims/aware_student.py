r"""An aware student deconvolves: with full rank it has exactly the clean law.

Matching $S + \sigma^2 I$ with $\Sigma + \sigma^2 I$ is the unaware problem at noise $\tau + \sigma^2$,
so that the minimiser of rank k is $\Sigma$ cut to its k largest eigenvalues, with
$W_2^2 = \sum_{i>k} \lambda_i$.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import OBJECTIVES, students
from theory.divergences.estimate import Estimate
from theory.estimates import w2_laws
from theory.spectra import gaussian, w2_spectra

NOISE = 0.5
SPECTRUM = [2.0, 1.0, 0.6, 0.3]
CUT = 2


def evidence(aware: bool) -> Evidence:
    """Teacher T-Y against students of full rank, and one of a lower rank beside."""
    added = NOISE if aware else 0.0
    noisy_spectrum = [value + NOISE for value in SPECTRUM]
    clean = gaussian(SPECTRUM)
    teacher = clean.noised(NOISE**0.5)
    ideal = SPECTRUM if aware else noisy_spectrum
    full, cut = w2_spectra(ideal, SPECTRUM), w2_spectra([*ideal[:CUT], 0.0, 0.0], SPECTRUM)

    def found(rank: int, name: str) -> Estimate:
        return w2_laws(students(teacher, rank, name, aware=added), clean)

    checks = [Check.of(f"student by {name}", found(len(SPECTRUM), name), full) for name in OBJECTIVES]
    return Evidence(
        Check.of("teacher", w2_laws(teacher, clean), w2_spectra(noisy_spectrum, SPECTRUM)),
        checks[0],
        (*checks[1:], Check.of(f"student of rank {CUT}", found(CUT, "reverse KL"), cut)),
    )


CLAIM = Claim(
    statement="Any spectrum, sampler of y's law: the aware student of full rank has exactly the clean law.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(aware=True),
    expects=Verdict.HOLDS,
    control=Control("an unaware student", lambda: evidence(aware=False), Verdict.FAILS),
    source=OURS,
    setting="d=4, sigma^2=0.5",
)
