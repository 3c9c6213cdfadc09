r"""Objectives of distillation: divergences of noised laws, integrated over noise variances.

$\int w(\tau) D(p_\tau, q_\tau) d\tau$, $p_\tau = p * N(0, \tau I)$, for a student p and a teacher q.
Panels of Gauss-Legendre in $x = \log\tau$; beyond their ends the integrand is a power of $\tau$, which is
integrated too, and makes the objective infinite where it does not decay: at $\tau = 0$ for a student
of low rank, at infinity for means that differ. Laws with $n - 1$ equal moments come together like
$\tau^{-n}$, soon closer than rounding can tell; so the upper end is where divergences are still a power.
"""

from __future__ import annotations

__all__ = ["OBJECTIVES", "WEIGHTS", "at_level", "integrated"]

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from dcdbench.analytic import Gaussian, Law
from theory.divergences import gaussian
from theory.divergences.estimate import Estimate, Kind
from theory.divergences.fisher import fisher_quadrature
from theory.divergences.kl import kl_quadrature

Weight = Callable[[float], float]

NODES = 10
PANEL = 2.0  # in log tau; the nearest singularities are pi away
LOWEST, HIGHEST = 1e-11, 1e10  # of tau, relative to the variance of the teacher
DECAY = 0.02  # a power of tau below which there is none
FLOOR = 1e-27  # of a divergence in nats: below, rounding has a part in it
STEADY = 0.02  # a change of the power of tau, from one e-fold to the next, that is none
TINY = 1e-300
P_MEAN, P_STD = -1.2, 1.2  # of log t, https://arxiv.org/abs/2206.00364


def _edm(tau: float) -> float:
    z = (math.log(tau) - 2 * P_MEAN) / (2 * P_STD)
    return math.exp(-(z**2) / 2) / (tau * 2 * P_STD * math.sqrt(2 * math.pi))


WEIGHTS: dict[str, Weight] = {
    "dtau": lambda tau: 1.0,
    "dt": lambda tau: 0.5 / math.sqrt(tau),  # t^2 = tau
    "edm": _edm,  # the law of the levels in EDM
    "sid": lambda tau: tau**2 * _edm(tau),  # the same, of squared gaps between denoisers instead of scores
}


def _kl(p: Law, q: Law) -> Estimate:
    return gaussian.kl(p, q) if isinstance(p, Gaussian) and isinstance(q, Gaussian) else kl_quadrature(p, q)


def _fisher(p: Law, q: Law) -> Estimate:
    both = isinstance(p, Gaussian) and isinstance(q, Gaussian)
    return gaussian.fisher_gaussian(p, q) if both else fisher_quadrature(p, q)  # type: ignore[arg-type]


OBJECTIVES: dict[str, Callable[[Law, Law], Estimate]] = {
    "reverse KL": _kl,
    "reverse Fisher": _fisher,
    "forward KL": lambda student, teacher: _kl(teacher, student),
    "forward Fisher": lambda student, teacher: _fisher(teacher, student),
}


def at_level(name: str, student: Law, teacher: Law, tau: float) -> Estimate:
    """An objective at one noise variance, `tau >= 0`."""
    noised = [law.noised(math.sqrt(tau)) if tau else law for law in (student, teacher)]
    return OBJECTIVES[name](*noised)


def integrated(
    name: str,
    student: Law,
    teacher: Law,
    weight: str | Weight = "dtau",
    *,
    low: float = 0.0,
    high: float = math.inf,
) -> Estimate:
    """An objective of `OBJECTIVES` over all noise variances from `low` to `high`; it may be infinite.

    Args:
        name: Of the objective.
        student: The law of generated samples; for an aware student, corrupted again.
        teacher: The law whose scores are distilled.
        weight: A name of `WEIGHTS`, or a density over noise variances.
        low: The least noise variance.
        high: The largest.
    """
    w = WEIGHTS[weight] if isinstance(weight, str) else weight
    scale = max(teacher.cov.trace().item(), student.cov.trace().item()) / teacher.dim

    @cache
    def level(x: float) -> Estimate:
        return at_level(name, student, teacher, math.exp(x))

    def g(x: float) -> tuple[float, float]:
        density, found = math.exp(x) * w(math.exp(x)), level(x)
        return density * found.value, abs(density) * (found.high - found.value)

    def nats(x: float) -> float:
        return level(x).value * (math.exp(x) if "Fisher" in name else 1.0)

    start = math.log(low or LOWEST * scale)
    stop = _end(nats, start, math.log(HIGHEST * scale)) if high == math.inf else math.log(high)
    if stop is None:
        return _unresolvable(*_panels(g, start, math.log(HIGHEST * scale)))
    value, error = _panels(g, start, stop)
    for end, inward in [(start, 1)] * (low == 0) + [(stop, -1)] * (high == math.inf):
        tail = _tail(lambda x: g(x)[0], end, inward)
        value, error = value + tail.value, error + tail.high - tail.value
    return Estimate.exact(value, error) if value < math.inf else Estimate.exact(math.inf)


def _unresolvable(value: float, error: float) -> Estimate:
    """Of laws that rounding cannot tell apart; the difference may have any tail, unless it is none."""
    return Estimate(value, 0.0, math.inf, Kind.BRACKET) if value + error > 0 else Estimate.exact(0.0)


def _end(nats: Callable[[float], float], start: float, stop: float) -> float | None:
    """The last place, from `stop` inward, around which the divergence is a power of tau above rounding."""
    while stop - 3 > start:
        values = [nats(stop - i) for i in range(4)]
        if min(values) > FLOOR:
            rates = np.diff(np.log(values))
            if np.ptp(rates) < STEADY:
                return stop
        stop -= 1
    return None


def _panels(g: Callable[[float], tuple[float, float]], start: float, stop: float) -> tuple[float, float]:
    """The integral of values, and of their errors with what is not resolved."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    last = np.linalg.inv(np.polynomial.legendre.legvander(nodes, NODES - 1))[-2:]
    count = max(1, math.ceil((stop - start) / PANEL))
    half = (stop - start) / count / 2
    value = error = 0.0
    for i in range(count):
        f, off = np.array([g(start + half * (2 * i + 1 + node)) for node in nodes]).T
        size = np.abs(last @ f).max()
        value += half * float(weights @ f)
        error += half * float(weights @ off + size**2 / max(np.abs(f).max(), TINY))  # digits halve
    return value, error + 1e-14 * abs(value)


def _tail(g: Callable[[float], float], end: float, inward: int) -> Estimate:
    """The integral beyond an end, where `g` decays like a power of tau."""
    values = [g(end), g(end + inward), g(end + 2 * inward)]
    if min(values) < TINY:
        return Estimate.exact(0.0)
    rates = [math.log(values[1] / values[0]), math.log(values[2] / values[1])]
    if min(rates) < DECAY:
        return Estimate.exact(math.inf)
    value = values[0] / rates[0]
    return Estimate.exact(value, abs(value - values[0] / rates[1]))
