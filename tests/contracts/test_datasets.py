"""The contract of the family: every registered data source meets it, without a new test file.

Sources that read a user's files get some from `EXAMPLES`, and those that read published files get small ones
of the same form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest
import torch
from component import global_generator_at_rest, is_component
from PIL import Image
from torch import Tensor

from dcdbench.datasets import drawn, registry
from dcdbench.harness.context import Context, Parent
from dcdbench.harness.stages import data as data_stage
from dcdbench.harness.stages import measurement
from dcdbench.operators.identity import Identity
from dcdbench.problem import Corruption
from dcdbench.protocols import Data, DataSource
from dcdbench.streams import Stream

SPLITS = ("train", "val", "test", "reference", "floor")


def array(folder: Path) -> DataSource:
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32))
    source: DataSource = registry["array"](folder / "x.npy", corrupted=False)
    return source


def images(folder: Path) -> DataSource:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 6, 5), np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{i:02}.png")
    source: DataSource = registry["folder"](folder, corrupted=True)
    return source


EXAMPLES: dict[str, Callable[[Path], DataSource]] = {"array": array, "folder": images}


def needs_arguments(name: str) -> bool:
    return any(f.default is MISSING and f.default_factory is MISSING for f in fields(registry[name]))


def test_every_source_that_needs_arguments_has_an_example() -> None:
    assert {name for name in registry if needs_arguments(name)} == set(EXAMPLES)


@pytest.fixture(params=list(registry))
def source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    make = EXAMPLES.get(request.param)
    if registry[request.param] in published.SOURCES:
        published.put(tmp_path, monkeypatch)
    found = make(tmp_path) if make else registry[request.param]()
    missing = getattr(found, "missing", None)
    if missing is not None and (reason := missing()):
        pytest.skip(reason)
    return found


def load(source: DataSource, train: int | None = 30, heldout: int | None = 12, seed: int = 0) -> Data:
    return source.load(train, heldout, Stream(seed) / "data")


def splits(data: Data) -> dict[str, Tensor]:
    return {name: getattr(data, name) for name in SPLITS}


def rows(x: Tensor) -> set[tuple[float, ...]]:
    return {tuple(row) for row in x.flatten(1).tolist()}


def test_is_a_component(source: Any) -> None:
    is_component(source, DataSource)
    assert isinstance(source.corrupted, bool)


def test_splits_have_the_shape_of_signals(source: Any) -> None:
    data = load(source)
    for name, x in splits(data).items():
        assert x.dtype == torch.float32 and x.device.type == "cpu", name
        assert x.shape[1:] == source.shape() and bool(torch.isfinite(x).all()), name
    assert len(data.train) == 30 and len(data.val) >= 1 and len(data.test) >= 1


def test_references_are_as_many_as_their_floor_or_none(source: Any) -> None:
    data = load(source)
    assert len(data.reference) == len(data.floor)
    assert (len(data.reference) > 0) is not source.corrupted
    assert not source.corrupted or getattr(source, "reference", None) is None


def test_what_is_held_out_is_in_no_other_split(source: Any) -> None:
    data = load(source)
    held = rows(data.val), rows(data.test), rows(data.train)
    assert not (held[0] & held[1]) and not (held[0] & held[2]) and not (held[1] & held[2])
    assert not (rows(data.reference) & (rows(data.train) | rows(data.val) | rows(data.floor)))
    assert all(len(h) == len(x) for h, x in zip(held, (data.val, data.test, data.train), strict=True))


def test_is_a_function_of_its_stream(source: Any) -> None:
    with global_generator_at_rest():
        one = splits(load(source))
    torch.manual_seed(3)
    again, other = splits(load(source)), splits(load(source, seed=1))
    assert all(torch.equal(one[name], again[name]) for name in SPLITS)
    assert all(not torch.equal(one[name], other[name]) for name in SPLITS if len(one[name]))


def test_more_training_data_move_nothing_that_is_held_out(source: Any) -> None:
    few, many = load(source, train=10), load(source, train=40)
    for name in ("val", "test", "reference"):
        assert torch.equal(getattr(few, name), getattr(many, name)), name
    assert len(few.train) == 10 and len(many.train) == 40


def test_draws_of_operators_belong_to_corrupted_data(source: Any) -> None:
    data = load(source)
    assert source.corrupted or not data.operator
    for name, tensor in data.operator.items():
        split, _, _ = name.partition("/")
        assert len(tensor) == len(getattr(data, split))


def test_labels_are_classes_of_what_is_clean_and_scored(source: Any) -> None:
    data, again = load(source), load(source)
    assert set(data.labels) in (set(), {"reference", "floor"})
    for split, labels in data.labels.items():
        assert labels.dtype == torch.int64 and labels.shape == (len(getattr(data, split)),)
        assert torch.equal(again.labels[split], labels)


def test_no_label_reaches_a_problem(source: Any) -> None:
    """What is measured is the same without labels, and every tensor of it belongs to a measurement."""
    if source.corrupted or not (data := load(source)).labels:
        pytest.skip("no labels")
    with_labels, without = measured(source, data), measured(source, replace(data, labels={}))
    assert {split: set(t) for split, t in with_labels.items()} == {k: {"y"} for k in measurement.MEASURED}
    assert all(torch.equal(t["y"], without[split]["y"]) for split, t in with_labels.items())
    other = measured(source, replace(data, test=data.reference.flip(0)))  # control
    assert not torch.equal(other["test"]["y"], without["test"]["y"])


def measured(source: DataSource, data: Data) -> dict[str, dict[str, Tensor]]:
    """What the stages of data and measurement store."""

    @dataclass(frozen=True)
    class Given:
        def shape(self) -> tuple[int, ...]:
            return source.shape()

        def load(self, *_: Any) -> Data:
            return data

    context = Context(Stream(0), "cpu", Path(), {}, lambda fraction, text: None)
    made = data_stage.run(context, Given(), None, None)  # type: ignore[arg-type]
    parent = Parent({"result": made.result}, made.tensors.__getitem__)
    context.parents["data"] = parent
    return measurement.run(context, Corruption(Identity(), 0.1), False, source.shape()).tensors


def test_defaults_give_something(source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (drawn.TRAIN, drawn.HELDOUT) == (20_000, 2_000)
    monkeypatch.setattr(drawn, "TRAIN", 300)  # drawing so many takes seconds, and shows nothing more
    monkeypatch.setattr(drawn, "HELDOUT", 30)
    data = load(source, None, None)
    assert len(data.train) >= 30 and len(data.val) >= 3


def test_more_than_there_are_is_refused_or_drawn(source: Any) -> None:
    """Laws have as many as one asks for; what is finite says how many there are."""
    if hasattr(source, "law"):
        assert len(load(source, train=5000).train) == 5000
    else:
        with pytest.raises(ValueError, match="must fit into"):
            load(source, train=10**6)


def test_an_analytic_law_is_that_of_the_data(source: Any) -> None:
    if not hasattr(source, "law"):
        pytest.skip("no analytic law")
    law, n = source.law(), 40_000
    data = load(source, train=n, heldout=20_000)
    for x in (data.train, data.reference, data.floor, data.test):
        flat = x.flatten(1).double()
        error = (law.cov.diagonal() / len(flat)).sqrt() + 1e-6
        assert float(((flat.mean(0) - law.mean) / error).abs().max()) < 4.5
        scale = float(law.cov.diagonal().max())
        assert float((flat.T.cov() - law.cov).abs().max()) < 6 * scale * (2 / len(flat)) ** 0.5
    centred = data.train.flatten(1).double() - law.mean
    assert float((centred.T @ centred / n - 1.2 * law.cov).abs().max()) > 0.01 * scale  # control
