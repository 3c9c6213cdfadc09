r"""A student that knows of a blur but not of the noise helps only where the noise is low.

For a gain $a \in (0, 1)$ along an axis of the data, the teacher that samples y has the variance
$b^2 = a^2\lambda + \sigma^2$ and the student $b^2/a^2$. It is nearer if and only if
$\sigma^2/\lambda < h(a) = a^2(1-a)(3+a)/(1+a)^2$, which is at most $(2^{2/3} - 1)^3$, at $a = 2^{2/3} - 1$.
A student of lower rank keeps the directions of the largest $a_i^2 \lambda_i$. One that knows of the noise too
has $\lambda$ wherever $a \ne 0$, and where $a = 0$ misses it at best.
"""

from __future__ import annotations

from math import sqrt

import torch
from scipy.optimize import brentq

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.distil import distil, students, w2_squared
from theory.divergences.estimate import Estimate
from theory.estimates import w2_laws
from theory.spectra import axes, gaussian, w2_spectra

CLEAN, GAIN = 1.0, 0.6
SPECTRUM, GAINS = [1.0, 0.6, 0.2], [0.5, 0.9, 0.0]
PEAK = 2 ** (2 / 3) - 1


def bound(a: float) -> float:
    """The formula `h`."""
    return a**2 * (1 - a) * (3 + a) / (1 + a) ** 2


def distances(noise: float, a: float) -> tuple[Estimate, Estimate]:
    """W2^2 of teacher and student on one axis."""
    clean, A = gaussian([CLEAN]), torch.tensor([[a]], dtype=torch.float64)
    teacher = clean.affine(A, sigma=sqrt(noise))
    start = torch.ones(1, 1, dtype=torch.float64)
    return w2_laws(teacher, clean), w2_laws(students(teacher, 1, through=A, start=start), clean)


def threshold(a: float) -> float:
    """The noise at which the student is as far as the teacher."""

    def lead(noise: float) -> float:
        teacher, student = distances(noise, a)
        return teacher.value - student.value

    return float(brentq(lead, 1e-3, 0.5, xtol=1e-9)) / CLEAN


def others(noise: float) -> tuple[Check, ...]:
    """Which of two directions is kept, and an aware student with a third that is not seen."""
    clean, A = gaussian(SPECTRUM), axes(3) @ torch.diag(torch.tensor(GAINS, dtype=torch.float64)) @ axes(3).T
    teacher = clean.affine(A, sigma=sqrt(noise))
    seen = torch.eye(3, dtype=torch.float64)[:, :2]  # a start with nothing where A shows nothing
    kept = distil(teacher, 1, through=A, start=axes(3) @ seen @ torch.ones(2, 1, dtype=torch.float64))
    aware = distil(teacher, 2, through=A, aware=noise, start=axes(3) @ seen)
    along = axes(3).T @ kept.cov @ axes(3)
    return (
        Check("kept: the largest a^2 lambda", along[1, 1].item(), SPECTRUM[1] + noise / GAINS[1] ** 2),
        Check("dropped: the largest lambda", along[0, 0].item(), 0.0),
        Check("W2^2, aware of both", w2_squared(aware, clean), SPECTRUM[2]),
    )


def evidence(noise: float) -> Evidence:
    """Teacher T-Y against the student at this noise, and where the verdict turns."""
    teacher, student = distances(noise, GAIN)
    b = GAIN**2 * CLEAN + noise
    return Evidence(
        Check.of("teacher", teacher, w2_spectra([b], [CLEAN])),
        Check.of("student", student, w2_spectra([b / GAIN**2], [CLEAN])),
        (
            Check("threshold", threshold(GAIN), bound(GAIN)),
            Check("greatest threshold", threshold(PEAK), PEAK**3),
            *(
                Check(f"no greater one at {s:+g}", threshold(PEAK + s), PEAK**3, 0.0, "<=")
                for s in (-0.1, 0.1)
            ),
            *others(noise),
        ),
    )


CLAIM = Claim(
    statement="A blur that commutes with the data, sampler of y's law: the student that knows the blur "
    "but not the noise is nearer, at sigma^2/lambda above h(a).",
    metric="W2^2",
    mechanism="awareness",
    evidence=lambda: evidence(0.3),
    expects=Verdict.FAILS,
    control=Control("sigma^2/lambda below h(a)", lambda: evidence(0.1), Verdict.HOLDS),
    source=OURS,
    setting="one axis, a=0.6, sigma^2/lambda=0.3",
)
