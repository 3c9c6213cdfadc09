r"""The low-rank gain is against the sampler of y's law only; a truncated Tweedie teacher is better.

A teacher of denoised data that stops at the noise of the data samples the law of $E[x|y]$, with
variances $\lambda^2/(\lambda + \sigma^2)$. For data of rank r that costs
$(\sqrt{1+\sigma^2} - 1)^2/(1 + \sigma^2)$ per direction, less than the $(\sqrt{1+\sigma^2} - 1)^2$ of
the unaware student of rank r.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import students, truncated
from theory.estimates import w2_laws
from theory.spectra import gaussian, w2_spectra

D, R, NOISE = 6, 2, 0.5


def evidence(tweedie: bool) -> Evidence:
    """The teacher, T-trunc or T-Y, against the unaware student of rank r, distilled from y's law."""
    clean_spectrum = [1.0] * R + [0.0] * (D - R)
    noisy_spectrum = [value + NOISE for value in clean_spectrum]
    clean = gaussian(clean_spectrum)
    noisy = clean.noised(NOISE**0.5)
    teacher = truncated(clean, NOISE**0.5) if tweedie else noisy
    shrunk = [value**2 / (value + NOISE) for value in clean_spectrum]
    student = noisy_spectrum[:R] + [0.0] * (D - R)
    return Evidence(
        Check.of(
            "teacher",
            w2_laws(teacher, clean),
            w2_spectra(shrunk if tweedie else noisy_spectrum, clean_spectrum),
        ),
        Check.of("student", w2_laws(students(noisy, R), clean), w2_spectra(student, clean_spectrum)),
    )


CLAIM = Claim(
    statement="Rank-r data, truncated Tweedie teacher: the unaware student of rank r is nearer.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(tweedie=True),
    expects=Verdict.FAILS,
    control=Control("the sampler of y's law as the teacher", lambda: evidence(tweedie=False), Verdict.HOLDS),
    source=OURS,
    setting="d=6, r=2, sigma^2=0.5",
)
