r"""In KL(clean || student) no student of low rank is nearer, if the clean law has full rank.

The student's law is singular: its divergence is infinite, however small the variance that it lacks. With
both laws smoothed by $N(0, \tau_e)$ it is finite, and another rule than that of W2 decides: the variances
$\lambda$ below which dropping helps vanish with $\tau_e$.
"""

from __future__ import annotations

from math import inf, log

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import students
from theory.estimates import kl_laws
from theory.spectra import gaussian

NOISE, RANK = 1.0, 2
SPECTRUM = [2.0, 1.0, 0.05]
SMOOTHING = 0.5


def kl_spectra(p: list[float], q: list[float]) -> float:
    """KL(p || q) from positive variances along shared axes."""
    return sum(0.5 * (a / b - 1 - log(a / b)) for a, b in zip(p, q, strict=True))


def evidence(smoothing: float) -> Evidence:
    """Teacher T-Y against the unaware student, all laws smoothed."""
    clean = gaussian(SPECTRUM)
    teacher = clean.noised(NOISE**0.5)
    found = students(teacher, RANK)
    noisy = [value + NOISE for value in SPECTRUM]
    spectra = [[v + smoothing for v in s] for s in (SPECTRUM, noisy, [*noisy[:RANK], 0.0])]
    smooth = [law.noised(smoothing**0.5) for law in (clean, teacher, *found)]
    closed = kl_spectra(spectra[0], spectra[2]) if smoothing else inf
    return Evidence(
        Check.of("teacher", kl_laws([(smooth[0], smooth[1])]), kl_spectra(spectra[0], spectra[1])),
        Check.of("student", kl_laws([(smooth[0], each) for each in smooth[2:]]), closed),
    )


CLAIM = Claim(
    statement="Clean law of full rank, sampler of y's law: the unaware student of low rank is nearer.",
    metric="KL(clean || .)",
    mechanism="family",
    evidence=lambda: evidence(0.0),
    expects=Verdict.FAILS,
    control=Control("all laws smoothed", lambda: evidence(SMOOTHING), Verdict.HOLDS),
    source=OURS,
    setting="lambda=(2, 1, 0.05), sigma^2=1, k=2; smoothing 0.5",
)
