"""Every registered operator obeys every law of the contract, on any small shape and seed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdbench.harness.conformance import CONTRACT, SHAPES, Case, fits
from dcdbench.harness.operator_laws import LINEAR
from dcdbench.operators import registry

sizes = st.integers(1, 6)
shapes = st.one_of(st.sampled_from(SHAPES), st.tuples(sizes), st.tuples(st.integers(1, 3), sizes, sizes))


@pytest.mark.parametrize("law", CONTRACT)
@pytest.mark.parametrize("name", registry)
@settings(max_examples=12, deadline=None)
@given(shape=shapes, seed=st.integers(0, 2**32))
def test_law(name: str, law: str, shape: tuple[int, ...], seed: int) -> None:
    operator = registry[name]()
    if fits(operator, shape) and (operator.linear or law not in LINEAR):
        CONTRACT[law](Case(operator, shape, seed=seed))


@pytest.mark.parametrize("name", registry)
def test_some_shape_fits(name: str) -> None:
    assert any(fits(registry[name](), shape) for shape in SHAPES)
