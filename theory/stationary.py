r"""The variance of a normal student on the line as a root, by adaptive quadrature with an error estimate.

For $x = a + \sqrt{v + \tau} z$ and the teacher's score $s$ at $\tau$, reverse KL has the derivative
$-\frac12 E[s'(x) + 1/(v + \tau)]$ in v (Stein's identity), and the reverse Fisher divergence
$E[(z/\rho + s(x)) z (s'(x) - 1/\rho^2)]/\rho$, $\rho = \sqrt{v + \tau}$. Both integrals, over z and over
$\log\tau$, are by `scipy.integrate.tanhsinh` (Takahasi and Mori, 1974,
https://doi.org/10.2977/prims/1195192451), which refines until its error estimate is small. Nothing here is
shared with the fixed rules by which `theory.line` minimises.
"""

from __future__ import annotations

__all__ = ["slope", "stationary"]

import numpy as np

from theory.divergences.estimate import Estimate
from theory.line import Objective
from theory.quadrature import Array, Mixture

LOW, HIGH = -70.0, 45.0  # of log tau, beyond which no objective has 1e-13 of its derivative left
RTOL = 1e-9
INNER = 1e-12  # the relative error over z, below that over levels
ROUNDING = 1e-13  # an error of integrands of size 1 that is not worth more nodes: their terms cancel
NEAR = (1e-3, 0.02)  # a root is looked for within these shares of where it was found


def _scores(x: Array, tau: Array, teacher: Mixture) -> tuple[Array, Array]:
    """The teacher's score and its derivative, by shares of the components."""
    parts = list(zip(*teacher.parts, strict=True))
    logs = [np.log(w) - 0.5 * np.log(s**2 + tau) - 0.5 * (x - m) ** 2 / (s**2 + tau) for w, m, s in parts]
    top = np.maximum.reduce(logs)
    shares = [np.exp(each - top) for each in logs]
    total = sum(shares)
    score, bend = np.zeros_like(x), np.zeros_like(x)
    for share, (_, m, s) in zip(shares, parts, strict=True):
        pull = (m - x) / (s**2 + tau)
        score += share / total * pull
        bend += share / total * (pull**2 - 1 / (s**2 + tau))
    return score, bend - score**2


def _at(tau: Array, v: float, mean: float, teacher: Mixture, fisher: bool) -> tuple[Array, Array]:
    """The derivative in the variance at each level, with its error."""
    from scipy.integrate import tanhsinh

    def integrand(z: Array, tau: Array) -> Array:
        spread = np.sqrt(v + tau)
        score, bend = _scores(mean + spread * z, tau, teacher)
        density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
        if fisher:
            return np.asarray(density * (z + spread * score) * z * (spread**2 * bend - 1))
        return np.asarray(-0.5 * density * (spread**2 * bend + 1))

    scale = (v + tau) ** (2 if fisher else 1)
    found = tanhsinh(integrand, -np.inf, np.inf, args=(tau,), atol=ROUNDING, rtol=INNER)
    return found.integral / scale, found.error / scale


def slope(objective: Objective, mean: float, v: float, teacher: Mixture, *, rtol: float = RTOL) -> Estimate:
    """The derivative of an objective in the variance of `N(mean, v)`.

    Args:
        objective: What is differentiated.
        mean: Of the student.
        v: Its variance, with the noise that is added to an aware student.
        teacher: The law whose scores are distilled.
        rtol: The relative error at which the quadrature stops.
    """
    from scipy.integrate import tanhsinh

    levels, fisher = objective.levels, objective.fisher
    if levels.density is None:
        value, error = _at(np.array(levels.low), v, mean, teacher, fisher)
        return Estimate.exact(float(value), float(error))
    density, ends = levels.density, ((levels.low, -1), (levels.high, 1))

    def weighted(log_tau: Array) -> Array:
        tau = np.exp(np.clip(log_tau, LOW, HIGH))
        value = tau * density(tau) * _at(tau, v, mean, teacher, fisher)[0]
        return np.where((log_tau > LOW) & (log_tau < HIGH), value, 0.0)

    low, high = (np.log(end) if 0 < end < np.inf else sign * np.inf for end, sign in ends)
    found = tanhsinh(weighted, low, high, atol=1e-2 * rtol, rtol=rtol)
    return Estimate.exact(float(found.integral), float(found.error))


def stationary(
    objective: Objective, mean: float, near: float, teacher: Mixture, *, rtol: float = RTOL
) -> Estimate:
    """The root of the derivative in the variance next to `near`, with the error that quadrature leaves.

    Raises:
        ValueError: If the derivative has the same sign at both ends of the interval around `near`.
    """
    from scipy.optimize import brentq

    errors: list[float] = []

    def value(v: float) -> float:
        found = slope(objective, mean, v, teacher, rtol=rtol)
        errors.append(found.high - found.value)
        return found.value

    for share in NEAR:
        low, high = (1 - share) * near, (1 + share) * near
        below, above = value(low), value(high)
        if below < 0 < above:
            root = float(brentq(value, low, high, xtol=rtol * near, rtol=1e-14))
            return Estimate.exact(root, max(errors) * (high - low) / (above - below) + rtol * near)
    raise ValueError(f"slopes in [{low:.6g}, {high:.6g}] are {below:.3g} and {above:.3g}: no minimum there")
