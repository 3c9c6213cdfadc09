"""A user's own folder of images."""

from __future__ import annotations

__all__ = ["Folder"]

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from dcdbench.datasets import register
from dcdbench.datasets.own import CORRUPTED, checked, existing, own_data
from dcdbench.protocols import Data
from dcdbench.streams import Stream

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes with one channel


@register("folder")
@dataclass(frozen=True)
class Folder:
    """Your own images, the .png, .jpg and .tif files of a folder, all of one size.

    Pixels of 8 bits become `x / 127.5 - 1`, those of 16 bits `x / 32767.5 - 1`, both in [-1, 1], and
    `sigma_y` is in that unit; pixels that are floats are taken as they are.

    Note:
        Files of 8 bits round to 1/127.5, and cut what leaves [-1, 1]. Where noise was added before,
        that changes its law: it is no longer Gaussian near black and white. Images with much noise
        are better stored as floats, in a .tif file or an array.

    Args:
        path: The folder. Folders in it are not looked into.
        corrupted: Whether the images are measurements already, or clean and to be corrupted.
        mode: `L` for grey, `RGB` for colour, `auto` for what the files are, which must then agree.
        reference: A folder of clean, held-out images for scores of corrupted data: half reference,
            half floor. No method sees them.
    """

    path: Path
    corrupted: bool = field(metadata=CORRUPTED)
    mode: Literal["auto", "L", "RGB"] = "auto"
    reference: Path | None = None

    divides: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _files("path", self.path)
        if self.reference is None:
            return
        if not self.corrupted:
            raise ValueError("reference is for corrupted data: clean images are their own reference")
        _files("reference", self.reference)

    def shape(self) -> tuple[int, ...]:
        """`(channels, height, width)`, of the first file; `load` holds the others against it."""
        name, path = ("path", self.path) if self.reference is None else ("reference", self.reference)
        first = _files(name, path)[0]
        return _shape(first, self.mode, first.stat().st_mtime_ns)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """A random division per seed."""
        x = _read("path", self.path, self.mode)
        reference = None if self.reference is None else _read("reference", self.reference, self.mode)
        return own_data(x, self.corrupted, reference, train, heldout, stream)


def _files(field: str, folder: Path) -> list[Path]:
    """The images of a folder, sorted by name."""
    existing(field, folder)
    if not folder.is_dir():
        raise ValueError(f"{field} must be a folder of images, got the file {folder}")
    known = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    if not known:
        raise ValueError(f"{field} must hold images ({' '.join(SUFFIXES)}), and there are none in {folder}")
    return sorted(known)


@cache
def _shape(file: Path, mode: str, changed: int) -> tuple[int, ...]:
    with _opened(file) as image:
        return (_channels(image, mode), image.height, image.width)


def _read(field: str, folder: Path, mode: str) -> Tensor:
    files = _files(field, folder)
    shape = _shape(files[0], mode, files[0].stat().st_mtime_ns)
    signals = []
    for file in files:
        with _opened(file) as image:
            found = (_channels(image, mode), image.height, image.width)
            if found != shape:
                raise ValueError(_odd(file, found, files[0], shape))
            signals.append(_pixels(image, found[0], file))
    return checked(torch.from_numpy(np.stack(signals)), str(folder))


def _odd(file: Path, found: tuple[int, ...], first: Path, shape: tuple[int, ...]) -> str:
    text = f"{file} is {_words(found)}, but {first.name} is {_words(shape)}: "
    if found[1:] == shape[1:]:
        return text + "say which with `mode: L` or `mode: RGB`"
    return text + "all images must have one size"


def _words(shape: tuple[int, ...]) -> str:
    return f"{shape[2]} x {shape[1]} pixels in {'grey' if shape[0] == 1 else 'colour'}"


def _opened(file: Path) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(file)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"path cannot be read: {file}: {error}") from error


def _channels(image: Image, mode: str) -> int:
    if mode != "auto":
        return 1 if mode == "L" else 3
    if image.mode == "P":  # a palette, of greys or of colours
        colours = np.asarray(image.convert("RGB"))
        return 1 if (colours == colours[..., :1]).all() else 3
    return 1 if image.mode in GREY else 3


def _pixels(image: Image, channels: int, file: Path) -> np.ndarray:
    """Float32, `(channels, height, width)`."""
    try:
        if image.mode in ("F", "I") or image.mode.startswith("I;16"):
            x = np.asarray(image)
            if image.mode != "F" and (x.min() < 0 or x.max() > 65535):
                raise ValueError(
                    f"{file} has more than 16 bits per pixel: store it as floats, in a .tif file"
                )
            x = x.astype(np.float32) if image.mode == "F" else x.astype(np.float32) / 32767.5 - 1
            return np.repeat(x[None], channels, 0)
        x = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32) / 127.5 - 1
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error}") from error
    return x[None] if channels == 1 else x.transpose(2, 0, 1)
