r"""Reverse KL bounds spurious mass, but over some families it does not reduce it.

For $T = (1-\epsilon) p_X + \epsilon q$ and a family that holds $p_X$, $KL(S \| T) \le \log 1/(1-\epsilon)$.
So where q has its mass and $p_X$ has none, $S(B) \le b(\epsilon)$, the larger root of $kl(b \| \epsilon) =
\log 1/(1-\epsilon)$, and $b/\epsilon \to e$. The family of $p_X$ and one law with mass just below b there
attains the bound.
"""

from __future__ import annotations

from math import e, log

from theory.claim import OURS, Check, Claim, Control, Evidence, Verdict
from theory.line import single_student
from theory.quadrature import Array, Mixture, kl, normal

FAR, EPSILON, RARE = 40.0, 0.05, 1e-8
CLEAN = normal(0.0, 1.0)
TEACHER = Mixture((1 - EPSILON, EPSILON), (0.0, FAR), (1.0, 1.0))


def bound(epsilon: float) -> float:
    """`b(epsilon)`."""
    from scipy.optimize import brentq

    def excess(ratio: float) -> float:
        b = ratio * epsilon
        return b * log(ratio) + (1 - b) * log((1 - b) / (1 - epsilon)) + log(1 - epsilon)

    return epsilon * float(brentq(excess, 1.5, min(0.999 / epsilon, 10.0), xtol=1e-14))


def member(mass: float) -> Mixture:
    """The clean law with so much mass at the far place."""
    return Mixture((1 - mass, mass), (0.0, FAR), (1.0, 1.0))


def spurious(law: Mixture) -> float:
    """The mass beyond the middle, by a sum over the density."""
    import numpy as np

    x, h = law.grid()
    density: Array = np.exp(law.log_density(x))
    return float(h * density[x > FAR / 2].sum())


def evidence(two_laws: bool) -> Evidence:
    """Either of two laws by their divergence, or the best normal law."""
    b = bound(EPSILON)
    pair_of_laws = (CLEAN, member(0.99 * b))
    if two_laws:
        student = min(pair_of_laws, key=lambda law: kl(law, TEACHER))
    else:
        starts = ((0.0, 2.0), (FAR, 2.0), (FAR / 10, FAR))
        student = min((single_student(TEACHER, *start) for start in starts), key=lambda found: found[1])[0]
    return Evidence(
        Check("teacher", spurious(TEACHER), EPSILON),
        Check("student", spurious(student), 0.99 * b if two_laws else 0.0),
        (
            Check("KL of the clean law", kl(CLEAN, TEACHER), -log(1 - EPSILON)),
            Check("KL at the bound", kl(member(b), TEACHER), -log(1 - EPSILON)),
            Check("rare contamination", bound(RARE) / RARE, e),
            Check("bound", spurious(student), b, relation="<="),
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
