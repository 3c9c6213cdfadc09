"""What the claims about Gaussians compute with, and that they compute: known values, and limits."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from dcdbench.analytic import Gaussian
from dcdbench.methods.ideal import FilledMean
from dcdbench.objectives.ambient_diffusion import AmbientDiffusion
from dcdbench.operators.inpainting import Inpainting
from dcdbench.problem import Corruption
from theory import generator, levels
from theory.claim import Check, Evidence
from theory.claims import (
    contamination_asymptotic,
    diagonal_blur,
    early_stopping,
    fixed_mask_sampler,
    law_on_a_line,
    null_space_frozen,
    one_coordinate_masks,
    probability_flow,
    sid_diverges,
    sid_repelling_point,
    sliced_w2_disagrees,
    strict_saddles,
    weights_that_help,
)
from theory.distil import OBJECTIVES, distil, minimise, objective, w2_squared
from theory.generator import SAMPLES, hermite, sid, velocity, whitened
from theory.spectra import axes, gaussian, w2_gain, w2_spectra

EYE = torch.eye(3, dtype=torch.float64)


def numbers(checks: tuple[Check, ...]) -> dict[str, float]:
    return {check.name: check.computed for check in checks}


# Distillation


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_student_through_an_operator_matches_measurements_alone(name: str) -> None:
    clean = gaussian([1.5, 1.0, 0.6])
    A = torch.tensor([[1.0, 0.3, 0.0], [0.0, 0.5, -1.0]], dtype=torch.float64)
    measured = clean.affine(A, sigma=0.5)
    student = distil(measured, 3, name, through=A, aware=0.25, start=EYE)
    assert w2_squared(student.affine(A), clean.affine(A)) < 1e-6 < w2_squared(student, clean)


def test_a_weight_leaves_levels_out() -> None:
    s, c = gaussian([1.0, 0.2, 0.1], seed=1).cov, gaussian([2.0, 1.0, 0.5]).cov
    one = objective("reverse KL", s, c, lambda tau: (tau > 15).double())
    last = OBJECTIVES["reverse KL"]((s + 20 * EYE)[None], (c + 20 * EYE)[None])[0]
    torch.testing.assert_close(one, last)
    assert objective("reverse KL", s, c) > one


def test_minimisation_starts_where_it_is_told() -> None:
    def two_wells(u: torch.Tensor) -> torch.Tensor:
        return (u.square() - 1).square().sum()

    for start in (0.5, -0.5):
        end = minimise(two_wells, torch.tensor([start], dtype=torch.float64))
        assert float(end) == pytest.approx(math.copysign(1, start))


def test_axes_are_orthonormal_and_gains_vanish_at_a_third() -> None:
    torch.testing.assert_close(axes(3).T @ axes(3), EYE)
    assert w2_gain(0.3, 0.9) == pytest.approx(0, abs=1e-12)
    assert w2_gain(0.29, 0.9) > 0 > w2_gain(0.31, 0.9)
    gained = w2_spectra([1.5], [0.7]) - w2_spectra([0.0], [0.7])
    assert w2_gain(0.7, 0.8) == pytest.approx(gained)


# Known values


def test_sliced_w2_and_w2_of_the_tail() -> None:
    for slices, teacher, student in ((False, 4.044, 5.010), (True, 3.079, 0.418)):
        found = sliced_w2_disagrees.evidence(slices)
        assert found.teacher.closed == pytest.approx(teacher, abs=2e-3)
        assert found.student.closed == pytest.approx(student, abs=2e-3)


def test_greatest_bound_of_the_blur() -> None:
    assert diagonal_blur.bound(diagonal_blur.PEAK) == pytest.approx(0.202677, abs=1e-6)


def test_uncorrelated_student_of_one_coordinate_masks() -> None:
    found = numbers(one_coordinate_masks.evidence(1))
    assert found["W2^2 of the student"] == pytest.approx(0.6107, abs=1e-4)
    assert found["loss of the student"] == pytest.approx(0, abs=1e-12)
    assert numbers(one_coordinate_masks.evidence(2))["W2^2 of the student"] == pytest.approx(0, abs=1e-6)


def test_fixed_mask_completions() -> None:
    """At correlation 0.8 the mixture over four masks is off by 0.088935."""
    teacher, student = fixed_mask_sampler.distances(fixed_mask_sampler.ALL, 0.8)
    assert teacher.closed == pytest.approx(0.088935, abs=5e-7) and teacher.agrees
    assert teacher.computed == pytest.approx(0.088935, rel=1e-4)
    assert student.closed == pytest.approx(0.0, abs=1e-9) and student.agrees


def test_the_ideal_teacher_of_the_benchmark_has_the_law_of_the_claim() -> None:
    cov, n = fixed_mask_sampler.correlated(0.8), 100_000
    law = Gaussian(torch.zeros(2), cov)
    further, shown = fixed_mask_sampler.FURTHER, fixed_mask_sampler.SHOWN
    objective = AmbientDiffusion(sampling_delta=further)
    corruption = Corruption(Inpainting(shown / (1 - further)))
    x = FilledMean(law, objective, corruption, 1e-3).sample(n, torch.Generator().manual_seed(0))
    expected = torch.stack([fixed_mask_sampler.sampled(mask, cov) for mask in fixed_mask_sampler.ALL]).mean(0)
    squares = x[:, :, None] * x[:, None]
    assert ((squares.mean(0) - expected).abs() < 4 * squares.std(0) / n**0.5).all()


def test_laws_on_a_line_at_five_angles() -> None:
    found = numbers(law_on_a_line.evidence(law_on_a_line.WHITE))
    printed = {"0.00": 0.2694, "0.10": 0.3021, "0.30": 0.5498, "0.80": 1.711, "1.57": 2.489}
    for angle, value in printed.items():
        assert found[f"angle {angle}, as printed"] == pytest.approx(value, rel=1e-3)
    assert found["reverse KL, angle 0"] == pytest.approx(0.2692, rel=1e-3)


# Levels


def test_the_flow_of_a_law_samples_it() -> None:
    for c in (0.3, 2.0):
        teacher: levels.Variance = lambda tau, c=c: np.full_like(tau, c)  # noqa: E731
        assert levels.flow(teacher) == pytest.approx(c, rel=1e-6)
        assert levels.student(teacher, np.ones_like) == pytest.approx(c, rel=1e-9)


def test_the_flow_differs_from_the_law_where_scores_are_wrong() -> None:
    for teacher in probability_flow.TEACHERS.values():
        assert abs(levels.flow(teacher) - 1) > 0.02
    assert levels.flow(weights_that_help.variance) == pytest.approx(weights_that_help.sampled(), rel=1e-6)


# SiD


def test_samples_of_the_generator_are_exact() -> None:
    samples = whitened(2, 3)
    both = torch.cat([samples.z, samples.noise], 1)
    eye = torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(both.T @ both / SAMPLES, eye, rtol=0, atol=1e-12)
    torch.testing.assert_close(both.mean(0), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-12)


def test_sid_rests_at_the_teacher_and_nowhere_near() -> None:
    root = torch.linalg.cholesky(gaussian([2.0, 0.9, 0.4]).cov)
    assert (
        velocity(sid(1.2), root, root @ root.T).norm()
        < 1e-9
        < 1e-3
        < velocity(sid(1.2), 1.1 * root, root @ root.T).norm()
    )


def test_sid_turns_at_six_times_the_teacher() -> None:
    c = sid_repelling_point.C
    for sigma in (0.5, 2.0):
        assert sid_repelling_point.turn(1.2, sigma) == pytest.approx(6 * c + 5 * sigma**2)
        assert sid_repelling_point.turn(0.9, sigma) == math.inf
    assert sid_diverges.end(3.0, 1.2) == pytest.approx(c, rel=1e-3)


# Other distillers


def test_every_distiller_is_run_by_a_claim() -> None:
    """Its class stands in the source of one: what is compared with a closed form is what trains."""
    from dcdbench.distillers import registry

    sources = "".join(path.read_text() for path in Path(sid_diverges.__file__).parent.glob("*.py"))
    sources += Path(generator.__file__).read_text()
    kinds = [registry[name] for name in registry if registry[name].__module__.startswith("dcdbench.")]
    assert kinds
    for kind in kinds:
        assert re.search(rf"from {kind.__module__} import .*\b{kind.__name__}\b", sources), kind


def test_two_ways_of_taking_the_mean_agree() -> None:
    root, c = torch.tensor([[0.9]], dtype=torch.float64), torch.tensor([[1.3]], dtype=torch.float64)
    by_nodes = velocity(sid(0.75), root, c, samples=hermite(20))
    torch.testing.assert_close(by_nodes, velocity(sid(0.75), root, c))


def test_a_very_broad_contamination() -> None:
    """At 300 times the width .003472 is kept, of .003217 to first order in the share."""
    share = contamination_asymptotic.EPSILON
    assert contamination_asymptotic.kept(300.0) == pytest.approx(0.003472, abs=5e-7)
    assert contamination_asymptotic.formula(300.0, share) == pytest.approx(0.003217, abs=5e-7)
    assert contamination_asymptotic.formula(300.0) == pytest.approx(0.003356, abs=5e-7)


# Descent


def test_null_space_is_kept_by_descent_alone() -> None:
    kept, moved = (
        numbers(null_space_frozen.evidence(make))["change in the null space"]
        for make in (null_space_frozen.descent, null_space_frozen.adam)
    )
    assert kept < 1e-12 < 1e-2 < moved


def test_early_stopping_is_u_shaped() -> None:
    along = [w2_spectra(v, early_stopping.CLEAN) for v in early_stopping.path()]
    best = along.index(min(along))
    assert 0 < best < len(along) - 1
    assert along[0] > along[-1] > along[best]
    found: Evidence = early_stopping.evidence(finished=False)
    assert found.student.computed == along[best]


def test_only_the_leading_directions_are_no_saddle() -> None:
    checks = {check.name: check for check in strict_saddles.evidence(strict_saddles.SPECTRUM)}
    choices = 1 + 4 + 6  # of at most two of four directions
    assert len(checks) == 3 * choices - 1 and "saddle at 12" not in checks
    bends = [check.computed for name, check in checks.items() if name.startswith("curvature")]
    assert sorted(bends)[-1] == pytest.approx(0.0, abs=1e-9) and sorted(bends)[-2] < -0.01
    assert all(check.agrees for check in checks.values())
