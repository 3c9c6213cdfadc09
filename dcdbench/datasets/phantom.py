"""Random head phantoms, complex images of ellipses."""

from __future__ import annotations

__all__ = ["Ellipses", "Phantom", "magnitudes", "paint"]

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from dcdbench.datasets import register
from dcdbench.datasets.complex_image import monomials, with_phase
from dcdbench.datasets.drawn import draw_fresh
from dcdbench.protocols import Data
from dcdbench.streams import Stream

FINE = 4  # points per pixel along each axis, whose mean is the pixel: edges are not jagged
BLOCK = 2**20  # points at a time, which bounds the memory
LESIONS = 4  # at most


class Ellipses(NamedTuple):
    """One ellipse for each of `n` images, in units of half the image: `(n,)` each."""

    x: Tensor
    y: Tensor
    width: Tensor  # the half axes
    height: Tensor
    angle: Tensor
    value: Tensor  # what it paints over all that lies below it

    def conic(self) -> Tensor:
        """The coefficients, `(n, 6)`, of the polynomial of degree 2 that is below 1 inside."""
        c, s = self.angle.cos(), self.angle.sin()
        p, q = 1 / self.width.square(), 1 / self.height.square()
        xx, xy, yy = p * c * c + q * s * s, (p - q) * c * s, p * s * s + q * c * c
        ax, ay = xx * self.x + xy * self.y, xy * self.x + yy * self.y
        return torch.stack([ax * self.x + ay * self.y, -2 * ax, -2 * ay, xx, 2 * xy, yy], 1)


@register("phantom")
@dataclass(frozen=True)
class Phantom:
    """Random anatomical-looking heads with a smooth random phase, `(real, imaginary)` in [-1, 1].

    Ellipses as in the phantom of Shepp and Logan (1974), https://doi.org/10.1109/TNS.1974.6499235:
    a bright skull, grey and white matter, two dark ventricles, and up to four lesions. Sizes, places,
    angles and brightness are all random, and so are the head's own; the numbers are ours. Magnitudes
    are in [0, 1], means over each pixel; the phase is a polynomial of degree 2.

    Args:
        size: Pixels along each side.
        phase: The standard deviation of the phase's coefficients, in radians; 0 for real images.
    """

    size: int = 16
    phase: float = 0.5

    corrupted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.size < 4:
            raise ValueError(f"size must be >= 4, got {self.size}")
        if self.phase < 0:
            raise ValueError(f"phase must be >= 0, got {self.phase}")

    def shape(self) -> tuple[int, ...]:
        """`(2, size, size)`."""
        return (2, self.size, self.size)

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """Fresh draws for every split."""
        return draw_fresh(self._draw, train, heldout, stream)

    def _draw(self, split: str, n: int, rng: torch.Generator) -> Tensor:
        return with_phase(magnitudes(n, self.size, rng), self.phase, rng)


def magnitudes(n: int, size: int, rng: torch.Generator) -> Tensor:
    """`n` random heads, `(n, size, size)` in [0, 1]; the same at every size but for what a pixel averages."""
    layers = _head(_Uniform(n, rng))
    step = max(1, BLOCK // (FINE * size) ** 2)
    starts = range(0, n, step)
    return torch.cat([paint([Ellipses(*(t[i : i + step] for t in e)) for e in layers], size) for i in starts])


@dataclass(frozen=True)
class _Uniform:
    """`n` uniform numbers between two ends, at each call."""

    n: int
    rng: torch.Generator

    def __call__(self, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(self.n, generator=self.rng, device=self.rng.device)


def _head(u: _Uniform) -> list[Ellipses]:
    """The layers of `n` heads, the lowest first."""
    zero, width, height = u(0, 0), u(0.66, 0.76), u(0.84, 0.92)
    skull = Ellipses(zero, zero, width, height, zero, u(0.75, 1.0))
    ring, part = u(0.84, 0.91), u(0.55, 0.75)
    grey = Ellipses(zero, zero, ring * width, ring * height, zero, u(0.4, 0.6))
    place = (zero, u(-0.05, 0.05))
    white = Ellipses(*place, part * width, part * height, zero, grey.value + u(0.1, 0.2))
    layers = [skull, grey, white, _ventricle(-1, u), _ventricle(1, u)]
    layers += [_lesion(width, height, u) for _ in range(LESIONS)]
    turn, scale, right, down = u(-0.2, 0.2), u(0.85, 1.0), u(-0.06, 0.06), u(-0.06, 0.06)
    return [_placed(layer, turn, scale, right, down) for layer in layers]


def _ventricle(side: int, u: _Uniform) -> Ellipses:
    place = (side * u(0.14, 0.24), u(-0.1, 0.05))
    return Ellipses(*place, u(0.07, 0.14), u(0.2, 0.36), side * u(0.1, 0.4), u(0.05, 0.2))


def _lesion(width: Tensor, height: Tensor, u: _Uniform) -> Ellipses:
    """Uniform within the brain; too small to be seen where there is none."""
    there = (u(0, 1) < 0.5).float().clamp_min(1e-3)
    radius, turn = 0.8 * u(0.0, 0.75).sqrt(), u(0, 2 * math.pi)
    place = (width * radius * turn.cos(), height * radius * turn.sin())
    return Ellipses(*place, there * u(0.05, 0.16), there * u(0.05, 0.16), u(0, math.pi), u(0.1, 1.0))


def _placed(e: Ellipses, turn: Tensor, scale: Tensor, right: Tensor, down: Tensor) -> Ellipses:
    """A part of a head that is turned, scaled and moved as a whole."""
    c, s = scale * turn.cos(), scale * turn.sin()
    x, y = c * e.x - s * e.y + right, s * e.x + c * e.y + down
    return Ellipses(x, y, scale * e.width, scale * e.height, e.angle + turn, e.value)


def paint(layers: list[Ellipses], size: int) -> Tensor:
    """One ellipse over the other, then the mean over each pixel, `(n, size, size)`."""
    fine = FINE * size
    powers = monomials(fine, layers[0].x.device)
    image = powers.new_zeros(len(layers[0].x), fine * fine)
    for layer in layers:
        image = torch.where(layer.conic() @ powers < 1, layer.value[:, None], image)
    return avg_pool2d(image.view(-1, 1, fine, fine), FINE)[:, 0]
