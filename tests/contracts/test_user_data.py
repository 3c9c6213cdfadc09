"""A user's own data: what comes in, how it is divided, and what is said where it cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dcdbench.datasets.array import Array
from dcdbench.datasets.folder import Folder
from dcdbench.harness.context import Context, Parent
from dcdbench.harness.stages import measurement
from dcdbench.harness.suite import SuiteError
from dcdbench.harness.suitefile import load_suite
from dcdbench.operators.identity import Identity
from dcdbench.operators.inpainting import Inpainting
from dcdbench.problem import Corruption
from dcdbench.protocols import DataSource
from dcdbench.streams import Stream

STREAM = Stream(0) / "data"
Y = torch.randn(20, 1, 6, 5, generator=STREAM.rng())


def sources(folder: Path) -> dict[str, Any]:
    np.save(folder / "y.npy", Y.numpy())
    np.savez(folder / "y.npz", y=Y.numpy(), mask=np.ones((20, 6, 5), bool), names=np.array(["a"] * 20))
    save_file({"y": Y, "mask": torch.ones(20, 1, 6, 5)}, folder / "y.safetensors")
    return {
        suffix: Array(folder / f"y{suffix}", corrupted=True) for suffix in (".npy", ".npz", ".safetensors")
    }


def paint(folder: Path, pixels: np.ndarray, mode: str | None = None, suffix: str = ".png") -> Path:
    folder.mkdir(exist_ok=True)
    for i, image in enumerate(pixels):
        Image.fromarray(image, mode).save(folder / f"{i:03}{suffix}")
    return folder


def grey(n: int = 12, size: tuple[int, int] = (6, 5)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *size), np.uint8)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_files_of_all_kinds_give_the_same_division(tmp_path: Path, suffix: str) -> None:
    source = sources(tmp_path)[suffix]
    assert isinstance(source, DataSource) and source.shape() == (1, 6, 5)
    data = source.load(None, 6, STREAM)
    assert [len(t) for t in (data.train, data.val, data.test, data.reference)] == [14, 2, 4, 0]
    assert data.train.dtype == torch.float32
    rows = torch.cat([data.train, data.val, data.test]).flatten(1)
    assert torch.equal(rows.sort(0).values, Y.flatten(1).sort(0).values), "each entry once"
    same = sources(tmp_path)[".npy"].load(None, 6, STREAM)
    assert torch.equal(data.train, same.train)
    other = source.load(None, 6, Stream(1) / "data")
    assert not torch.equal(data.train, other.train), "control: another seed divides otherwise"


def test_draws_travel_with_their_measurements(tmp_path: Path) -> None:
    index = torch.arange(20.0).reshape(20, 1, 1, 1).expand(20, 1, 3, 3)
    save_file({"y": index.contiguous(), "mask": index.clone()}, tmp_path / "a.safetensors")
    data = Array(tmp_path / "a.safetensors", corrupted=True).load(10, 6, STREAM)
    for split in ("train", "val", "test"):
        assert torch.equal(data.operator[f"{split}/mask"], getattr(data, split)), split


def test_clean_arrays_are_their_own_reference(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(30, 4)))
    data = Array(tmp_path / "x.npy", corrupted=False).load(None, None, STREAM)
    assert torch.equal(data.reference, data.test) and len(data.floor) == len(data.reference)
    assert not data.operator


def test_references_are_halved_and_only_for_scores(tmp_path: Path) -> None:
    sources(tmp_path)
    clean = torch.randn(10, 1, 6, 5, generator=STREAM.rng())
    np.save(tmp_path / "x.npy", clean.numpy())
    data = Array(tmp_path / "y.npy", corrupted=True, reference=tmp_path / "x.npy").load(None, None, STREAM)
    halves = torch.cat([data.reference, data.floor]).flatten(1)
    assert len(data.reference) == 5 and torch.equal(halves.sort(0).values, clean.flatten(1).sort(0).values)
    with pytest.raises(ValueError, match="reference is for corrupted data"):
        Array(tmp_path / "y.npy", corrupted=False, reference=tmp_path / "x.npy")


def test_labels_travel_with_clean_signals_for_scores(tmp_path: Path) -> None:
    """Each signal is its own label. Classes of corrupted data stand beside their references."""
    x, labels = np.arange(30.0).reshape(30, 1), np.arange(30, dtype=np.uint8)
    np.savez(tmp_path / "x.npz", signals=x, labels=labels)
    np.save(tmp_path / "y.npy", x)
    own = Array(tmp_path / "x.npz", corrupted=False).load(None, None, STREAM)
    beside = Array(tmp_path / "y.npy", corrupted=True, reference=tmp_path / "x.npz").load(None, None, STREAM)
    for data in (own, beside):
        for split in ("reference", "floor"):
            assert torch.equal(data.labels[split], getattr(data, split)[:, 0].long())
        assert not data.operator and len(data.labels) == 2
        assert not torch.equal(data.labels["reference"].sort().values, data.labels["floor"].sort().values)
    assert not Array(tmp_path / "y.npy", corrupted=False).load(None, None, STREAM).labels  # control


@pytest.mark.parametrize("labels", [np.zeros(9, np.int64), np.zeros(30), np.zeros((30, 2), bool)])
def test_labels_that_cannot_be_used(tmp_path: Path, labels: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", x=np.arange(30.0).reshape(30, 1), labels=labels)
    with pytest.raises(ValueError, match=r"x.npz, entry 'labels', must have one whole number for each of 30"):
        Array(tmp_path / "x.npz", corrupted=False).load(None, None, STREAM)
    with pytest.raises(ValueError, match=r"entry 'labels', has no use.* stand in the file that `reference`"):
        Array(tmp_path / "x.npz", corrupted=True).load(None, None, STREAM)
    np.savez(tmp_path / "x.npz", x=np.arange(30.0).reshape(30, 1), labels=np.array(["a"] * 30))
    with pytest.raises(ValueError, match=r"'labels', must hold whole numbers, got <U1"):
        Array(tmp_path / "x.npz", corrupted=False).load(None, None, STREAM)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 3), np.uint8), "holds uint8 numbers.*127.5"),
        (np.zeros((5,)), r"must have shape .* got \(5,\)"),
        (np.where(np.arange(15).reshape(5, 3) == 7, np.nan, 0.0), "bad.npy: entry 2 holds NaN"),
    ],
)
def test_an_array_that_cannot_be_used(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(ValueError, match=message):
        Array(tmp_path / "bad.npy", corrupted=True).load(None, None, STREAM)


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=np.zeros((9, 2)), b=np.zeros((9, 2)))
    with pytest.raises(ValueError, match="entries a, b; name one with `key`"):
        Array(tmp_path / "two.npz", corrupted=True)
    assert Array(tmp_path / "two.npz", corrupted=True, key="b").shape() == (2,)
    with pytest.raises(ValueError, match="key must name an entry"):
        Array(tmp_path / "two.npz", corrupted=True, key="c")
    for name in ("garbage.npz", "garbage.npy", "garbage.safetensors", "garbage.csv"):
        (tmp_path / name).write_bytes(b"garbage")
        with pytest.raises(ValueError, match="path cannot be read"):
            Array(tmp_path / name, corrupted=True)
    with pytest.raises(ValueError, match="must be a file or folder that exists"):
        Array(tmp_path / "none.npy", corrupted=True)


def test_a_mask_with_another_number_of_rows(tmp_path: Path) -> None:
    np.savez(tmp_path / "y.npz", y=np.zeros((9, 2)), mask=np.ones((8, 2)))
    with pytest.raises(ValueError, match="'mask', has 8 rows and 'y' has 9"):
        Array(tmp_path / "y.npz", corrupted=True).load(None, None, STREAM)


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 127.5), (np.uint16, 32767.5)])
def test_pixels_are_scaled_by_their_depth(tmp_path: Path, dtype: type, scale: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 2 * scale, (9, 4, 3)).astype(dtype)
    pixels[:, 0, :2] = [0, round(2 * scale)]
    data = Folder(paint(tmp_path / "f", pixels), corrupted=False).load(6, 3, STREAM)
    x = torch.cat([data.train, data.val, data.test])
    assert x.shape == (9, 1, 4, 3) and x.min() == -1 and x.max() == 1
    expected = torch.from_numpy(pixels / scale - 1).float().flatten(1)
    torch.testing.assert_close(x.flatten(1).sort(0).values, expected.sort(0).values)


def test_floats_are_taken_as_they_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(size=(9, 4, 3)).astype(np.float32)
    data = Folder(paint(tmp_path / "f", pixels, suffix=".tif"), corrupted=True).load(6, 3, STREAM)
    x = torch.cat([data.train, data.val, data.test]).flatten(1)
    assert torch.equal(x.sort(0).values, torch.from_numpy(pixels).flatten(1).sort(0).values)


def test_colour_and_grey(tmp_path: Path) -> None:
    colour = paint(tmp_path / "c", np.random.default_rng(0).integers(0, 256, (9, 4, 3, 3), np.uint8))
    assert Folder(colour, corrupted=False).shape() == (3, 4, 3)
    assert Folder(colour, corrupted=False, mode="L").load(6, 3, STREAM).train.shape == (6, 1, 4, 3)
    plain = paint(tmp_path / "g", grey(9, (4, 3)))
    assert Folder(plain, corrupted=False, mode="RGB").load(6, 3, STREAM).train.shape == (6, 3, 4, 3)
    Image.fromarray(grey(1, (4, 3))[0]).save(colour / "004.png")
    with pytest.raises(ValueError, match=r"004.png is 3 x 4 pixels in grey, .* `mode: L` or `mode: RGB`"):
        Folder(colour, corrupted=False).load(6, 3, STREAM)


def test_the_first_odd_image_is_named(tmp_path: Path) -> None:
    folder = paint(tmp_path / "f", grey())
    for i in (7, 9):
        Image.fromarray(grey(1, (5, 5))[0]).save(folder / f"{i:03}.png")
    with pytest.raises(ValueError, match=r"007.png is 5 x 5 pixels in grey, but 000.png is 5 x 6"):
        Folder(folder, corrupted=True).load(None, None, STREAM)


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are none in"):
        Folder(tmp_path, corrupted=True)
    (tmp_path / "a.png").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"cannot be read: .*a.png"):
        Folder(tmp_path, corrupted=True).load(None, None, STREAM)
    with pytest.raises(ValueError, match="must be a folder of images"):
        Folder(tmp_path / "a.png", corrupted=True)


def measured(source: Any, law: Any, tmp_path: Path) -> dict[str, torch.Tensor]:
    """The stage of measurements on a user's data, its train split."""
    data = source.load(None, None, STREAM)
    splits = {name: getattr(data, name) for name in ("train", "val", "test", "reference", "floor")}
    groups = {"splits": splits, "operator": data.operator, "labels": data.labels}
    parent = Parent({}, groups.__getitem__)
    context = Context(Stream(0) / "measurement", "cpu", tmp_path, {"data": parent}, lambda *_: None)
    made = measurement.run(context, Corruption(law, 0.1), corrupted=True, shape=source.shape())
    assert made.result["shape"] == list(source.shape())
    return made.tensors["train"]


def test_measurements_keep_their_masks(tmp_path: Path) -> None:
    mask = (torch.rand(20, 6, 5, generator=STREAM.rng()) < 0.5).float()
    np.savez(tmp_path / "m.npz", y=Y.numpy(), mask=mask.numpy())
    found = measured(Array(tmp_path / "m.npz", corrupted=True), Inpainting(0.5), tmp_path)
    assert torch.equal(found["y"], found["y"] * found["A/mask"]), "what was not seen reads 0"
    assert found["A/mask"].shape == found["y"].shape


def test_measurements_without_the_draws_say_what_to_add(tmp_path: Path) -> None:
    source = sources(tmp_path)[".npy"]
    with pytest.raises(ValueError, match=r"Inpainting needs .* add an entry 'mask'"):
        measured(source, Inpainting(0.5), tmp_path)
    assert torch.is_tensor(measured(source, Identity(), tmp_path)["y"]), "control: no draws are needed here"


def test_masks_that_do_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", y=Y.numpy(), mask=np.ones((20, 7, 7)))
    with pytest.raises(ValueError, match="do not fit"):
        measured(Array(tmp_path / "m.npz", corrupted=True), Inpainting(0.5), tmp_path)


SUITE = """\
network: mlp
budget: {teacher_kimg: 1, student_kimg: 1}
tasks: {mine: {data: DATA, operator: identity, sigma_y: 0.2}}
methods: {dcd: dcd}
metrics: [measurement]
"""


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (
            "{array: {path: y.npy}}",
            "tasks.mine.data.array",
            "'corrupted' is missing; true if these are measurements",
        ),
        ("{array: {path: z.npy, corrupted: true}}", "tasks.mine.data.array.path", "exists"),
        ("{folder: {path: ., corrupted: true}}", "tasks.mine.data.folder.path", "there are none in"),
        ("{array: {path: y.npy, corrupted: maybe}}", "tasks.mine.data.array.corrupted", "true or false"),
    ],
)
def test_a_suite_with_data_that_cannot_be_used(tmp_path: Path, data: str, place: str, message: str) -> None:
    sources(tmp_path)
    (tmp_path / "s.yaml").write_text(SUITE.replace("DATA", data))
    with pytest.raises(SuiteError, match=message) as found:
        load_suite(tmp_path / "s.yaml")
    assert [mistake.path for mistake in found.value.mistakes] == [place]
    (tmp_path / "s.yaml").write_text(SUITE.replace("DATA", "{array: {path: y.npy, corrupted: true}}"))
    assert load_suite(tmp_path / "s.yaml").tasks["mine"].data.corrupted, "control"
