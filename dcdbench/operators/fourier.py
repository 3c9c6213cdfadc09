r"""Single-coil Fourier acquisition of complex images: some lines of k-space, `A = M F`."""

from __future__ import annotations

__all__ = ["Fourier", "SingleCoil"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.operators import register
from dcdbench.operators.lines import Cartesian, LineDraw, complex_image


@dataclass(frozen=True)
class SingleCoil(LineDraw):
    """`A = M F`, with `F` the orthonormal Fourier transform and `M` the mask of sampled lines."""

    projects: ClassVar[bool] = True

    def __call__(self, x: Tensor) -> Tensor:
        """The sampled lines, `(B, 2, H, W)`, zero frequency in the middle."""
        return self.sample(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """The image of the sampled lines alone, `F^H M y`."""
        return self.unsample(y)

    def pinv(self, y: Tensor) -> Tensor:
        """`F^H M y`: `A A^T = M` is an orthogonal projection."""
        return self.unsample(y)


@register("fourier")
@dataclass(frozen=True)
class Fourier(Cartesian):
    """A law over sampled lines of k-space, of complex images `(2, H, W)`: real and imaginary parts.

    Random lines as in fastMRI, https://arxiv.org/abs/1811.08839: their number varies from draw to draw. A
    further corruption drops lines outside the ACS region, each with probability `delta`. What it leaves of
    equispaced lines tells which others were sampled; only of random ones may any have been.

    Args:
        acceleration: The number `R >= 1` of lines for each that is sampled, on average.
        acs: The lines in the middle that are always sampled: their number, or if below 1 their share,
            rounded.
        pattern: How the others are sampled: `random`, each by itself, or `equispaced` from a random first
            one, rounded to whole lines.
    """

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> SingleCoil:
        """`n` independent choices of lines."""
        self.measured_shape(shape)
        return SingleCoil(self.lines(shape[2], n, rng), self.acs_lines(shape[2]))

    def restore(self, tensors: dict[str, Tensor]) -> SingleCoil:
        """The lines that were stored."""
        lines = tensors["lines"]
        return SingleCoil(lines, self.acs_lines(lines.shape[1]))

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the signal: real and imaginary parts of k-space."""
        self.share(complex_image(shape)[1])
        return shape

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Always: `E[A^T A]` is at least `p I`, with `p > 0` the probability of a line."""
        return True
