r"""Multi-coil magnetic resonance imaging: some lines of k-space, seen by several coils.

`A = M F S`: each coil multiplies the complex image by its sensitivity, and all coils sample the same lines.
Pruessmann et al. (1999), https://doi.org/10.1002/(SICI)1522-2594(199911)42:5%3C952::AID-MRM16%3E3.0.CO;2-S.
"""

from __future__ import annotations

__all__ = ["MRI", "MultiCoil", "SharedCoils", "sense"]

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.linalg import least_squares
from dcdbench.operators import register
from dcdbench.operators.coils import read_maps, synthetic_maps
from dcdbench.operators.lines import Cartesian, LineDraw, complex_image
from dcdbench.operators.unfolding import NARROW, unfold
from dcdbench.streams import Stream

ROUNDING = 1e-5  # of the sum over coils of normalised maps in float32


@dataclass(frozen=True)
class MultiCoil(LineDraw):
    """`A = M F S`, with maps for each sample.

    Args:
        lines: 1 where sampled, 0 elsewhere, `(B, W)`.
        acs: How many lines in the middle a further corruption leaves alone.
        maps: The coils' sensitivities, real and imaginary parts, `(B, coils, H, W, 2)`.
        normalised: Whether `sum_c |S_c|^2 <= 1` at each pixel is known.
    """

    maps: Tensor
    normalised: bool = field(default=True, kw_only=True)

    shared: ClassVar[tuple[str, ...]] = ("acs", "normalised")

    def __call__(self, x: Tensor) -> Tensor:
        """The coils' sampled lines, `(B, 2 coils, H, W)`: real and imaginary parts, coil by coil."""
        return self.sample(x, torch.view_as_complex(self.maps))

    def adjoint(self, y: Tensor) -> Tensor:
        """The coils' images of the sampled lines alone, combined: `S^H F^H M y`."""
        return self.unsample(y, torch.view_as_complex(self.maps))

    def back(self, y: Tensor) -> Tensor:
        """`A^T y`, divided by the greatest `sum_c |S_c|^2` of a pixel where that is more than 1."""
        if self.normalised:
            return self.adjoint(y)
        power = self.maps.square().sum((1, 4)).amax((1, 2))  # (B or 1,)
        return self.adjoint(y) / torch.where(power > 1 + ROUNDING, power, 1.0)[:, None, None, None].to(y)

    def pinv(self, y: Tensor) -> Tensor:
        """The least-norm least-squares image, to rounding; `sense` stops before.

        Row by row, or by conjugate gradients where rows are long; in float64, since nearly dependent coils
        make the problem ill-conditioned.
        """
        A, exact = self.to(dtype=torch.float64), self.restrict(y).double()
        if y.shape[-1] > NARROW:
            return least_squares(A, A.adjoint, exact).to(y.dtype)
        k = torch.complex(exact[:, ::2], exact[:, 1::2])
        image = unfold(A.lines, torch.view_as_complex(A.maps), k)
        return torch.stack([image.real, image.imag], 1).to(y.dtype)


@dataclass(frozen=True)
class SharedCoils(MultiCoil):
    """`A = M F S`, with the same maps for all samples.

    Args:
        lines: 1 where sampled, 0 elsewhere, `(B, W)`.
        acs: How many lines in the middle a further corruption leaves alone.
        maps: The coils' sensitivities, real and imaginary parts, `(1, coils, H, W, 2)`.
        normalised: Whether `sum_c |S_c|^2 <= 1` at each pixel is known.
        rows: The height of the image, `(B,)`, by which a stored draw finds its maps again.
    """

    rows: Tensor

    shared: ClassVar[tuple[str, ...]] = ("acs", "maps", "normalised")


@register("mri")
@dataclass(frozen=True)
class MRI(Cartesian):
    """A law over sampled lines and coil sensitivities, of complex images `(2, H, W)`.

    Random lines as in fastMRI, https://arxiv.org/abs/1811.08839: their number varies from draw to draw. A
    further corruption drops lines outside the ACS region, each with probability `delta`.

    Args:
        acceleration: The number `R >= 1` of lines for each that is sampled, on average.
        acs: The lines in the middle that are always sampled: their number, or if below 1 their share,
            rounded.
        pattern: How the others are sampled: `random`, each by itself, or `equispaced` from a random first
            one, rounded to whole lines.
        coils: How many coils; what `maps` has, if given.
        maps: An .npz file of sensitivities, `sens_ri` or `maps_ri` of shape `((n,) coils, H, W, 2)`, used as
            they are: each sample draws one of its `n` sets. By default smooth synthetic ones, normalised to
            `sum_c |S_c|^2 = 1` at each pixel, so that `|A x| <= |x|`.
        shared_coils: Whether all samples have the same sensitivities: the first set of `maps`, or synthetic
            ones from `seed`. A file with one set is shared in any case.
        seed: Of shared synthetic sensitivities.
    """

    coils: int = 4
    maps: Path | None = None
    shared_coils: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.coils >= 1:
            raise ValueError(f"coils must be >= 1, got {self.coils}")
        if self.maps is not None:
            read_maps(self.maps)

    @property
    def random(self) -> bool:
        """Unless all lines are sampled by the same coils."""
        return super().random or not self._shared()

    def draw(self, shape: tuple[int, ...], n: int, rng: torch.Generator) -> MultiCoil:
        """`n` independent choices of lines, and of maps unless they are shared."""
        self.measured_shape(shape)
        _, height, width = shape
        lines, acs = self.lines(width, n, rng), self.acs_lines(width)
        if self._shared():
            return self._restored(lines, height)
        if self.maps is None:
            return MultiCoil(lines, acs, synthetic_maps(n, self.coils, height, width, rng))
        sets = read_maps(self.maps).to(rng.device)
        drawn = sets[torch.randint(len(sets), (n,), generator=rng, device=rng.device)]
        return MultiCoil(lines, acs, drawn, normalised=False)

    def restore(self, tensors: dict[str, Tensor]) -> MultiCoil:
        """The lines and maps that were stored."""
        lines = tensors["lines"]
        if "maps" in tensors:
            acs, maps = self.acs_lines(lines.shape[1]), tensors["maps"].contiguous()
            return MultiCoil(lines, acs, maps, normalised=self.maps is None)
        return self._restored(lines, int(tensors["rows"][0]))

    def _restored(self, lines: Tensor, height: int) -> SharedCoils:
        """The draw with shared maps."""
        n, width = lines.shape
        maps = self._common(height, width).to(lines)
        rows = torch.full((n,), height, device=lines.device)
        return SharedCoils(lines, self.acs_lines(width), maps, rows, normalised=self.maps is None)

    def _common(self, height: int, width: int) -> Tensor:
        """The maps that all samples share, `(1, coils, H, W, 2)`."""
        if self.maps is not None:
            return read_maps(self.maps)[:1]
        address = Stream(self.seed) / "mri" / f"{self.coils}x{height}x{width}"
        return synthetic_maps(1, self.coils, height, width, address.rng())

    def _shared(self) -> bool:
        return self.shared_coils or (self.maps is not None and len(read_maps(self.maps)) == 1)

    def measured_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Real and imaginary parts of each coil: `(2 coils, H, W)`."""
        height, width = complex_image(shape)
        self.share(width)
        if self.maps is None:
            return 2 * self.coils, height, width
        _, coils, *size, _ = read_maps(self.maps).shape
        if size != [height, width]:
            found = f"{self.maps} has {size[0]} x {size[1]}"
            raise ValueError(f"maps must have {height} x {width} pixels, {found}")
        return 2 * coils, height, width

    def identifiable(self, shape: tuple[int, ...]) -> bool:
        """Where some coil sees each pixel: `E[A^T A]` is at least `p sum_c |S_c|^2`, with `p > 0`."""
        if self.maps is None:
            return True
        sets = read_maps(self.maps)
        return bool((sets[: 1 if self._shared() else None].square().sum((0, 1, 4)) > 0).all())


def sense(A: MultiCoil, y: Tensor, steps: int = 30, ridge: float = 0.0) -> Tensor:
    """CG-SENSE: the images `(B, 2, H, W)` that minimise `|A x - y|^2 + ridge |x|^2`, after `steps` steps.

    Pruessmann et al. (2001), https://doi.org/10.1002/mrm.1241. Fewer steps regularise as `ridge` does.
    """
    return least_squares(A, A.adjoint, A.restrict(y), ridge=ridge, steps=steps)
