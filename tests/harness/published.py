"""Small files of the same form as MNIST, Fashion-MNIST and CIFAR-10, whose images say what they are."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcdbench.datasets.cifar10 import Cifar10
from dcdbench.datasets.fashion_mnist import FashionMnist
from dcdbench.datasets.mnist import Mnist
from dcdbench.datasets.parts import InParts
from dcdbench.datasets.real_file import RealFile

SOURCES: tuple[type[InParts], ...] = (Mnist, FashionMnist, Cifar10)
EARLY, LATE = 200, 100  # images of the two parts; pixel 0 of an image is its label, pixel 1 its part
URL = "http://127.0.0.1/elsewhere"


def known(folder: Path, name: str, url: str | None = None) -> RealFile:
    """A file of the folder, as the benchmark would know it."""
    content = (folder / name).read_bytes()
    return RealFile(name, hashlib.sha256(content).hexdigest(), len(content), url)


def images(n: int, channels: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, and labels in turn."""
    rng = np.random.default_rng(n)
    x, labels = (
        rng.integers(0, 256, (n, channels, side, side), np.uint8),
        (np.arange(n) % 10).astype(np.uint8),
    )
    x[:, :, 0, 0], x[:, :, 0, 1] = labels[:, None], n
    return x, labels


def idx(array: np.ndarray) -> bytes:
    """The compressed idx file of an array of bytes."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.tobytes())


def archive(parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """An archive of pickled batches, rows of red, then green, then blue."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, (x, labels) in parts.items():
            batch: dict[bytes, Any] = {b"data": x.reshape(len(x), -1), b"labels": labels.tolist()}
            content = pickle.dumps(batch, protocol=2)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


@cache
def content(source: type[InParts]) -> tuple[bytes, ...]:
    """What the files of a source hold."""
    early, late = (images(n, source.channels, source.side) for n in (EARLY, LATE))
    if source is not Cifar10:
        return tuple(idx(array) for array in (early[0][:, 0], early[1], late[0][:, 0], late[1]))
    fifth = EARLY // 5
    cut = [(early[0][i : i + fifth], early[1][i : i + fifth]) for i in range(0, EARLY, fifth)]
    batches = {f"data_batch_{i}": part for i, part in enumerate(cut, 1)}
    return (archive({"batches.meta": late} | batches | {"test_batch": late}),)


def put(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes such files, which the sources take for theirs from then on."""
    monkeypatch.setenv("DCDBENCH_DATA", str(folder))
    monkeypatch.delenv("DCDBENCH_DOWNLOAD", raising=False)
    for source in SOURCES:
        for file, raw in zip(source.files, content(source), strict=True):
            (folder / file.name).parent.mkdir(exist_ok=True)
            (folder / file.name).write_bytes(raw)
        files = tuple(known(folder, file.name, f"{URL}/{file.name}") for file in source.files)
        monkeypatch.setattr(source, "files", files)
