r"""A rank above that of the data adds directions of pure noise, and still gains $(d - k)\sigma^2$.

For $\Sigma = EE^T$ of rank r and $k > r$ the eigenvalues of $C$ beyond r are all $\sigma^2$: the student
keeps E and $k - r$ further directions, which are arbitrary. They cost $\sigma^2$ each.
"""

from __future__ import annotations

import torch

from theory.claim import DSD, Check, Claim, Control, Evidence, Verdict
from theory.distil import students
from theory.estimates import w2_laws
from theory.spectra import axes, gaussian, w2_spectra

D, R, NOISE = 6, 2, 0.5
ROUNDING = 1e-7  # of a student by minimisation


def evidence(rank: int) -> Evidence:
    """Teacher T-Y against an unaware student of a rank, with what lies outside of the data's subspace."""
    clean_spectrum = [1.0] * R + [0.0] * (D - R)
    noisy_spectrum = [value + NOISE for value in clean_spectrum]
    clean = gaussian(clean_spectrum)
    teacher, outside = clean.noised(NOISE**0.5), axes(D)[:, R:]
    student, again = students(teacher, rank)
    best = w2_spectra(noisy_spectrum[:rank] + [0.0] * (D - rank), clean_spectrum)
    noise = float(torch.trace(outside.T @ student.cov @ outside))
    noisy = Check.of("teacher", w2_laws(teacher, clean), w2_spectra(noisy_spectrum, clean_spectrum))
    found = Check.of("student", w2_laws([student, again], clean), best)
    gain = Check("gain", noisy.computed - found.computed, (D - rank) * NOISE, floor=ROUNDING)
    return Evidence(noisy, found, (gain, Check("variance of noise", noise, (rank - R) * NOISE)))


CLAIM = Claim(
    statement="Rank-r data, sampler of y's law: the unaware student of rank k > r is nearer, "
    "by (d-k) sigma^2.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(R + 2),
    expects=Verdict.HOLDS,
    control=Control("k = d", lambda: evidence(D), Verdict.FAILS),
    source=DSD,
    setting="d=6, r=2, k=4, sigma^2=0.5",
)
