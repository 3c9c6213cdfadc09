r"""Cartesian acquisition: which lines of k-space are sampled, and the centred Fourier transform.

Lines are the columns of k-space (phase encodes). The lines of the autocalibration region (ACS) in the
middle are always sampled, each other one with the probability `p` that makes the expected number `W / R`.
"""

from __future__ import annotations

__all__ = ["Cartesian", "LineDraw", "acs_region", "complex_image"]

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Literal, Self, get_args

import torch
from torch import Tensor

from dcdbench.operators.draw import LinearDraw
from dcdbench.operators.inpainting import bernoulli

Pattern = Literal["random", "equispaced"]


def acs_region(width: int, acs: int) -> slice:
    """The `acs` lines in the middle; zero frequency is line `width // 2`."""
    start = (width - acs + 1) // 2
    return slice(start, start + acs)


@dataclass(frozen=True)
class LineDraw(LinearDraw):
    """A draw that samples some lines of k-space; the others read 0.

    Args:
        lines: 1 where sampled, 0 elsewhere, `(B, W)`.
        acs: How many lines in the middle a further corruption leaves alone.
    """

    lines: Tensor
    acs: int

    shared: ClassVar[tuple[str, ...]] = ("acs",)
    exact_share: ClassVar[bool] = False

    def restrict(self, y: Tensor) -> Tensor:
        """Zeroes the lines that were not sampled."""
        return self.condition() * y

    def further(self, delta: float, rng: torch.Generator) -> Self:
        """Drops each sampled line outside the ACS region with probability `delta`."""
        kept = bernoulli(self.lines, 1 - delta, rng)
        kept[:, acs_region(kept.shape[1], self.acs)] = 1
        return replace(self, lines=self.lines * kept)

    def condition(self) -> Tensor:
        """The lines, `(B, 1, 1, W)`."""
        return self.lines[:, None, None]

    def sample(self, x: Tensor, maps: Tensor | None = None) -> Tensor:
        """The sampled lines of images `x`, `(B, 2, H, W)`, as `(B, 2 C, H, W)`; `maps` is `(B, C, H, W)`."""
        before, after = self._ramps(x)
        image = (torch.complex(x[:, 0], x[:, 1]) * before)[:, None]
        image = image if maps is None else maps * image
        k = torch.fft.fft2(image, norm="ortho") * (after * self.condition())
        return torch.stack([k.real, k.imag], 2).flatten(1, 2)

    def unsample(self, y: Tensor, maps: Tensor | None = None) -> Tensor:
        """The transpose of `sample`: `(B, 2 C, H, W)` to `(B, 2, H, W)`."""
        before, after = self._ramps(y)
        k = torch.complex(y[:, ::2], y[:, 1::2]) * (after.conj() * self.condition())
        image = torch.fft.ifft2(k, norm="ortho")
        image = (image if maps is None else maps.conj() * image).sum(1) * before.conj()
        return torch.stack([image.real, image.imag], 1)

    def _ramps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _ramps(x.shape[-2], x.shape[-1], x.dtype.to_complex(), x.device)


@dataclass(frozen=True)
class Cartesian:
    """A law over sampled lines: what laws of Fourier acquisition share.

    Args:
        acceleration: The number `R >= 1` of lines for each that is sampled, on average.
        acs: The lines in the middle that are always sampled: their number, or if below 1 their share,
            rounded.
        pattern: How the others are sampled: `random`, each by itself, or `equispaced` from a random first
            one, rounded to whole lines.
    """

    acceleration: float = 4.0
    acs: float = 0.08
    pattern: Pattern = "random"

    linear: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 1 <= self.acceleration < math.inf:
            raise ValueError(f"acceleration must be >= 1 and finite, got {self.acceleration}")
        if not self.acs >= 0 or (self.acs > 1 and self.acs != int(self.acs)):
            raise ValueError(f"acs must be a whole number of lines or a share in [0, 1), got {self.acs}")
        if self.pattern not in get_args(Pattern):
            raise ValueError(f"pattern must be one of {', '.join(get_args(Pattern))}, got {self.pattern!r}")

    @property
    def random(self) -> bool:
        """Unless all lines are sampled."""
        return self.acceleration > 1

    def acs_lines(self, width: int) -> int:
        """How many of `width` lines are in the ACS region."""
        return min(width, round(self.acs * width if self.acs < 1 else self.acs))

    def share(self, width: int) -> float:
        """The probability `p` of a line outside the ACS region, in (0, 1]."""
        acs = self.acs_lines(width)
        outside, wanted = width - acs, width / self.acceleration - acs
        if outside and not wanted > 0:
            raise ValueError(
                f"acceleration={self.acceleration:g} samples {width / self.acceleration:g} of {width} lines, "
                f"and acs={self.acs:g} takes {acs}: no other line is ever sampled, so lower one of the two"
            )
        return wanted / outside if outside else 1.0

    def lines(self, width: int, n: int, rng: torch.Generator) -> Tensor:
        """`n` independent choices of lines, float32, `(n, width)`."""
        p, edges = self.share(width), torch.arange(width + 1, device=rng.device)
        if self.pattern == "random":
            lines = bernoulli(torch.empty(n, width, device=rng.device), p, rng)
        else:
            first = torch.rand(n, 1, generator=rng, dtype=torch.float64, device=rng.device)
            # A line [w, w + 1) is sampled where it holds one of the points (first + k) / p.
            lines = (edges * p - first).ceil().diff(dim=1).float()
        lines[:, acs_region(width, self.acs_lines(width))] = 1
        return lines

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Always: `E[A^T A]` is at least `p I`."""
        return True


def complex_image(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of signals that are complex images."""
    if len(shape) != 3 or shape[0] != 2:
        raise ValueError(
            "complex images have two channels, the real and the imaginary part, (2, height, width), "
            f"got signals of shape {shape}"
        )
    return shape[1], shape[2]


@lru_cache(maxsize=16)
def _ramps(height: int, width: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    r"""The phases, `(H, W)`, by which `fftshift(fft2(ifftshift(x))) = after fft2(before x)`.

    A shift by `c = n // 2` on one side of the transform is a ramp on the other: `exp(2 pi i c j / n)` before,
    `exp(2 pi i c (k - c) / n)` after. A product costs less than moving the entries.
    """
    with torch.inference_mode(False):  # they outlive the caller's mode
        rows, columns = (_ramp(n, device) for n in (height, width))
        before, after = (r[:, None] * c for r, c in zip(rows, columns, strict=True))
        return before.to(dtype), after.to(dtype)


def _ramp(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    j, c = torch.arange(n, device=device), n // 2
    turns = [(c * i % n).double() / n for i in (j, j - c)]
    before, after = (torch.polar(torch.ones_like(t), 2 * math.pi * t) for t in turns)
    return before, after
