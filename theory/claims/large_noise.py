r"""At large noise every objective matches moments: the student's freedom to choose modes is gone.

$KL_\tau = |\Delta\mu|^2/2\tau + O(\tau^{-2})$, and with equal means, for variances v and c on the line of
laws that need not be Gaussian, $KL_\tau = (v - c)^2/4\tau^2 + O(\tau^{-3})$, and Fisher divergences are
$(v - c)^2/\tau^3$. So a normal student of any teacher has its teacher's mean and variance, by either.
"""

from __future__ import annotations

from theory.claim import OURS, Check, Control, Identity
from theory.line import Levels, Objective
from theory.quadrature import Mixture, minimum

TEACHER = Mixture((0.7, 0.3), (-1.5, 1.0), (0.5, 0.2))
STEPS, RATE = 60, 0.2  # of descent
NEAR, WITHIN = 2e-2, 1e-2  # of divergences and of moments, at the level of the claim


def student(tau: float) -> tuple[float, float]:
    """Mean and variance of the normal student of reverse KL at a level, by gradient descent."""
    at, mean, v = Objective(False, Levels(low=tau)), 0.0, 1.0
    for _ in range(STEPS):
        by_mean, by_variance = at.slopes(mean, v, TEACHER)
        # The divergence falls like 1/tau in one and 1/tau^2 in the other: rates make up for that.
        mean, v = mean - RATE * (1 + tau) * by_mean, v - RATE * (1 + tau) ** 2 * by_variance
    return mean, v


def fisher_student(tau: float) -> float:
    """The variance by the reverse Fisher divergence, with the teacher's mean."""
    at, mean = Objective(True, Levels(low=tau)), TEACHER.moments[0]
    return minimum(lambda v: at(mean, v, TEACHER), 0.1, 10.0)


def evidence(tau: float) -> tuple[Check, ...]:
    """Students, and the divergences of laws that were not found, over their limits."""
    centre, c = TEACHER.moments
    mean, variance = student(tau)
    kl, fisher = (Objective(fisher, Levels(low=tau)) for fisher in (False, True))
    return (
        Check("mean of the student", mean, centre, WITHIN),
        Check("variance of the student", variance, c, WITHIN),
        Check("variance by reverse Fisher", fisher_student(tau), c, WITHIN),
        Check("KL, unequal means", kl(centre + 0.5, c, TEACHER) * 2 * tau / 0.25, 1.0, NEAR),
        Check("KL, unequal variances", kl(centre, 2 * c, TEACHER) * 4 * tau**2 / c**2, 1.0, NEAR),
        Check("Fisher, unequal variances", fisher(centre, 2 * c, TEACHER) * tau**3 / c**2, 1.0, NEAR),
    )


CLAIM = Identity(
    statement="At large noise all objectives depend on means and variances alone, and a normal student has "
    "those of its teacher.",
    source=OURS,
    evidence=lambda: evidence(1000.0),
    control=Control(
        "noise below the scale of the data",
        lambda: evidence(0.1),
        breaks=("mean *", "variance *", "KL, *", "Fisher, *"),
    ),
    setting="tau=1000; two modes of unequal weight and width on the line",
)
