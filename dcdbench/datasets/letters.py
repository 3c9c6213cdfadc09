"""Capital letters in many typefaces, each turned, slanted, scaled and moved at random."""

from __future__ import annotations

__all__ = ["FONTS", "Letters"]

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dcdbench.datasets import register
from dcdbench.datasets.drawn import draw_labelled
from dcdbench.protocols import Data
from dcdbench.streams import Stream

if TYPE_CHECKING:
    from PIL.Image import Image

# Files of matplotlib's folder `fonts/ttf` whose capitals are Latin ones; the order is part of the law.
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmtt10", "cmti10"),
)
FINE = 8  # points per pixel along each axis, whose mean is the pixel
EM = 0.9  # the height of the type as a share of the image: capitals are about 0.7 of that
TURN, TURNS = math.radians(6), 3.0  # the angle's standard deviation, and how many of them it may be
SCALE = (0.8, 1.05)
SHEAR = 0.15  # at most, to either side
SHIFT = 0.1  # of the image's side, at most, in each direction
NUMBERS = 7  # random numbers per image


class Glyph(NamedTuple):
    """A letter that is drawn large, cut to its ink."""

    image: Image
    width: int
    height: int


@register("letters")
@dataclass(frozen=True)
class Letters:
    """Capital letters of 21 fonts, grey in [-1, 1], -1 where there is no ink.

    Letter and font are uniform. The letter is sheared by up to 0.15, scaled by 0.8 to 1.05, turned by an
    angle from a normal law of standard deviation 6 degrees, truncated at 18, and moved by up to a tenth of
    the image. It stays whole: one that would leave the image is scaled down, or moved less. The fonts are
    DejaVu, STIX and Computer Modern as matplotlib ships them; Pillow draws them. Pixels have 256 levels, and
    are the same on every processor for the same versions of the two libraries.

    Image `i` of a split is a function of the split's address and of `i`. Labels are places in `characters`.

    Args:
        size: Pixels along each side, at least 8.
        characters: Different capital letters, which are drawn equally often.
    """

    size: int = 16
    characters: str = ascii_uppercase

    corrupted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.size < 8:
            raise ValueError(f"size must be >= 8, got {self.size}")
        known = set(self.characters) <= set(ascii_uppercase)
        if not self.characters or not known or len(set(self.characters)) < len(self.characters):
            raise ValueError(f"characters must be different letters from A to Z, got {self.characters!r}")

    def shape(self) -> tuple[int, ...]:
        """`(1, size, size)`."""
        return (1, self.size, self.size)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """Fresh draws for every split."""
        return draw_labelled(self._draw, train, heldout, stream)

    def _draw(self, split: str, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images, `(n, 1, size, size)`, and labels, `(n,)`."""
        u = torch.rand(n, NUMBERS, generator=rng, dtype=torch.float64)  # one row after the other
        letter, font = (u[:, 0] * len(self.characters)).long(), (u[:, 1] * len(FONTS)).long()
        glyphs = [
            _glyph(FONTS[f], self.characters[c], self.size)
            for f, c in zip(font.tolist(), letter.tolist(), strict=True)
        ]
        boxes = torch.tensor([(g.width, g.height) for g in glyphs], dtype=torch.float64)
        pixels = _painted(glyphs, _placed(boxes, u[:, 2:], FINE * self.size), self.size)
        return torch.from_numpy(pixels)[:, None].float() / 127.5 - 1, letter


def _placed(boxes: Tensor, u: Tensor, side: int) -> Tensor:
    """The affine maps, `(n, 2, 3)`, from points of an image of `side` points to points of a glyph.

    Args:
        boxes: Widths and heights of the glyphs, `(n, 2)`.
        u: Uniform numbers in [0, 1), `(n, 5)`: scale, shear, turn, and the two shifts.
        side: Of the image, in points.
    """
    tail = torch.special.ndtr(torch.tensor(-TURNS, dtype=u.dtype))
    angle = TURN * torch.special.ndtri(tail + (1 - 2 * tail) * u[:, 2])
    shear, zero = SHEAR * (2 * u[:, 1] - 1), torch.zeros_like(angle)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    slant = torch.stack([zero + 1, shear, zero, zero + 1], 1).view(-1, 2, 2)
    half = (turn @ slant).abs() @ boxes[:, :, None] / 2  # of the box around the letter, at scale 1
    scale = torch.minimum(SCALE[0] + (SCALE[1] - SCALE[0]) * u[:, 0], side / 2 / half.amax((1, 2)))
    slack = (side / 2 - scale[:, None] * half[..., 0]).clamp(0, SHIFT * side)
    centre = side / 2 + slack * (2 * u[:, 3:] - 1)
    back = torch.linalg.inv(scale[:, None, None] * turn @ slant)
    return torch.cat([back, boxes[:, :, None] / 2 - back @ centre[:, :, None]], 2)


def _painted(glyphs: list[Glyph], maps: Tensor, size: int) -> np.ndarray:
    """Bytes, `(n, size, size)`: glyphs under their maps, then the mean over each pixel.

    Both steps of Pillow's are of integers: its nearest neighbours have places in 16 binary digits.
    """
    from PIL.Image import Resampling, Transform

    fine = (FINE * size, FINE * size)
    pixels = np.empty((len(glyphs), size, size), np.uint8)
    for out, glyph, row in zip(pixels, glyphs, maps.flatten(1).tolist(), strict=True):
        large = glyph.image.transform(fine, Transform.AFFINE, row, Resampling.NEAREST)
        out[:] = np.asarray(large.reduce(FINE))
    return pixels


@cache
def _glyph(font: str, character: str, size: int) -> Glyph:
    """A letter for images of `size` pixels, in `FINE` points per pixel."""
    from PIL import Image, ImageDraw, ImageFont

    face = ImageFont.truetype(_files()[font], round(EM * FINE * size), layout_engine=ImageFont.Layout.BASIC)
    left, top, right, bottom = (int(edge) for edge in face.getbbox(character))
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), character, fill=255, font=face)
    inked = image.crop(image.getbbox())  # Pillow's box has the space to the next letter, too
    return Glyph(inked, *inked.size)


@cache
def _files() -> dict[str, Path]:
    """The files of the fonts.

    Raises:
        FileNotFoundError: This version of matplotlib lacks one.
    """
    import matplotlib

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    files = {name: folder / f"{name}.ttf" for name in FONTS}
    if lacking := [file.name for file in files.values() if not file.is_file()]:
        raise FileNotFoundError(
            f"letters needs fonts of matplotlib that version {matplotlib.__version__} does not have: "
            f"{', '.join(lacking)} in {folder}; install another version, for example matplotlib 3.11.2"
        )
    return files
