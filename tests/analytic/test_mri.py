"""Fourier acquisition: the transform, the coils, the sampled lines, and reconstructions from them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcdbench.harness.conformance import CONTRACT, Case, fits
from dcdbench.linalg import least_squares
from dcdbench.operators import mri
from dcdbench.operators.coils import synthetic_maps
from dcdbench.operators.fourier import Fourier, SingleCoil
from dcdbench.operators.lines import Cartesian, acs_region
from dcdbench.operators.mri import MRI, MultiCoil, SharedCoils, sense
from dcdbench.streams import Stream

N = 20_000
Z = 4.5  # standard errors, for a dozen frequencies at once
F64 = torch.float64
VARIANTS = (
    Fourier(acceleration=1),
    Fourier(acceleration=2, acs=1),
    Fourier(acceleration=2.5, acs=0, pattern="equispaced"),
    MRI(acceleration=2, acs=2),
    MRI(acceleration=3, acs=1, pattern="equispaced"),
    MRI(coils=1),
    MRI(shared_coils=True, coils=3),
)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=Stream(seed).rng(), dtype=F64)


def draw(law: Any, h: int, w: int, n: int = 3, seed: int = 0) -> Any:
    return law.draw((2, h, w), n, Stream(seed).rng()).to(dtype=F64)


def z(hits: Tensor, p: float) -> float:
    """The greatest deviation of the frequencies of `hits`, `(n, k)`, from `p`, in standard errors."""
    return float(((hits.double().mean(0) - p) / (p * (1 - p) / len(hits)) ** 0.5).abs().max())


@pytest.mark.parametrize("law", VARIANTS, ids=str)
@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_holds_for_other_arguments(law: Any, name: str) -> None:
    shapes = [shape for shape in ((2, 1, 6), (2, 3, 5), (2, 2, 8)) if fits(law, shape)]
    assert shapes
    for shape in shapes:
        CONTRACT[name](Case(law, shape, seed=1))


# --- the transform


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
def test_the_transform_is_the_centred_one(h: int, w: int, seed: int) -> None:
    x = normal(seed, 3, 2, h, w)
    y = draw(Fourier(acceleration=1), h, w)(x)
    numbers = torch.complex(x[:, 0], x[:, 1])
    shifted = torch.fft.fft2(torch.fft.ifftshift(numbers, dim=(1, 2)), norm="ortho")
    expected = torch.fft.fftshift(shifted, dim=(1, 2))
    torch.testing.assert_close(torch.complex(y[:, 0], y[:, 1]), expected)


def test_the_mean_is_in_the_middle() -> None:
    for h, w in itertools.product((4, 5), (6, 7)):
        y = draw(Fourier(acceleration=1), h, w)(torch.ones(3, 2, h, w, dtype=F64))
        expected = torch.zeros(h, w, dtype=F64)
        expected[h // 2, w // 2] = (h * w) ** 0.5
        torch.testing.assert_close(y, expected.expand_as(y))


@pytest.mark.parametrize("law", [Fourier(acceleration=1), MRI(acceleration=1), MRI(1, shared_coils=True)])
def test_all_lines_are_an_isometry(law: Any) -> None:
    A, x = draw(law, 6, 7), normal(1, 3, 2, 6, 7)
    torch.testing.assert_close(A.adjoint(A(x)), x, atol=1e-6, rtol=0)  # maps are rounded to float32
    few = draw(replace(law, acceleration=3.0), 6, 7)
    assert not torch.allclose(few.adjoint(few(x)), x, atol=0.1)


def test_one_coil_projects() -> None:
    A, x = draw(Fourier(), 6, 7), normal(1, 3, 2, 6, 7)
    once = A.adjoint(A(x))
    torch.testing.assert_close(A.adjoint(A(once)), once)
    # Control: several coils do not.
    A = draw(MRI(), 6, 7)
    once = A.adjoint(A(x))
    assert not torch.allclose(A.adjoint(A(once)), once, atol=0.01)


@pytest.mark.parametrize("coils", [1, 3])
def test_each_coil_samples_its_own_view(coils: int) -> None:
    A, x = draw(MRI(coils=coils, acceleration=2), 4, 6), normal(1, 3, 2, 4, 6)
    y, image = A(x), torch.complex(x[:, 0], x[:, 1])
    single = SingleCoil(A.lines, A.acs)
    for c in range(coils):
        seen = image * torch.complex(A.maps[:, c, ..., 0], A.maps[:, c, ..., 1])
        torch.testing.assert_close(y[:, 2 * c : 2 * c + 2], single(torch.stack([seen.real, seen.imag], 1)))


def norm(A: Any, x: Tensor, steps: int = 100) -> float:
    """The largest eigenvalue of `A^T A`, by power iteration."""
    for _ in range(steps):
        x = x / x.flatten(1).norm(dim=1)[:, None, None, None]
        x = A.adjoint(A(x))
    return float(x.flatten(1).norm(dim=1).max())


@pytest.mark.parametrize("law", [Fourier(), MRI(), MRI(acceleration=2, acs=3, coils=8)], ids=str)
def test_the_norm_is_at_most_one(law: Any) -> None:
    A, x = draw(law, 8, 9), normal(1, 3, 2, 8, 9)
    assert 0.5 < norm(A, x) < 1 + 1e-6
    if isinstance(A, MultiCoil):  # control: maps that are not normalised
        assert norm(replace(A, maps=1.5 * A.maps), x) > 1.1


# --- the coils


@settings(max_examples=20)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 9), st.integers(0, 2**31))
def test_squares_of_the_maps_add_up_to_one(h: int, w: int, coils: int, seed: int) -> None:
    maps = synthetic_maps(2, coils, h, w, Stream(seed).rng())
    assert maps.shape == (2, coils, h, w, 2)
    torch.testing.assert_close(maps.double().square().sum((1, 4)), torch.ones(2, h, w, dtype=F64))


def test_maps_are_smooth_differ_and_change_over_the_image() -> None:
    maps = torch.view_as_complex(synthetic_maps(2, 4, 64, 64, Stream(0).rng()))
    steps = torch.cat([maps.diff(dim=2).flatten(), maps.diff(dim=3).flatten()]).abs()
    assert steps.max() < 0.25
    white = torch.randn(maps.shape, generator=Stream(1).rng(), dtype=maps.dtype)
    assert white.diff(dim=3).abs().max() > 1  # control
    assert (maps[0] - maps[1]).abs().mean() > 0.2
    assert all(float(m.abs().max() - m.abs().min()) > 0.5 for m in maps.flatten(0, 1))


def test_shared_coils_follow_from_their_seed() -> None:
    law = MRI(shared_coils=True)
    A, B = draw(law, 4, 5, n=2, seed=0), draw(law, 4, 5, n=3, seed=1)
    assert isinstance(A, SharedCoils) and A.maps.shape == (1, 4, 4, 5, 2)
    assert torch.equal(A.maps, B.maps) and not torch.equal(
        A.maps, draw(MRI(shared_coils=True, seed=1), 4, 5).maps
    )
    assert "maps" not in A.tensors() and torch.equal(A[:1].maps, A.maps)
    assert "maps" in draw(MRI(), 4, 5).tensors()


def saved(path: Path, maps: np.ndarray, name: str = "sens_ri") -> Path:
    np.savez(path / "maps.npz", **{name: maps})
    return path / "maps.npz"


@pytest.mark.parametrize("name", ["sens_ri", "maps_ri"])
def test_maps_from_a_file(tmp_path: Path, name: str) -> None:
    sets = normal(0, 3, 5, 4, 6, 2).numpy().astype(np.float16)
    law = MRI(maps=saved(tmp_path, sets, name), coils=2)
    assert law.measured_shape((2, 4, 6)) == (10, 4, 6)
    A = draw(law, 4, 6, n=200)
    which = (A.maps[:, None] == torch.from_numpy(sets).double()).flatten(2).all(2)
    assert (which.sum(1) == 1).all() and which.any(0).all()
    shared = draw(replace(law, shared_coils=True), 4, 6)
    assert torch.equal(shared.maps[0], torch.from_numpy(sets[0]).double())


def test_one_set_of_maps_is_shared_and_may_not_see_a_pixel(tmp_path: Path) -> None:
    maps = normal(0, 2, 4, 6, 2).numpy()
    law = MRI(maps=saved(tmp_path, maps))
    assert isinstance(draw(law, 4, 6), SharedCoils) and law.identifiable((2, 4, 6))
    maps[:, 1, 2] = 0
    (tmp_path / "hole").mkdir()
    law = MRI(maps=saved(tmp_path / "hole", maps))
    assert not law.identifiable((2, 4, 6))
    CONTRACT["identifiability"](Case(MRI(maps=saved(tmp_path / "hole", maps[:, 1:2])), (2, 1, 6)))


# --- the lines

SAMPLED = [
    Cartesian(acceleration=4, acs=0),
    Cartesian(acceleration=3, acs=2),
    Cartesian(acceleration=3, acs=0.1),
    Cartesian(acceleration=4, acs=0, pattern="equispaced"),
    Cartesian(acceleration=2.3, acs=3, pattern="equispaced"),
]


@pytest.mark.parametrize("law", SAMPLED, ids=str)
@pytest.mark.parametrize("width", [16, 21])
def test_lines_are_sampled_alike_and_in_the_number_asked_for(law: Cartesian, width: int) -> None:
    lines, acs = law.lines(width, N, Stream(0).rng()), law.acs_lines(width)
    assert ((lines == 0) | (lines == 1)).all()
    outside = torch.ones(width, dtype=torch.bool)
    outside[acs_region(width, acs)] = False
    assert (lines[:, ~outside] == 1).all() and int((~outside).sum()) == acs
    p = law.share(width)
    assert p * (width - acs) + acs == pytest.approx(width / law.acceleration)
    assert z(lines[:, outside], p) < Z
    count = lines.double().sum(1)
    error = float(count.std()) / N**0.5 + 1e-9
    assert abs(float(count.mean()) - width / law.acceleration) < Z * error
    if acs:  # control: one in `acceleration` lines besides the middle would be too many
        naive = Cartesian(law.acceleration, 0, law.pattern).lines(width, N, Stream(0).rng())
        assert z(naive[:, outside], p) > 10


def test_equispaced_lines_are_equispaced() -> None:
    for acceleration, gaps in ((3.0, {3}), (2.5, {2, 3})):
        lines = Cartesian(acceleration, 0, "equispaced").lines(32, 50, Stream(0).rng())
        found = {int(gap) for row in lines for gap in row.nonzero()[:, 0].diff()}
        assert found == gaps
    lines = Cartesian(3.0, 0).lines(32, 50, Stream(0).rng())
    assert len({int(gap) for row in lines for gap in row.nonzero()[:, 0].diff()}) > 3  # control


@pytest.mark.parametrize("width", [9, 10])
@pytest.mark.parametrize("acs", [1, 2, 3])
def test_the_middle_is_around_zero_frequency(width: int, acs: int) -> None:
    region = acs_region(width, acs)
    assert region.start <= width // 2 < region.stop
    assert abs((region.start + region.stop - 1) - 2 * (width // 2)) <= 1


def test_further_drops_lines_but_none_in_the_middle() -> None:
    delta, width, middle = 0.3, 12, acs_region(12, 2)
    A = Fourier(acceleration=2, acs=2).draw((2, 1, width), N, Stream(0).rng())
    B = A.further(delta, Stream(1).rng())
    assert torch.equal(B.lines[:, middle], A.lines[:, middle]) and (B.lines <= A.lines).all()
    outside = torch.ones(width, dtype=torch.bool)
    outside[middle] = False
    dropped = (A.lines - B.lines)[:, outside]
    for line, sampled in zip(dropped.T, A.lines[:, outside].T, strict=True):
        assert z(line[sampled > 0][:, None], delta) < Z
    control = replace(A, acs=0).further(delta, Stream(1).rng())
    assert not torch.equal(control.lines[:, middle], A.lines[:, middle])


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: Fourier(acceleration=0.5), "acceleration must be >= 1 and finite, got 0.5"),
    (lambda: Fourier(acs=1.5), "acs must be a whole number of lines or a share"),
    (lambda: Fourier(pattern="radial"), "pattern must be one of random, equispaced"),  # type: ignore[arg-type]
    (
        lambda: Fourier(acceleration=4, acs=4).measured_shape((2, 8, 8)),
        "samples 2 of 8 lines, and acs=4 takes 4",
    ),
    (lambda: MRI(coils=0), "coils must be >= 1"),
    (lambda: MRI().measured_shape((1, 4, 4)), "two channels"),
    (lambda: MRI(maps=Path("none.npz")), "maps must be a file"),
]


@pytest.mark.parametrize(("make", "text"), WRONG)
def test_errors_say_what_would_be_right(make: Callable[[], Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_maps_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    maps = normal(0, 2, 4, 6, 2).numpy()
    with pytest.raises(ValueError, match=r"maps must have 4 x 4 pixels, .* has 4 x 6"):
        MRI(maps=saved(tmp_path, maps)).measured_shape((2, 4, 4))
    for wrong, name in ((maps, "other"), (maps[0], "sens_ri"), (np.full_like(maps, np.nan), "sens_ri")):
        (folder := tmp_path / f"{name}{wrong.ndim}{np.isnan(wrong).any()}").mkdir()
        with pytest.raises(ValueError, match="maps must be"):
            MRI(maps=saved(folder, wrong, name))


# --- reconstruction


def ranked(seed: int, m: int, n: int, rank: int, condition: float) -> Tensor:
    """Matrices, `(4, m, n)`, with singular values from 1 down to `1 / condition`."""
    u, v = (torch.linalg.qr(normal(seed + i, 4, k, k))[0][..., :rank] for i, k in enumerate((m, n)))
    return (u * torch.logspace(0, -np.log10(condition), rank, dtype=F64)) @ v.mT


def applied(a: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: (a @ x[..., None])[..., 0]


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.floats(1, 1e3), st.integers(0, 2**31))
def test_least_squares_is_the_pseudo_inverse(m: int, n: int, rank: int, condition: float, seed: int) -> None:
    a, y = ranked(seed, m, n, min(m, n, rank), condition), normal(seed + 2, 4, m)
    expected = applied(torch.linalg.pinv(a, rtol=1e-8))(y)
    x = least_squares(applied(a), applied(a.mT), y)
    torch.testing.assert_close(x, expected, atol=1e-10 * float(expected.abs().max()) + 1e-14, rtol=0)


def test_least_squares_of_one_sample_depends_on_no_other() -> None:
    a, y = ranked(0, 9, 7, 5, 50), normal(2, 4, 9)
    alone = least_squares(applied(a[:1]), applied(a[:1].mT), y[:1])
    y[1:] = torch.tensor([0.0, 1e6, 1e-6], dtype=F64)[:, None] * y[1:]
    x = least_squares(applied(a), applied(a.mT), y)
    torch.testing.assert_close(x[:1], alone)
    assert (x[1] == 0).all()  # nothing measured, nothing seen


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 4), st.booleans(), st.integers(0, 2**31))
def test_rows_are_inverted_exactly(height: int, width: int, coils: int, shared: bool, seed: int) -> None:
    law = MRI(acceleration=1.5, acs=0, coils=coils, shared_coils=shared)
    A = draw(law, height, width, seed=seed)
    y = normal(seed, 3, 2 * coils, height, width)
    units = torch.eye(2 * height * width, dtype=F64).reshape(-1, 1, 2, height, width)
    basis = units.expand(-1, 3, -1, -1, -1)
    a = torch.stack([A(e).flatten(1) for e in basis], -1)
    expected = (torch.linalg.pinv(a, rtol=1e-12) @ A.restrict(y).flatten(1)[..., None])[..., 0]
    scale = 1e-10 * float(torch.linalg.pinv(a, rtol=1e-12).flatten(1).norm(dim=1).max()) ** 2
    torch.testing.assert_close(A.pinv(y).flatten(1), expected, atol=scale + 1e-12, rtol=1e-8)


def test_long_rows_take_conjugate_gradients_to_the_same_image(monkeypatch: pytest.MonkeyPatch) -> None:
    A, y = draw(MRI(acceleration=1.5, coils=3, shared_coils=True), 4, 6, 2), normal(1, 2, 6, 4, 6)
    rows = A.pinv(y)
    monkeypatch.setattr(mri, "NARROW", 5)
    torch.testing.assert_close(A.pinv(y), rows, atol=1e-7, rtol=1e-7)
    assert not torch.allclose(sense(A, y, 2), rows, atol=1e-3)  # the control


def test_ridge_is_tikhonov() -> None:
    A, y = draw(MRI(acceleration=3), 3, 4), normal(1, 3, 8, 3, 4)
    basis = torch.eye(24, dtype=F64).reshape(24, 1, 2, 3, 4).expand(-1, 3, -1, -1, -1)
    a = torch.stack([A(e).flatten(1) for e in basis], -1)  # (3, 96, 24)
    normal_matrix = a.mT @ a + 0.1 * torch.eye(24, dtype=F64)
    expected = torch.linalg.solve(normal_matrix, (a.mT @ y.flatten(1)[..., None])[..., 0])
    torch.testing.assert_close(sense(A, y, 100, ridge=0.1).flatten(1), expected)
    assert not torch.allclose(sense(A, y, 100, ridge=0.2).flatten(1), expected, atol=1e-3)


MEASURED = [  # file, width, sampled lines, relative errors of CG-SENSE and of the lines alone
    ("mri_brain_16coil_96x96.npz", 96, 48, 0.015, 0.21),
    ("mri_brain_8coil_230x180.npz", 180, 76, 0.081, 0.18),
]


@pytest.mark.parametrize(("file", "width", "sampled", "reached", "zero_filled"), MEASURED)
def test_measured_brain_slices(
    data_folder: Path, file: str, width: int, sampled: int, reached: float, zero_filled: float
) -> None:
    """Every third line and 24 in the middle reach what a reference CG-SENSE reached with as many."""
    path = data_folder / file
    if not path.is_file():
        pytest.skip(f"DCDBENCH_DATA has no {file}")
    k = torch.from_numpy(np.load(path)["kspace"])
    y = torch.stack([k.real, k.imag], 1).flatten(0, 1)[None].expand(3, -1, -1, -1)
    law = MRI(acceleration=width / sampled, acs=24, pattern="equispaced", maps=path)
    A = law.draw((2, *k.shape[1:]), 3, Stream(0).rng())
    assert (A.lines.sum(1) == sampled).all()
    y, inside = y / y.abs().max(), A.maps.square().sum((1, 4)) > 0
    full = replace(A, lines=torch.ones_like(A.lines)).adjoint(y)

    def error(x: Tensor) -> Tensor:
        return ((x - full) * inside[:, None]).flatten(1).norm(dim=1) / (full * inside[:, None]).flatten(
            1
        ).norm(dim=1)

    assert (error(sense(A, y, steps=15, ridge=1e-3)) < 1.3 * reached).all()
    control = error(A.adjoint(y))
    assert (control > 0.7 * zero_filled).all() and (control > 1.5 * 1.3 * reached).all()
