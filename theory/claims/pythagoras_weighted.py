r"""The theorem of Pythagoras for reverse KL over noise levels, under any weights.

Noising keeps a family convex and linear in its weights: the student by $\int w(\tau) KL(S_\tau \| T_\tau)
d\tau$ over mixtures of a fixed dictionary has
$\int w KL(p_{X,\tau} \| T_\tau) \ge \int w KL(p_{X,\tau} \| S_\tau) + \int w KL(S_\tau \| T_\tau)$ if the
family holds the clean law, with equality where S is inside it. So under the same weights it is always nearer.
After Csiszar, 1975, https://doi.org/10.1214/aop/1176996454.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from theory.claim import Check, Claim, Control, Evidence, Verdict
from theory.claims.pythagoras_convex import CLEAN, LIGHT, MEANS, STDS, TEACHER, WIDE
from theory.estimates import repeated
from theory.quadrature import STEP, Array, Mixture, kl, kl_adaptive, minimum, normal

Rule = Callable[[Mixture, Mixture], float]
TAU = np.geomspace(0.01, 30.0, 12)
WEIGHTS: dict[str, Array] = {"d tau": TAU, "dt": TAU**0.5, "dt / t": TAU**0.0}  # levels are geometric


def weighted(name: str, p: Mixture, q: Mixture, rule: Rule = kl) -> float:
    """The divergence over levels, by weights with sum 1, with a rule for one level."""
    w = WEIGHTS[name] / WEIGHTS[name].sum()
    parts = [rule(p.noised(tau), q.noised(tau)) for tau in TAU.tolist()]
    return float(w @ np.array(parts))


def coarse(p: Mixture, q: Mixture) -> float:
    """The trapezoid rule with steps twice as large."""
    return kl(p, q, 2 * STEP)


def project(name: str) -> Mixture:
    """The mixture over the dictionary that is nearest to the teacher over levels, by its weights."""
    from scipy.optimize import minimize

    w, tables = WEIGHTS[name] / WEIGHTS[name].sum(), []
    for tau in TAU.tolist():
        x, h = TEACHER.noised(tau).grid()
        words = np.exp(Mixture((1.0,) * len(MEANS), MEANS, STDS).noised(tau).logs(x))
        tables.append((words, TEACHER.noised(tau).log_density(x), h))

    def loss(free: Array) -> tuple[float, Array]:
        shares = np.exp(free) / np.exp(free).sum()
        value, slope = 0.0, np.zeros(len(shares))
        for each, (words, log_teacher, h) in zip(w, tables, strict=True):
            density = words @ shares
            gap = np.log(np.maximum(density, 1e-300)) - log_teacher
            value += each * float(h * density @ gap)
            slope += each * h * words.T @ gap
        return value, shares * (slope - shares @ slope)

    free = minimize(loss, np.zeros(len(MEANS)), jac=True, method="BFGS", options={"gtol": 1e-11}).x
    shares = np.exp(free) / np.exp(free).sum()
    return Mixture(tuple(float(share) for share in shares), MEANS, STDS)


def evidence() -> Evidence:
    """Under one weight; the equation under the others beside."""
    students = {name: project(name) for name in WEIGHTS}
    others = []
    for name, student in students.items():
        far, near = weighted(name, CLEAN, TEACHER), weighted(name, CLEAN, student)
        others.append(Check(f"gain, {name}", far - near, weighted(name, student, TEACHER)))
        others.append(Check(f"nearer, {name}", near, far, 0.0, "<="))
    student = students["dt"]
    near, again = (weighted("dt", CLEAN, student, rule) for rule in (kl, kl_adaptive))
    teacher = repeated([weighted("dt", CLEAN, TEACHER, rule) for rule in (kl, coarse)])
    closed = again + weighted("dt", student, TEACHER, kl_adaptive)
    found = repeated([near, weighted("dt", CLEAN, student, coarse)])
    return Evidence(Check.of("teacher", teacher, closed), Check.of("student", found, again), tuple(others))


def evidence_not_convex() -> Evidence:
    """Centred normal laws, which hold the clean one, under a broad contamination."""
    clean, teacher = normal(0.0, 1.0), Mixture((1 - LIGHT, LIGHT), (0.0, 0.0), (1.0, WIDE))
    v = minimum(lambda free: weighted("dt", normal(0.0, free), teacher), 0.5, 2 * WIDE**2)
    w = WEIGHTS["dt"] / WEIGHTS["dt"].sum()
    ratio = (1 + TAU) / (v + TAU)
    far = repeated([weighted("dt", clean, teacher, rule) for rule in (kl, coarse)])
    near = repeated([weighted("dt", clean, normal(0.0, v), rule) for rule in (kl, coarse)])
    return Evidence(
        Check.of("teacher", far, weighted("dt", clean, teacher, kl_adaptive)),
        Check.of("student", near, float(w @ (0.5 * (ratio - 1 - np.log(ratio))))),
    )


CLAIM = Claim(
    statement="A convex family that holds the clean law, reverse KL over levels by any weights: the student "
    "is nearer by the same weights.",
    metric="weighted KL(clean || .)",
    mechanism="family",
    evidence=evidence,
    expects=Verdict.HOLDS,
    control=Control("a family that is not convex: normal laws", evidence_not_convex, Verdict.FAILS),
    source="after Csiszar 1975, doi 10.1214/aop/1176996454",
    setting="mixtures over a dictionary of three, tau from .01 to 30 under dt; three weights beside",
)
