r"""An aware student that believes in almost twice the noise variance is worse than its teacher.

With $\hat\sigma^2$ in place of $\sigma^2$ the student has variances
$v = \max(0, \lambda + \sigma^2 - \hat\sigma^2)$. It loses to the teacher where
$\sqrt\lambda - \sqrt v > \sqrt{\lambda + \sigma^2} - \sqrt\lambda$.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import distil, w2_squared
from theory.spectra import gaussian, w2_spectra

NOISE = 0.5
SPECTRUM = [1.5, 1.0, 0.7]


def evidence(factor: float) -> Evidence:
    """Teacher T-Y against an aware student of full rank that believes in `factor * NOISE`."""
    noisy_spectrum = [value + NOISE for value in SPECTRUM]
    clean = gaussian(SPECTRUM)
    teacher = clean.noised(NOISE**0.5)
    student = distil(teacher, len(SPECTRUM), aware=factor * NOISE)
    left = [max(0.0, value - factor * NOISE) for value in noisy_spectrum]
    return Evidence(
        Check("teacher", w2_squared(teacher, clean), w2_spectra(noisy_spectrum, SPECTRUM)),
        Check("student", w2_squared(student, clean), w2_spectra(left, SPECTRUM)),
    )


CLAIM = Claim(
    statement="Any spectrum, sampler of y's law: the aware student is nearer even if it believes in "
    "1.95 times the noise variance.",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(1.95),
    expects=Verdict.FAILS,
    control=Control("1.5 times the noise variance", lambda: evidence(1.5), Verdict.HOLDS),
    source=OURS,
    setting="d=3, sigma^2=0.5",
)
