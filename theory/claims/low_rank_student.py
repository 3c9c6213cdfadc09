r"""The low-rank theorem, corrected: an unaware student of the true rank gains $(d - r)\sigma^2$.

For clean data on an r-dimensional subspace, $\Sigma = EE^T$, every objective and every weight has
the same minimiser over linear students of rank r, $S = (1 + \sigma^2) EE^T$. So the gain over the
teacher that samples the law of y is that of knowing the rank, and with full rank it vanishes.
After Theorem 1 of https://arxiv.org/abs/2503.07578.
"""

from __future__ import annotations

from theory.claim import DSD, Check, Claim, Control, Evidence, Verdict
from theory.distil import OBJECTIVES, students
from theory.estimates import w2_laws
from theory.spectra import gaussian, w2_spectra

D, R, NOISE = 6, 2, 0.5
ROUNDING = 1e-7  # of a student by minimisation


def evidence(rank: int) -> Evidence:
    """Teacher T-Y against unaware students of a rank, by all four objectives."""
    clean_spectrum = [1.0] * R + [0.0] * (D - R)
    noisy_spectrum = [value + NOISE for value in clean_spectrum]
    clean = gaussian(clean_spectrum)
    teacher = clean.noised(NOISE**0.5)
    found = {name: w2_laws(students(teacher, rank, name), clean) for name in OBJECTIVES}
    best = w2_spectra(noisy_spectrum[:rank] + [0.0] * (D - rank), clean_spectrum)
    checks = [Check.of(f"student by {name}", value, best) for name, value in found.items()]
    noisy = Check.of("teacher", w2_laws(teacher, clean), w2_spectra(noisy_spectrum, clean_spectrum))
    gain = Check("gain", noisy.computed - checks[0].computed, (D - rank) * NOISE, floor=ROUNDING)
    return Evidence(noisy, checks[0], (*checks[1:], gain))


CLAIM = Claim(
    statement="Rank-r data, sampler of y's law: the unaware student of rank r is nearer, by (d-r) sigma^2.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(R),
    expects=Verdict.HOLDS,
    control=Control("a student of full rank", lambda: evidence(D), Verdict.FAILS),
    source=DSD,
    setting="d=6, r=2, sigma^2=0.5",
)
