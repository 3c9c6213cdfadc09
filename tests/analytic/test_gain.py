"""What brings measurements back amplifies no signal, and is left alone where it never did."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dcdbench.harness.case import Broken, Case
from dcdbench.harness.mask_laws import amplification
from dcdbench.operators.blur import Blur
from dcdbench.operators.composition import Composed, Composition
from dcdbench.operators.convolution import Convolution
from dcdbench.operators.deepinv_physics import DeepInv
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.mixture import Mixture
from dcdbench.operators.motion_blur import MotionBlur
from dcdbench.operators.mri import MRI
from dcdbench.operators.random_projections import RandomProjections
from dcdbench.operators.super_resolution import SuperResolution
from dcdbench.protocols import Operator, OperatorLaw

SHARP = ((0.0, -1.0, 0.0), (-1.0, 5.0, -1.0), (0.0, -1.0, 0.0))
SUM = ((1.0, 2.0, 1.0), (2.0, 4.0, 2.0), (1.0, 2.0, 1.0))
SHAPE = (1, 6, 6)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gains(A: Operator, shape: tuple[int, ...], n: int) -> Tensor:
    """The greatest eigenvalues of `A.back(A(.))`, `(n,)`, from its matrices."""
    d = int(np.prod(shape))
    basis = torch.eye(d, dtype=torch.float64).reshape(d, 1, *shape)
    wide = A.to(dtype=torch.float64)
    rows = torch.stack([wide.back(wide(e.expand(n, *shape))).flatten(1) for e in basis], 1)
    return torch.linalg.eigvals(rows).real.amax(1)


AMPLIFIED = {
    "mask after a kernel": Composition(Blur(SHARP), Inpainting()),
    "mask after sums": Composition(Blur(SUM, "circular"), Inpainting()),
    "mask after reflections": Composition(GaussianBlur(), Inpainting(0.95)),
    "mask after lines": Composition(MotionBlur(), Inpainting(0.95)),
    "mask or reflections": Mixture((GaussianBlur(), Inpainting())),
    "projections of a kernel": Composition(Blur(SHARP), RandomProjections(3)),
    "a coarse grid of a kernel": Composition(Blur(SUM), SuperResolution(2)),
    "a kernel after reflections": Composition(GaussianBlur(), Composition(Blur(SHARP), Inpainting())),
}


@pytest.mark.parametrize("name", AMPLIFIED)
def test_no_signal_is_amplified(name: str) -> None:
    """After a further corruption, in part, and once stored, too."""
    law: Any = AMPLIFIED[name]
    A = law.draw(SHAPE, 4, rng())
    assert float(gains(A, SHAPE, 4).max()) <= 1 + 1e-3
    assert float(gains(A[1:3], SHAPE, 2).max()) <= 1 + 1e-3
    torch.testing.assert_close(gains(law.restore(A.tensors()), SHAPE, 4), gains(A, SHAPE, 4))
    less = A.further(0.3, rng(1))
    assert less is None or float(gains(less, SHAPE, 4).max()) <= 1 + 1e-3


@pytest.mark.parametrize("name", AMPLIFIED)
def test_a_signal_is_amplified_where_nothing_is_scaled(name: str) -> None:
    """Control: by the transpose alone."""
    law: Any = AMPLIFIED[name]
    A = law.draw(SHAPE, 4, rng()).to(dtype=torch.float64)
    d = int(np.prod(SHAPE))
    basis = torch.eye(d, dtype=torch.float64).reshape(d, 1, *SHAPE)
    rows = torch.stack([A.adjoint(A(e.expand(4, *SHAPE))).flatten(1) for e in basis], 1)
    assert float(torch.linalg.eigvalsh(rows).max()) > 1.02


@pytest.mark.parametrize("boundary", ["circular", "zero"])
def test_kernels_of_samples_have_scales_of_their_own(boundary: Any) -> None:
    kernels = torch.tensor([SHARP, SUM, ((0.0,) * 3, (0.0, 1.0, 0.0), (0.0,) * 3)])[:, None]
    A = Convolution(kernels, boundary)
    found = gains(A, SHAPE, 3)
    assert float(found.max()) <= 1 + 1e-6 and float(found.min()) > 0.3
    y = torch.randn(3, *SHAPE, generator=rng())
    assert torch.equal(A.back(y)[2], A.adjoint(y)[2]) and not torch.allclose(A.back(y)[0], A.adjoint(y)[0])


def test_given_maps_are_scaled_by_their_greatest_power(tmp_path: Path) -> None:
    maps = 3 * torch.randn(2, 3, 6, 6, 2, generator=rng())
    np.savez(tmp_path / "maps.npz", sens_ri=maps.numpy())
    for shared in (False, True):
        law = MRI(acceleration=2, acs=2, maps=tmp_path / "maps.npz", shared_coils=shared)
        A = law.draw((2, 6, 6), 4, rng())
        assert float(gains(A, (2, 6, 6), 4).max()) <= 1 + 1e-5
        y = A(torch.randn(4, 2, 6, 6, generator=rng(1)))
        assert not torch.allclose(A.back(y), A.adjoint(y), rtol=0.5)  # control


@pytest.mark.parametrize(
    ("law", "shape"),
    [
        (GaussianBlur(), SHAPE),
        (MotionBlur(5), SHAPE),
        (Blur(), SHAPE),
        (MRI(2, 2), (2, 6, 6)),
        (MRI(2, 2, shared_coils=True), (2, 6, 6)),
        (Inpainting(), SHAPE),
        (Composition(MRI(2, 2), Inpainting()), (2, 6, 6)),
    ],
)
def test_what_never_amplified_is_the_transpose_bit_by_bit(law: OperatorLaw, shape: tuple[int, ...]) -> None:
    A: Any = law.draw(shape, 4, rng())
    y = torch.randn(A(torch.zeros(4, *shape)).shape, generator=rng(1))
    transpose = A.first.adjoint(A.then.adjoint(y)) if isinstance(A, Composed) else A.adjoint(y)
    assert torch.equal(A.back(y), transpose)


class Loud(Inpainting):
    """Masks that bring measurements back too large."""

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Any:
        draws = super().draw(shape, n, rng)
        object.__setattr__(draws, "back", lambda y: 1.1 * draws.mask * y)
        return draws

    def restore(self, tensors: dict[str, Tensor]) -> Any:
        raise NotImplementedError


def test_the_law_sees_what_amplifies() -> None:
    """Control: by a tenth."""
    case = Case(Inpainting(), SHAPE)
    assert amplification(case) < 1e-9
    loud = Loud().draw(SHAPE, 5, rng())
    with pytest.raises(Broken, match=r"amplifies a signal by 1\.1"):
        amplification(Given(loud, SHAPE))


class Given(Case):
    """A case of draws that are given."""

    def __init__(self, draws: Operator, shape: tuple[int, ...]) -> None:
        super().__init__(Inpainting(), shape)
        object.__setattr__(self, "draws", draws)

    def draw(self, name: str = "A") -> Operator:
        return self.draws  # type: ignore[attr-defined]


PHYSICS = {
    "CompressedSensing": DeepInv("CompressedSensing", {"m": 10}),
    "Tomography": DeepInv("Tomography", {"angles": 8, "img_width": 6, "normalize": False}),
    "Denoising": DeepInv("Denoising", {}),
}


@pytest.mark.skipif(importlib.util.find_spec("deepinv") is None, reason="deepinv is not installed")
@pytest.mark.filterwarnings("ignore::UserWarning:deepinv", "ignore::DeprecationWarning:deepinv")
@pytest.mark.parametrize("name", PHYSICS)
def test_physics_are_scaled_when_they_are_drawn(name: str) -> None:
    law = PHYSICS[name]
    A = law.draw(SHAPE, 3, rng())
    found = gains(A, SHAPE, 3)
    assert 0.9 < float(found.max()) <= 1 + 1e-3
    assert torch.equal(gains(law.restore(A.tensors()), SHAPE, 3), found)
    y = A(torch.randn(3, *SHAPE, generator=rng(1)))
    assert torch.equal(A.back(y), A.adjoint(y)) is (name == "Denoising")
