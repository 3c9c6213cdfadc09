"""Our operators against those of deepinv, an independent implementation, and each as the other's."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import torch
from torch import Tensor

from dcdbench.harness.conformance import check_operator
from dcdbench.harness.identity import describe
from dcdbench.harness.resolve import Desk, component
from dcdbench.harness.revive import revive
from dcdbench.operators import deepinv_physics
from dcdbench.operators.blur import Blur
from dcdbench.operators.clip import Clip
from dcdbench.operators.composition import Composition
from dcdbench.operators.deepinv_library import load
from dcdbench.operators.deepinv_physics import DeepInv, as_physics, from_physics
from dcdbench.operators.fourier import Fourier
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.greyscale import Greyscale
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.mixture import Mixture
from dcdbench.operators.motion_blur import MotionBlur
from dcdbench.operators.mri import MRI
from dcdbench.operators.super_resolution import SuperResolution
from dcdbench.protocols import Operator, OperatorLaw
from dcdbench.streams import Stream

if importlib.util.find_spec("deepinv") is None:
    pytest.skip("deepinv is not installed", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:deepinv", "ignore::DeprecationWarning:deepinv")
PADDING = {"zero": "constant"}
SKEW = ((0.1, 0.2, 0.05), (0.3, 0.15, 0.0), (0.05, 0.1, 0.05), (0.0, 0.0, 0.0), (0.2, 0.0, -0.1))


def physics() -> Any:
    return load().physics


def rng(name: str = "A") -> torch.Generator:
    return (Stream(0) / name).rng()


def draw(law: OperatorLaw, shape: tuple[int, ...], n: int = 3) -> Operator:
    return law.draw(shape, n, rng())


def normal(shape: tuple[int, ...], n: int = 3) -> Tensor:
    return torch.randn(n, *shape, generator=rng(f"{shape}"))


def same(ours: Operator, theirs: Any, shape: tuple[int, ...], coils: int = 0) -> None:
    """Equal measurements, and equal adjoints of one measurement, within the rounding of float32.

    deepinv keeps coils apart: its `(B, 2, coils, H, W)` is our `(B, 2 coils, H, W)`.
    """

    def apart(y: Tensor) -> Tensor:
        return y.unflatten(1, (coils, 2)).transpose(1, 2) if coils else y

    x = normal(shape)
    y = normal(tuple(ours(x).shape[1:]))
    torch.testing.assert_close(apart(ours(x)), theirs.A(x), rtol=1e-5, atol=3e-6)
    torch.testing.assert_close(ours.adjoint(y), theirs.A_adjoint(apart(y)), rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("shape", [(3, 16, 12), (1, 7, 7)])
def test_masks(shape: tuple[int, ...]) -> None:
    A: Any = draw(Inpainting(0.4), shape)
    same(A, theirs := physics().Inpainting(img_size=shape, mask=A.mask), shape)
    torch.testing.assert_close(A.pinv(y := normal(shape)), theirs.A_dagger(y))


@pytest.mark.parametrize("boundary", ["reflect", "circular", "zero"])
@pytest.mark.parametrize(("size", "std"), [(9, 2.0), (3, 0.7)])
@pytest.mark.parametrize("shape", [(3, 16, 12), (1, 150, 140)])
def test_gaussian_blur(boundary: Any, size: int, std: float, shape: tuple[int, ...]) -> None:
    law = GaussianBlur(size, std, boundary)
    kernel = law.kernel().float()
    theirs = physics().Blur(
        filter=torch.outer(kernel, kernel)[None, None], padding=PADDING.get(boundary, boundary)
    )
    same(draw(law, shape), theirs, shape)


@pytest.mark.parametrize("boundary", ["reflect", "circular", "zero"])
def test_blur_with_a_kernel_without_symmetry(boundary: Any) -> None:
    theirs = physics().Blur(filter=torch.tensor(SKEW)[None, None], padding=PADDING.get(boundary, boundary))
    same(draw(Blur(SKEW, boundary), (2, 9, 8)), theirs, (2, 9, 8))


def test_the_flipped_kernel_differs() -> None:
    """Control: a correlation is no convolution."""
    theirs = physics().Blur(filter=torch.tensor(SKEW).flip(0, 1)[None, None], padding="circular")
    with pytest.raises(AssertionError):
        same(draw(Blur(SKEW, "circular"), (2, 9, 8)), theirs, (2, 9, 8))


@pytest.mark.parametrize("boundary", ["reflect", "circular", "zero"])
def test_motion_blur_with_a_kernel_for_each_sample(boundary: Any) -> None:
    A: Any = draw(MotionBlur(7, boundary), (3, 12, 16))
    same(A, physics().Blur(filter=A.kernels, padding=PADDING.get(boundary, boundary)), (3, 12, 16))


@pytest.mark.parametrize("shape", [(3, 12, 24), (1, 6, 6)])
def test_downsampling(shape: tuple[int, ...]) -> None:
    for factor in (2, 3):
        theirs = physics().Downsampling(img_size=shape, filter=None, factor=factor)
        same(draw(SuperResolution(factor, "nearest"), shape), theirs, shape)
    box = torch.zeros(1, 1, 3, 3)  # of odd size: the adjoint of even circular kernels fails in deepinv 0.5
    box[..., :2, :2] = 0.25
    theirs = physics().Downsampling(img_size=shape, filter=box, factor=2)
    same(draw(SuperResolution(2, "average"), shape), theirs, shape)


@pytest.mark.parametrize("factor", [2, 4])
def test_bicubic_downsampling_is_that_of_matlab(factor: int) -> None:
    shape = (3, 24, 32)
    same(draw(SuperResolution(factor, "bicubic"), shape), physics().DownsamplingMatlab(factor=factor), shape)


def test_greyscale() -> None:
    same(draw(Greyscale(), (3, 8, 8)), physics().Decolorize(srf=Greyscale().weights), (3, 8, 8))


@pytest.mark.parametrize("shape", [(2, 16, 12), (2, 9, 15), (2, 1, 8)])
def test_single_coil(shape: tuple[int, ...]) -> None:
    A: Any = draw(Fourier(acceleration=2), shape)
    mask = A.condition().expand(-1, 2, *shape[1:])
    same(A, theirs := physics().MRI(mask=mask), shape)
    torch.testing.assert_close(A.pinv(y := normal(shape)), theirs.A_dagger(y), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 16, 12), (2, 9, 15)])
@pytest.mark.parametrize("law", [MRI(acceleration=2), MRI(acceleration=2, coils=3, shared_coils=True)])
def test_multi_coil(shape: tuple[int, ...], law: MRI) -> None:
    A: Any = draw(law, shape)
    mask = A.condition().expand(-1, 2, *shape[1:])
    maps = torch.view_as_complex(A.maps).expand(3, -1, -1, -1)
    same(A, physics().MultiCoilMRI(mask=mask, coil_maps=maps), shape, law.coils)


@pytest.mark.parametrize(
    ("law", "shape"),
    [
        (Inpainting(), (3, 6, 5)),
        (GaussianBlur(), (3, 6, 5)),
        (SuperResolution(2, phase="random"), (1, 6, 4)),
        (MRI(), (2, 8, 8)),
        (Composition(GaussianBlur(), Inpainting()), (1, 5, 5)),
        (Mixture(), (4,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_ours_as_a_physics_and_back(law: OperatorLaw, shape: tuple[int, ...]) -> None:
    A = draw(law, shape)
    theirs = as_physics(A)
    assert isinstance(theirs, physics().LinearPhysics)
    assert float(theirs.adjointness_test(normal(shape), num_samples=3)) < 1e-5
    back, x, y = from_physics(theirs), normal(shape), A(normal(shape, 3) + 1)
    assert torch.equal(back(x), A(x)) and torch.equal(theirs(x), A(x))
    assert torch.equal(back.adjoint(y), A.adjoint(y))
    assert torch.equal(theirs.A_dagger(y), A.pinv(y))
    torch.testing.assert_close(back.pinv(y), A.pinv(y), rtol=1e-3, atol=1e-3)


def test_a_law_becomes_a_physics_with_what_it_draws_from() -> None:
    theirs = as_physics(Inpainting(), (3, 4, 4), n=2, rng=rng())
    assert torch.equal(theirs(x := normal((3, 4, 4), 2)), draw(Inpainting(), (3, 4, 4), 2)(x))
    with pytest.raises(ValueError, match="a law becomes a physics with the shape"):
        as_physics(Inpainting())


def test_a_nonlinear_operator_becomes_a_physics_without_adjoint() -> None:
    theirs = as_physics(draw(Clip(), (4,)))
    assert not isinstance(theirs, physics().LinearPhysics)
    x, v = normal((4,)), normal((4,)) + 1
    torch.testing.assert_close(theirs.A_vjp(x, v), torch.where(x.abs() <= 1, v, 0.0))
    assert not from_physics(theirs).linear


def test_deepinv_solves_with_ours() -> None:
    """Its least squares, by our A and A^T alone, is our pseudo-inverse."""
    A = draw(GaussianBlur(3, 0.5), (1, 8, 8))
    theirs = as_physics(A)
    x = physics().LinearPhysics.A_dagger(theirs, A(normal((1, 8, 8))), max_iter=300, tol=1e-7)
    torch.testing.assert_close(x, normal((1, 8, 8)), rtol=1e-3, atol=1e-3)


KERNEL = [[[[0.1, 0.3, 0.0], [0.2, 0.2, 0.0], [0.1, 0.1, 0.0]]]]
LAWS = {
    "default": DeepInv(),
    "fixed blur": DeepInv("Blur", {"filter": KERNEL, "padding": "circular"}),
    "valid blur": DeepInv("Blur", {"filter": KERNEL, "padding": "valid"}),
    "compressed sensing": DeepInv("CompressedSensing", {"m": 5}, seed=3),
    "tomography": DeepInv("Tomography", {"angles": 3, "img_width": 4, "normalize": False}),
    "random masks": DeepInv("Inpainting", {}, "BernoulliSplittingMaskGenerator", {"split_ratio": 0.4}),
    "random lines": DeepInv("MRI", {}, "RandomMaskGenerator", {"acceleration": 2, "center_fraction": 0.3}),
    "random kernels": DeepInv("Blur", {"padding": "circular"}, "MotionBlurGenerator", {"psf_size": [3, 3]}),
}


@pytest.mark.parametrize("name", LAWS)
def test_theirs_obey_our_contract(name: str) -> None:
    findings = list(check_operator(LAWS[name], ((1, 4, 4), (2, 6, 4), (2, 5, 7)), seeds=1))
    # Rotations in float32 leave singular values as small as rounding, which no cutoff separates.
    exempt = {"pseudo-inverse"} if name == "tomography" else set()
    assert [f"{f.name}: {f.text}" for f in findings if not f.passed and f.name not in exempt] == []


def test_draws_of_a_generator_follow_the_address() -> None:
    law, x = LAWS["random masks"], torch.ones(4, 1, 5, 5)
    before = torch.get_rng_state()
    first, second = (law.draw((1, 5, 5), 4, rng(name))(x) for name in ("A", "B"))
    assert torch.equal(first, law.draw((1, 5, 5), 4, rng("A"))(x))
    assert not torch.equal(first, second) and not torch.equal(first[0], first[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_what_a_physics_draws_itself_follows_the_seed() -> None:
    x = normal((1, 4, 4))
    one, other = (DeepInv("CompressedSensing", {"m": 5}, seed=seed) for seed in (0, 1))
    assert torch.equal(draw(one, (1, 4, 4))(x), one.draw((1, 4, 4), 3, rng("other"))(x))
    assert not torch.equal(draw(one, (1, 4, 4))(x), draw(other, (1, 4, 4))(x))


def test_identifiability_of_theirs() -> None:
    assert not LAWS["compressed sensing"].identifiable((1, 4, 4))
    assert LAWS["random masks"].identifiable((1, 32, 32))
    assert LAWS["fixed blur"].identifiable((1, 5, 5))


def test_a_suite_names_them() -> None:
    spec = {
        "deepinv": {
            "physics": "MRI",
            "generator": "RandomMaskGenerator",
            "options": {},
            "generator_options": {"acceleration": 2, "center_fraction": 0.25},
        }
    }
    desk = Desk()
    law = component(desk, ("operator",), spec, "operators")
    assert desk.mistakes == [] and law.random and law.linear
    assert law.measured_shape((2, 8, 8)) == (2, 8, 8)
    assert revive(describe(LAWS["fixed blur"])).identifiable((1, 4, 4)) is not None
    assert torch.equal(
        revive(describe(LAWS["fixed blur"])).draw((1, 4, 4), 3, rng())(normal((1, 4, 4))),
        draw(LAWS["fixed blur"], (1, 4, 4))(normal((1, 4, 4))),
    )


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (DeepInv("Blurr"), "deepinv.physics has no class 'Blurr'"),
        (DeepInv("Blur", {"filtre": 3}), "deepinv.physics.Blur|deepinv's Blur"),
        (DeepInv("CompressedSensing", {}), "CompressedSensing cannot be made .* missing .* 'm'"),
        (DeepInv("MRI", {}), r"does not take signals of shape \(3, 4, 4\)"),
        (DeepInv("Inpainting", {}, "NoGenerator"), "deepinv.physics.generator has no class 'NoGenerator'"),
    ],
    ids=lambda value: value.physics if isinstance(value, DeepInv) else "",
)
def test_errors_say_what_does_not_fit(law: DeepInv, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        law.measured_shape((3, 4, 4))


def test_without_deepinv_nothing_fits_and_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    deepinv_physics._measured.cache_clear()
    load.cache_clear()
    monkeypatch.setattr(deepinv_physics.importlib.util, "find_spec", lambda name: None)
    try:
        with pytest.raises(ValueError, match=r'pip install -c constraints.txt "dcdbench\[deepinv\]"'):
            DeepInv("Denoising", {}).draw((2, 4, 4), 1, rng())
        assert DeepInv().linear and not DeepInv().masks
    finally:
        load.cache_clear()
