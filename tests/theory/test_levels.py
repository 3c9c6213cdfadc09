"""Teachers whose scores are those of no law: the flow, and students under weights."""

from __future__ import annotations

import numpy as np
import pytest

from theory.levels import Array, flow, student

JUMP, BELOW = 0.2, 0.3


def variance(tau: Array) -> Array:
    return np.where(tau < JUMP, BELOW, 1.0)


def test_a_jump_of_the_score_by_hand() -> None:
    """Above the jump the flow shrinks a law of variance 1, and below one of variance .3."""
    sampled = (1 + JUMP) * BELOW / (BELOW + JUMP)
    assert sampled == pytest.approx(0.72, rel=1e-15)
    assert flow(variance, (JUMP,)) == pytest.approx(sampled, rel=1e-10)
    assert student(variance, np.ones_like, (JUMP,)) == pytest.approx(sampled, rel=1e-12)
    assert student(variance, np.ones_like, ()) != pytest.approx(sampled, rel=1e-6)  # control: not told where


def test_weights_move_the_student() -> None:
    """Under dt, by the root of an integral in closed form; above the jump it is exact."""
    from scipy.optimize import brentq

    def gradient(v: float) -> float:  # of t = sqrt(tau): 1/(c + t^2) - 1/(v + t^2)
        edge = JUMP**0.5
        low = np.arctan(edge / BELOW**0.5) / BELOW**0.5
        return float(low + np.pi / 2 - np.arctan(edge) - np.pi / 2 / v**0.5)

    closed = brentq(gradient, 0.1, 1.0, xtol=1e-14)
    found = student(variance, lambda tau: 0.5 / np.sqrt(tau), (JUMP,))
    assert found == pytest.approx(closed, rel=1e-10) and found == pytest.approx(0.428, abs=5e-4)
    assert student(variance, lambda tau: (tau > 0.5) * 1.0, (JUMP, 0.5)) == pytest.approx(1.0, rel=1e-12)
