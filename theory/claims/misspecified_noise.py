r"""An aware student that believes in almost twice the noise variance is worse than its teacher.

With $\hat\sigma^2$ in place of $\sigma^2$ the student has variances
$v = \max(0, \lambda + \sigma^2 - \hat\sigma^2)$. It loses to the teacher where
$\sqrt\lambda - \sqrt v > \sqrt{\lambda + \sigma^2} - \sqrt\lambda$: for one direction from
$\hat\sigma^2 = \lambda + \sigma^2 - (2\sqrt\lambda - \sqrt{\lambda + \sigma^2})^2$ on, a little under
$2\sigma^2$ where there is little noise.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import distil, students, w2_squared
from theory.estimates import w2_laws
from theory.spectra import gaussian, w2_spectra

NOISE, NOISES = 0.5, (0.05, 0.5)
SPECTRUM = [1.5, 1.0, 0.7]


def threshold(noise: float) -> float:
    """The belief, in units of the noise variance, from which on the student of one direction is worse."""
    from scipy.optimize import brentq

    clean = gaussian([1.0])
    teacher = clean.noised(noise**0.5)
    far = w2_squared(teacher, clean)

    def lead(factor: float) -> float:
        return w2_squared(distil(teacher, 1, aware=factor * noise), clean) - far

    return float(brentq(lead, 1.3, 2.0, xtol=1e-8))


def closed(noise: float) -> float:
    """The same by the formula."""
    return (1 + noise - (2 - (1 + noise) ** 0.5) ** 2) / noise


def evidence(factor: float) -> Evidence:
    """Teacher T-Y against an aware student of full rank that believes in `factor * NOISE`."""
    noisy_spectrum = [value + NOISE for value in SPECTRUM]
    clean = gaussian(SPECTRUM)
    teacher = clean.noised(NOISE**0.5)
    found = students(teacher, len(SPECTRUM), aware=factor * NOISE)
    left = [max(0.0, value - factor * NOISE) for value in noisy_spectrum]
    return Evidence(
        Check.of("teacher", w2_laws(teacher, clean), w2_spectra(noisy_spectrum, SPECTRUM)),
        Check.of("student", w2_laws(found, clean), w2_spectra(left, SPECTRUM)),
        (
            *(Check(f"threshold, sigma^2={noise:g}", threshold(noise), closed(noise)) for noise in NOISES),
            Check("nearly twice", threshold(NOISES[0]), 2.0, 0.02),
            Check("below twice", closed(NOISES[0]), 2.0, 0.0, "<="),
        ),
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
