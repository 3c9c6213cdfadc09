r"""The W2 accounting: dropping directions helps if their mean variance is below $\sigma^2/3$.

An unaware student of rank k keeps $\lambda_i + \sigma^2$ for $i \le k$ and drops the rest. The gain,
$\sum_{i>k} g(\lambda_i)$ with $g(\lambda) = \lambda + \sigma^2 - 2\sqrt{\lambda(\lambda + \sigma^2)}$, is
decreasing and convex in each dropped $\lambda_i$, with
$g'' = \sigma^4 / 2(\lambda^2 + \lambda\sigma^2)^{3/2}$, and a single term vanishes at exactly
$\sigma^2/3$. So the gain is at least $(d - k) g(\bar\lambda)$ for the mean $\bar\lambda$ of what is
dropped. It is positive if $\bar\lambda < \sigma^2/3$, which is to say if the mean of the dropped variances
of y, which are observed, is below $4\sigma^2/3$.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import distil, students, w2_squared
from theory.estimates import w2_laws
from theory.spectra import gaussian, w2_gain, w2_spectra

NOISE = 1.0
KEPT = [4.0, 3.0, 2.5]
TAIL = [1.2, 0.4, 0.1]  # in units of sigma^2 / 3: their mean is below 1, though not each of them
LONG_TAIL = [2.0, 1.8, 1.6]


def gain(dropped: float) -> float:
    """How much dropping the second of two directions helps W2^2, for the student by minimisation."""
    clean = gaussian([4.0, dropped])
    teacher = clean.noised(NOISE**0.5)
    return w2_squared(teacher, clean) - w2_squared(distil(teacher, 1), clean)


def threshold() -> float:
    """The variance at which dropping a direction neither helps nor harms."""
    from scipy.optimize import brentq

    return float(brentq(gain, 0.05 * NOISE, 0.9 * NOISE, xtol=1e-10))


def curvature(at: float = 0.5, step: float = 0.02) -> Check:
    """The second derivative of the gain, by a difference of students."""
    bend = (gain(at + step) - 2 * gain(at) + gain(at - step)) / step**2
    return Check("curvature", bend, NOISE**2 / (2 * (at**2 + at * NOISE) ** 1.5), 1e-2)


def evidence(tail: list[float]) -> Evidence:
    """Teacher T-Y against the unaware student that drops the tail, in units of `NOISE / 3`."""
    dropped = [value * NOISE / 3 for value in tail]
    clean_spectrum = KEPT + dropped
    noisy_spectrum = [value + NOISE for value in clean_spectrum]
    clean = gaussian(clean_spectrum)
    teacher = clean.noised(NOISE**0.5)
    student = noisy_spectrum[: len(KEPT)] + [0.0] * len(tail)
    far, near = w2_laws(teacher, clean), w2_laws(students(teacher, len(KEPT)), clean)
    least = len(tail) * w2_gain(sum(dropped) / len(tail), NOISE)
    return Evidence(
        Check.of("teacher", far, w2_spectra(noisy_spectrum, clean_spectrum)),
        Check.of("student", near, w2_spectra(student, clean_spectrum)),
        (
            Check("threshold", threshold(), NOISE / 3),
            Check("gain", far.value - near.value, least, relation=">="),
            curvature(),
        ),
    )


CLAIM = Claim(
    statement="Any spectrum, sampler of y's law: the unaware student of rank k is nearer "
    "if the dropped variances have a mean below sigma^2/3.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(TAIL),
    expects=Verdict.HOLDS,
    control=Control("dropped variances above sigma^2/3", lambda: evidence(LONG_TAIL), Verdict.FAILS),
    source=OURS,
    setting="d=6, k=3, sigma^2=1",
)
