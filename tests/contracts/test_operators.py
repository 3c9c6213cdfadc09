"""Every registered operator obeys every law of the contract, on any small shape and seed."""

from __future__ import annotations

import importlib.util
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdbench.harness.conformance import CONTRACT, SHAPES, Case, check_operator, exempt, fits
from dcdbench.operators import registry
from dcdbench.operators.clip import Clip
from dcdbench.operators.composition import Composition
from dcdbench.operators.coordinates import Coordinates
from dcdbench.operators.fixed_mask import FixedMask
from dcdbench.operators.fourier import Fourier
from dcdbench.operators.gaussian_blur import GaussianBlur
from dcdbench.operators.inpainting import Inpainting
from dcdbench.operators.mixture import Mixture
from dcdbench.operators.motion_blur import MotionBlur
from dcdbench.operators.mri import MRI
from dcdbench.operators.quantise import Quantise
from dcdbench.operators.random_projections import RandomProjections
from dcdbench.operators.super_resolution import SuperResolution

SIZES = range(1, 7)
ANY = (
    *dict.fromkeys((*SHAPES, *((d,) for d in SIZES), *product((1, 2, 3), SIZES, SIZES))),
)  # small vectors and images
without = {"deepinv"} if importlib.util.find_spec("deepinv") is None else set()
names = [
    pytest.param(name, marks=pytest.mark.skip(f"{name} is not installed")) if name in without else name
    for name in registry
]


@pytest.mark.filterwarnings("ignore::UserWarning:deepinv")
@pytest.mark.parametrize("law", CONTRACT)
@pytest.mark.parametrize("name", names)
@settings(max_examples=12, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_law(name: str, law: str, data: st.DataObject, seed: int) -> None:
    operator = registry[name]()
    if (reason := exempt(operator, law)) is not None:
        pytest.skip(reason)
    shape = data.draw(st.sampled_from(fitting(name)), "shape")
    CONTRACT[law](Case(operator, shape, seed=seed))


@cache
def fitting(name: str) -> list[tuple[int, ...]]:
    """The small shapes that an operator takes."""
    return [shape for shape in ANY if fits(registry[name](), shape)]


@pytest.mark.filterwarnings("ignore::UserWarning:deepinv")
@pytest.mark.parametrize("name", names)
def test_some_shape_fits(name: str) -> None:
    assert any(fits(registry[name](), shape) for shape in SHAPES)


# A mask of what is measured in another shape or space; parts that show different things, or nothing; parts
# that are identifiable only together; nonlinear parts; parts of parts.
COMBINED = {
    "mask after blur": Composition(GaussianBlur(), Inpainting()),
    "mask after super-resolution": Composition(SuperResolution(), Inpainting()),
    "mask after coils": Composition(MRI(), Inpainting()),
    "coordinates after projections": Composition(RandomProjections(3), Coordinates(2)),
    "clip after blur": Composition(GaussianBlur(), Clip(gain=2.0)),
    "mask after clip": Composition(Clip(), Inpainting()),
    "mixture after mixture": Composition(Mixture(), Mixture((MotionBlur(), Composition()))),
    "two masks": Mixture((Inpainting(0.3), Inpainting(0.8)), (1.0, 3.0)),
    "masks that show different things": Mixture((Inpainting(), Fourier())),
    "masks of different shares": Mixture((Coordinates(1), Coordinates(2))),
    "mask or blur": Mixture((GaussianBlur(), Inpainting())),
    "halves": Mixture((FixedMask("half"), FixedMask("stripes"))),
    "clip or mask": Mixture((Clip(), Inpainting())),
    "clip or quantise": Mixture((Clip(), Quantise())),
}


@pytest.mark.parametrize("name", COMBINED)
def test_what_is_made_of_operators_obeys_their_contract(name: str) -> None:
    found = list(check_operator(COMBINED[name], seeds=1))
    assert [f"{f.name}: {f.text}" for f in found if not f.passed] == []
