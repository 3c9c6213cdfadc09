"""What the claims about mixtures are computed with: quadrature on the line, and students found there."""

from __future__ import annotations

import math

import numpy as np
import pytest

from theory.claim import Equalities, Verdict, verdict, verdict_of
from theory.line import OBJECTIVES, Levels, Objective, pair_student, single_student, student_variance
from theory.quadrature import (
    Mixture,
    fisher,
    kl,
    kl_adaptive,
    minimum,
    normal,
    pair,
    w2_squared,
    w2_transport,
)

MIXED = Mixture((0.2, 0.5, 0.3), (-3.0, 0.5, 4.0), (0.3, 1.0, 2.0))


def test_divergences_of_normal_laws_are_their_closed_forms() -> None:
    p, q = normal(0.3, 0.5), normal(-1.0, 2.0)
    assert kl(p, q) == pytest.approx(0.5 * (0.25 - 1 - math.log(0.25) + 1.3**2 / 2), abs=1e-12)
    assert fisher(p, q) == pytest.approx(1.5**2 * 0.5 + (1.3 / 2) ** 2, abs=1e-12)
    assert w2_squared(p, q) == pytest.approx(1.3**2 + (2**0.5 - 0.5**0.5) ** 2, abs=1e-12)


def test_two_rules_of_quadrature_agree() -> None:
    other = pair(2.0, 1.0, 0.7)
    assert kl(MIXED, other) == pytest.approx(kl_adaptive(MIXED, other), abs=1e-9)
    for p, q in ((MIXED, other), (other, MIXED), (pair(6.0, 1.0, 0.9), pair(6.0, 1.0))):
        assert w2_squared(p, q) == pytest.approx(w2_transport(p, q), abs=1e-6)
        assert w2_squared(p, q) == pytest.approx(w2_squared(q, p), abs=1e-12)


def test_densities_scores_and_quantiles_belong_together() -> None:
    x = np.linspace(-5.0, 9.0, 41)
    step = 1e-5
    slope = (MIXED.log_density(x + step) - MIXED.log_density(x - step)) / (2 * step)
    np.testing.assert_allclose(MIXED.score(x), slope, atol=1e-7)
    grid, h = MIXED.grid()
    assert h * np.exp(MIXED.log_density(grid)).sum() == pytest.approx(1.0, abs=1e-12)
    for upper in (False, True):
        np.testing.assert_allclose(MIXED.quantile(MIXED.tail(x, upper), upper), x, rtol=1e-9)


def test_atoms_have_distances() -> None:
    atoms = Mixture((0.5, 0.5), (-10.0, 10.0), (0.0, 0.0))
    assert w2_squared(atoms, pair(10.0, 0.3)) == pytest.approx(0.3, abs=1e-9)
    assert w2_squared(atoms, atoms) == 0.0


def test_a_tie_is_called_a_gain_no_more_often_than_intervals_allow() -> None:
    from theory.claims import independent_samples as null

    held, times = null.count(null.KL, "mirror", Verdict.HOLDS, bounds=True)
    assert times == 1000 and 0 < held <= null.most(times) <= 0.05 * times
    lucky, _ = null.count(null.KL, "mirror", Verdict.HOLDS, bounds=False)
    assert lucky > null.most(times)  # so that the bound can be missed
    found = {verdict_of(each, null.found(null.KL, "mirror")[1]) for each in null.found(null.KL, "mirror")[0]}
    assert found == set(Verdict)
    for student, wanted in (("clean", Verdict.HOLDS), ("farther", Verdict.FAILS)):
        assert null.count(null.KL, student, wanted, bounds=True) == (20, 20)
    assert verdict(Equalities(null.evidence(bounds=False))) == Verdict.FAILS


def test_students_and_bounds_in_the_plane() -> None:
    from theory.plane import ring, student, w2_bounds

    clean = ring(4, 1.5, 0.3)
    low, high = w2_bounds(ring(4, 1.5, 0.8), clean)
    assert low < high == pytest.approx(2 * (0.8**0.5 - 0.3**0.5) ** 2)
    shifted = type(clean)(clean.means + np.array([0.3, -0.4]), clean.variance)
    assert w2_bounds(shifted, clean) == pytest.approx((0.25, 0.25), rel=1e-3)
    found = student(ring(2, 1.5, 0.8), [ring(2, 1.2, 0.5)], aware=0.5)
    assert found.variance == pytest.approx(0.3, abs=1e-4)
    np.testing.assert_allclose(found.means, ring(2, 1.5, 0.3).means, atol=1e-4)


def test_the_global_minimum_is_found() -> None:
    found = minimum(lambda v: (math.log(v) ** 2 - 1) ** 2 + 0.1 * math.log(v), 0.05, 20.0)
    assert found < 1 and math.log(found) == pytest.approx(-1.0, abs=0.05)


def test_objectives_of_normal_laws_are_their_closed_forms() -> None:
    v, c = 2.0, 3.0
    umegaki = 0.5 * (v * math.log(v / c) - v + c)
    by_kl = OBJECTIVES["reverse KL, dtau"]
    by_fisher = Objective(True, Levels(lambda tau: tau / 2))
    assert by_kl(0.0, v, normal(0.0, c)) == pytest.approx(umegaki, abs=1e-6)
    assert by_fisher(0.0, v, normal(0.0, c)) == pytest.approx(umegaki, abs=1e-6)
    assert OBJECTIVES["reverse KL, tau = 0"](0.5, v, MIXED) == pytest.approx(
        kl(normal(0.5, v), MIXED), abs=1e-9
    )
    zero = OBJECTIVES["reverse Fisher, tau = 0"]
    # The rule of the objectives is that of the student's width, coarse for a component of a third of it.
    assert zero(0.5, v, MIXED) == pytest.approx(fisher(normal(0.5, v), MIXED), abs=1e-7)


@pytest.mark.parametrize("name", [*OBJECTIVES, "forward KL"])
def test_a_student_that_can_equals_its_teacher(name: str) -> None:
    teacher = normal(0.0, 2.5)
    # At one large level an objective is flat: its minimum is known to the root of its error.
    tolerance = 1e-2 if name.endswith("1000") else 1e-5
    assert student_variance(name, teacher, 0.5, 10.0) == pytest.approx(2.5, rel=tolerance)
    assert student_variance(name, teacher, 0.5, 10.0, aware=1.0) == pytest.approx(1.5, rel=2 * tolerance)


def test_aware_students_find_the_clean_law() -> None:
    one, cost = single_student(normal(0.7, 1.5), 0.0, 3.0, aware=0.5)
    assert one.moments == pytest.approx((0.7, 1.0), abs=1e-7) and abs(cost) < 1e-12
    two = pair_student(pair(2.0, 1.5), 1.5, 2.0, aware=0.5)
    assert two.means[1] == pytest.approx(2.0, abs=1e-6) and two.stds[1] == pytest.approx(1.0, abs=1e-6)


def test_rules_are_as_fine_as_either_law_needs() -> None:
    """A broad law against one with a narrow spike in its middle, which points of its own unit miss."""
    p, q = normal(0.0, 100.0), Mixture((0.5, 0.5), (0.0, 0.0), (0.1, 10.0))
    assert kl(p, q) == pytest.approx(kl_adaptive(p, q), rel=1e-9)
    assert fisher(p, q) == pytest.approx(5.5231907834087, rel=1e-11)
    at_zero = [OBJECTIVES[f"reverse {name}, tau = 0"](0.0, 100.0, q) for name in ("KL", "Fisher")]
    assert at_zero == pytest.approx([kl(p, q), fisher(p, q)], rel=1e-9)
    with pytest.raises(ValueError, match="a grid"):
        kl(p, Mixture((1.0,), (0.0,), (1e-9,)))
