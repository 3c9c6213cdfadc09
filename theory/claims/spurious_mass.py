r"""Reverse KL bounds spurious mass, but over some families it does not reduce it.

For $T = (1-\epsilon) p_X + \epsilon q$ and a family that holds $p_X$, $KL(S \| T) \le \log 1/(1-\epsilon)$.
So where q has its mass and $p_X$ has none, $S(B) \le b(\epsilon)$, the larger root of $kl(b \| \epsilon) =
\log 1/(1-\epsilon)$, and $b/\epsilon \to e$. The bound is attained: of all mixtures over a row of components,
the one with most mass in the far half, among those that reverse KL prefers to $p_X$, is found by sequential
quadratic programming. The family of $p_X$ and that law has it for its student.
"""

from __future__ import annotations

from math import e, log

import numpy as np

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.estimates import repeated
from theory.line import single_student
from theory.quadrature import STEP, Array, Mixture, kl, normal

FAR, EPSILON, RARE = 40.0, 0.05, 1e-8
PLACES = (-4.0, 0.0, 4.0, 20.0, 36.0, 40.0, 44.0)  # of the components that a law may have
STARTS = ((1 / 7,) * 7, (0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1))
SLACK, SAME, CLOSE = 1e-3, 1e-9, 1e-5  # in nats; objectives of the same minimum; accuracy of the worst law
CLEAN = normal(0.0, 1.0)
TEACHER = Mixture((1 - EPSILON, EPSILON), (0.0, FAR), (1.0, 1.0))


def bound(epsilon: float, slack: float = 0.0) -> float:
    """`b(epsilon)`, for laws whose divergence is smaller than that of the clean law by `slack`."""
    from scipy.optimize import brentq

    def excess(ratio: float) -> float:
        b = ratio * epsilon
        return b * log(ratio) + (1 - b) * log((1 - b) / (1 - epsilon)) + log(1 - epsilon) + slack

    return epsilon * float(brentq(excess, 1.5, min(0.999 / epsilon, 10.0), xtol=1e-14))


def member(mass: float) -> Mixture:
    """The clean law with so much mass at the far place."""
    return Mixture((1 - mass, mass), (0.0, FAR), (1.0, 1.0))


def worst(places: tuple[float, ...], start: Array) -> Mixture:
    """The law with most mass in the far half of those that reverse KL prefers to the clean one."""
    from scipy.optimize import minimize

    words = Mixture((1.0,) * len(places), places, (1.0,) * len(places))
    x, h = words.grid()
    table, log_teacher, far = np.exp(words.logs(x)), TEACHER.log_density(x), x > FAR / 2
    mass = h * table[far].sum(0)

    def room(w: Array) -> float:
        density = np.maximum(table @ w, 1e-300)
        return -log(1 - EPSILON) - SLACK - float(h * (density * (np.log(density) - log_teacher)).sum())

    def slope(w: Array) -> Array:
        gap = np.log(np.maximum(table @ w, 1e-300)) - log_teacher + 1
        return np.asarray(-h * table.T @ gap)

    rules = (
        {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        {"type": "ineq", "fun": room, "jac": slope},
    )
    options = {"maxiter": 200, "ftol": 1e-14}
    limits = [(0.0, 1.0)] * len(places)
    found = minimize(
        lambda w: -mass @ w, start, jac=lambda w: -mass, bounds=limits, constraints=rules, options=options
    ).x
    return Mixture(tuple((found / found.sum()).tolist()), places, words.stds)


def spurious(law: Mixture, step: float = STEP) -> float:
    """The mass beyond the middle, by a sum over the density."""
    x, h = law.grid(step)
    density: Array = np.exp(law.log_density(x))
    return float(h * density[x > FAR / 2].sum())


def evidence(two_laws: bool) -> Evidence:
    """Either of two laws by their divergence, the clean one or the worst, or the best normal law."""
    b = bound(EPSILON)
    if two_laws:
        laws = [worst(PLACES, np.array(start)) for start in STARTS]
        students = [min((CLEAN, law), key=lambda each: kl(each, TEACHER)) for law in laws]
    else:
        starts = ((0.0, 2.0), (FAR, 2.0), (FAR / 10, FAR), (1.0, 3.0))
        ends = [single_student(TEACHER, *start) for start in starts]
        students = [law for law, value in ends if value < min(value for _, value in ends) + SAME]
    found = [spurious(law) for law in students]
    return Evidence(
        Check.of("teacher", repeated([spurious(TEACHER), spurious(TEACHER, 2 * STEP)]), EPSILON),
        Check.of("student", repeated(found), bound(EPSILON, SLACK) if two_laws else 0.0, CLOSE),
        (
            Check("KL of the clean law", kl(CLEAN, TEACHER), -log(1 - EPSILON)),
            Check("KL at the bound", kl(member(b), TEACHER), -log(1 - EPSILON)),
            Check("rare contamination", bound(RARE) / RARE, e),
            Check("bound", found[0], b, relation="<="),
        ),
    )


CLAIM = Claim(
    statement="Contaminated teacher, any family that holds the clean law, reverse KL: less spurious mass.",
    metric="spurious mass",
    mechanism="family",
    evidence=lambda: evidence(two_laws=True),
    expects=Verdict.FAILS,
    control=Control("the family of normal laws", lambda: evidence(two_laws=False), Verdict.HOLDS),
    source=OURS,
    setting="a family of two laws; 5 % of spurious mass",
)
