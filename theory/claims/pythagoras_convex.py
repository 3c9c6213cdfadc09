r"""Over a convex family that holds the clean law, reverse KL always improves KL(clean || .).

The projection $S = \arg\min_{Q \in F} KL(Q \| T)$ has $KL(p_X \| T) \ge KL(p_X \| S) + KL(S \| T)$
(Csiszar, 1975, https://doi.org/10.1214/aop/1176996454), with equality where S is inside F. Mixtures over a
fixed dictionary are convex; normal laws are not.
"""

from __future__ import annotations

import numpy as np

from theory.claim import Check, Claim, Control, Evidence, Verdict
from theory.estimates import kl_line, repeated
from theory.line import OBJECTIVES, student_variance
from theory.quadrature import Array, Mixture, kl, kl_adaptive, normal
from theory.stationary import stationary

MEANS, STDS = (-3.0, 0.0, 2.5), (1.0, 0.7, 1.0)
CLEAN = Mixture((0.2, 0.5, 0.3), MEANS, STDS)
TEACHER = Mixture((0.17, 0.34, 0.27, 0.22), (*MEANS, 1.0), (*STDS, 2.5))
START = (0.5, 0.0, -0.5)  # of a second descent, in logarithms of weights
LIGHT, WIDE = 0.5, 10.0


def project(teacher: Mixture, start: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Mixture:
    """The mixture over the dictionary that minimises KL(. || teacher), by its weights, from a start."""
    from scipy.optimize import minimize

    x, h = TEACHER.grid()
    words = np.exp(Mixture((1.0,) * 3, MEANS, STDS).logs(x))
    log_teacher = teacher.log_density(x)

    def loss(free: Array) -> tuple[float, Array]:
        weights = np.exp(free) / np.exp(free).sum()
        density = words @ weights
        gap = np.log(np.maximum(density, 1e-300)) - log_teacher
        slope = h * words.T @ gap
        return float(h * density @ gap), weights * (slope - weights @ slope)

    free = minimize(loss, np.array(start), jac=True, method="BFGS", options={"gtol": 1e-11}).x
    weights = np.exp(free) / np.exp(free).sum()
    return Mixture(tuple(float(w) for w in weights), MEANS, STDS)


def evidence() -> Evidence:
    """A dictionary of three; the equation of Pythagoras is the closed form of the teacher's distance."""
    student = project(TEACHER)
    far, near = (
        kl_line(CLEAN, TEACHER),
        repeated([kl(CLEAN, each) for each in (student, project(TEACHER, START))]),
    )
    return Evidence(
        Check.of("teacher", far, kl_adaptive(CLEAN, student) + kl_adaptive(student, TEACHER)),
        Check.of("student", near, kl_adaptive(CLEAN, student)),
        (Check("gain", far.value - near.value, kl(student, TEACHER)),),
    )


def evidence_not_convex() -> Evidence:
    """Centred normal laws, which hold the clean one, under a broad contamination."""
    clean, teacher = normal(0.0, 1.0), Mixture((1 - LIGHT, LIGHT), (0.0, 0.0), (1.0, WIDE))
    v, again = (student_variance("reverse KL, tau = 0", teacher, low, 2 * WIDE**2) for low in (0.5, 0.6))
    v_root = stationary(OBJECTIVES["reverse KL, tau = 0"], 0.0, v, teacher).value
    return Evidence(
        Check.of("teacher", kl_line(clean, teacher), kl_adaptive(clean, teacher)),
        Check.of(
            "student",
            repeated([kl(clean, normal(0.0, each)) for each in (v, again)]),
            0.5 * (1 / v_root - 1 + np.log(v_root)),
        ),
    )


CLAIM = Claim(
    statement="A convex family that holds the clean law, reverse KL, any teacher: the student is nearer.",
    metric="KL(clean || .)",
    mechanism="family",
    evidence=evidence,
    expects=Verdict.HOLDS,
    control=Control("a family that is not convex: normal laws", evidence_not_convex, Verdict.FAILS),
    source="Csiszar 1975, doi 10.1214/aop/1176996454",
    setting="mixtures over a dictionary of three; the teacher has a fourth component",
)
