r"""Coloured noise reorders the spectrum: the student keeps the directions that are noisiest.

With noise variances $\nu_i$ along the axes of the data, a student of rank k keeps the k largest
$\lambda_i + \nu_i$; white noise alone leaves the order of $\lambda_i$ as it is. For one direction, dropping
it helps where $\lambda_i < \nu_i/3$.
"""

from __future__ import annotations

from scipy.optimize import brentq

from dcdbench.analytic import Gaussian
from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import students
from theory.divergences.estimate import Estimate
from theory.estimates import w2_laws
from theory.spectra import gaussian, w2_gain, w2_spectra

CLEAN = [1.0, 0.1]
COLOURED = [0.01, 2.0]
WHITE = [sum(COLOURED) / 2] * 2


def distances(clean: list[float], noise: list[float]) -> tuple[Estimate, Estimate]:
    """W2^2 of the teacher T-Y and of its student of rank 1."""
    law = gaussian(clean)
    teacher: Gaussian = gaussian([a + b for a, b in zip(clean, noise, strict=True)])
    return w2_laws(teacher, law), w2_laws(students(teacher, 1), law)


def threshold() -> float:
    """The variance at which dropping the second direction neither helps nor harms."""

    def gain(dropped: float) -> float:
        teacher, student = distances([4.0, dropped], COLOURED)
        return teacher.value - student.value

    return float(brentq(gain, 0.05 * COLOURED[1], 0.9 * COLOURED[1], xtol=1e-9))


def evidence(noise: list[float]) -> Evidence:
    """Teacher T-Y against the unaware student that keeps one direction."""
    noisy = [a + b for a, b in zip(CLEAN, noise, strict=True)]
    kept = [value if value == max(noisy) else 0.0 for value in noisy]
    teacher, student = distances(CLEAN, noise)
    lost = 1 - kept.index(max(kept))
    return Evidence(
        Check.of("teacher", teacher, w2_spectra(noisy, CLEAN)),
        Check.of("student", student, w2_spectra(kept, CLEAN)),
        (
            Check("gain", teacher.value - student.value, w2_gain(CLEAN[lost], noise[lost])),
            Check("threshold", threshold(), COLOURED[1] / 3),
        ),
    )


CLAIM = Claim(
    statement="Coloured noise, sampler of y's law: the unaware student of rank k keeps the clean law's "
    "leading directions, and is nearer.",
    metric="W2^2",
    mechanism="family",
    evidence=lambda: evidence(COLOURED),
    expects=Verdict.FAILS,
    control=Control("white noise of the same power", lambda: evidence(WHITE), Verdict.HOLDS),
    source=OURS,
    setting="lambda=(1, 0.1), nu=(0.01, 2), k=1",
)
