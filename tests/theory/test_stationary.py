"""Variances as roots, by adaptive quadrature: closed forms for normal laws, and scipy's quad for mixtures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from theory.line import OBJECTIVES, Levels, Objective
from theory.quadrature import Mixture, normal
from theory.stationary import slope, stationary

BROAD = Mixture((0.95, 0.05), (0.0, 0.0), (1.0, 10.0))


def test_slopes_between_normal_laws_are_their_closed_forms() -> None:
    v, c = 2.0, 3.0
    exact = {
        "reverse KL, tau = 0": 0.5 * (1 / c - 1 / v),
        "reverse Fisher, tau = 0": 1 / c**2 - 1 / v**2,
        "reverse KL, dtau": 0.5 * math.log(v / c),
        "reverse KL, dt": math.pi / 4 * (c**-0.5 - v**-0.5),
    }
    for name, value in exact.items():
        found = slope(OBJECTIVES[name], 0.7, v, normal(0.7, c))
        assert found.value == pytest.approx(value, rel=1e-9) and found.covers(value, 1e-12)
        assert slope(OBJECTIVES[name], 0.7, c, normal(0.7, c)).value == pytest.approx(0, abs=1e-11)


def test_a_slope_by_nested_quad() -> None:
    """Of reverse KL under dt, by Stein's identity with the score alone, all in `scipy.integrate.quad`."""

    def level(t: float, v: float) -> float:
        spread = math.sqrt(v + t * t)
        at = BROAD.noised(t * t)

        def integrand(z: float) -> float:
            score = float(at.score(np.array(spread * z)))
            return (score + z / spread) * z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / spread

        return -quad(integrand, 0, 12, epsabs=1e-8, epsrel=1e-7)[0]  # half of twice the half line

    v = 1.2
    by_quad = sum(
        quad(level, low, high, args=(v,), epsabs=1e-6, epsrel=1e-6)[0]
        for low, high in ((0, 10), (10, np.inf))
    )
    assert slope(OBJECTIVES["reverse KL, dt"], 0.0, v, BROAD).value == pytest.approx(by_quad, abs=2e-6)


@pytest.mark.parametrize(
    ("name", "exact"),
    [("reverse KL, dt", 1.150650115), ("SiD, EDM levels", 1.544902630)],
)
def test_roots_have_all_their_digits(name: str, exact: float) -> None:
    found = stationary(OBJECTIVES[name], 0.0, 1.0005 * exact, BROAD)
    assert found.value == pytest.approx(exact, abs=2e-9) and found.high - found.value < 1e-8
    if name == "reverse KL, dt":
        cut = Objective(
            False, Levels(OBJECTIVES[name].levels.density, low=math.exp(-16.0), high=math.exp(26.0))
        )
        assert abs(stationary(cut, 0.0, exact, BROAD).value - exact) > 1e-5  # without the lowest levels


def test_where_no_minimum_is_none_is_found() -> None:
    with pytest.raises(ValueError, match="no minimum"):
        stationary(OBJECTIVES["reverse KL, tau = 0"], 0.0, 3.0, normal(0.0, 1.0))
