"""Mixtures of Gaussians: on a ring, on a grid, at random, or given one by one."""

from __future__ import annotations

__all__ = ["Mixture"]

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from dcdbench.analytic import GaussianMixture
from dcdbench.datasets import register
from dcdbench.datasets.laws import draw_splits
from dcdbench.protocols import Data
from dcdbench.streams import Stream

STRETCH = 4.0  # the ratio of the largest and the smallest possible standard deviation of a component


@register("gaussian_mixture")
@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians in any dimension, isotropic ones but for the layout `random`.

    Args:
        layout: `ring`: `modes` centres on a circle of radius 1 in the first two coordinates;
            `grid`: `modes` centres per axis, equidistant on [-1, 1]; `explicit`: `means`;
            `random`: `modes` centres, uniform in the cube [-1, 1]^dim, each with axes of its own.
        modes: See `layout`.
        std: The standard deviation of every component, in every direction; in the layout `random`
            its root mean square over directions, which are stretched by up to `STRETCH` against each other.
        dim: The dimension of the space, at least 2 for a ring.
        means: The centres of an explicit mixture.
        weights: The weights of the components, which are scaled to sum to 1; equal by default.
        layout_seed: The seed of the layout `random`, which is the same for every seed of the data.
    """

    layout: Literal["ring", "grid", "explicit", "random"] = "ring"
    modes: int = 8
    std: float = 0.05
    dim: int = 2
    means: tuple[tuple[float, ...], ...] = ()
    weights: tuple[float, ...] = ()
    layout_seed: int = 0

    corrupted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.std <= 0:
            raise ValueError(f"std must be > 0, got {self.std}")
        if self.modes < 1:
            raise ValueError(f"modes must be >= 1, got {self.modes}")
        if self.layout == "ring" and self.dim < 2:
            raise ValueError(f"a ring needs dim >= 2, got {self.dim}")
        if self.layout == "grid" and self.modes**self.dim > 10_000:
            raise ValueError(f"a grid of {self.modes}^{self.dim} modes is too many: at most 10000")
        if self.layout == "explicit" and not self.means:
            raise ValueError("an explicit layout needs means, got none")
        if any(len(mean) != self.dim for mean in self.means):
            raise ValueError(f"each of means needs dim = {self.dim} entries")
        if self.weights and (len(self.weights) != len(self._centres()) or min(self.weights) <= 0):
            raise ValueError(f"weights must be {len(self._centres())} positive numbers, got {self.weights}")

    def _centres(self) -> Tensor:
        if self.layout == "explicit":
            return torch.tensor(self.means, dtype=torch.float64)
        if self.layout == "random":
            cube = torch.rand(self.modes, self.dim, generator=self._rng("centres"), dtype=torch.float64)
            return 2 * cube - 1
        if self.layout == "grid":
            axis = (
                torch.linspace(-1, 1, self.modes, dtype=torch.float64) if self.modes > 1 else torch.zeros(1)
            )
            return torch.cartesian_prod(*[axis.double()] * self.dim).reshape(-1, self.dim)
        angle = 2 * math.pi * torch.arange(self.modes, dtype=torch.float64) / self.modes
        circle = torch.stack([angle.cos(), angle.sin()], 1)
        return torch.nn.functional.pad(circle, (0, self.dim - 2))

    def _covariances(self, count: int) -> Tensor:
        if self.layout != "random":
            return self.std**2 * torch.eye(self.dim, dtype=torch.float64).expand(count, -1, -1)
        normal = torch.randn(count, self.dim, self.dim, generator=self._rng("axes"), dtype=torch.float64)
        axes = torch.linalg.qr(normal)[0]
        stretch = torch.rand(count, self.dim, generator=self._rng("stretch"), dtype=torch.float64)
        variances = STRETCH ** (2 * stretch)
        variances = variances / variances.mean(1, keepdim=True)
        return self.std**2 * (axes * variances[:, None]) @ axes.mT

    def _rng(self, what: str) -> torch.Generator:
        return (Stream(self.layout_seed) / what).rng()

    def shape(self) -> tuple[int, ...]:
        """`(dim,)`."""
        return (self.dim,)

    def law(self) -> GaussianMixture:
        """The analytic law."""
        centres = self._centres()
        weights = torch.tensor(self.weights or (1.0,) * len(centres), dtype=torch.float64)
        return GaussianMixture(weights / weights.sum(), centres, self._covariances(len(centres)))

    def load(self, train: int | None, heldout: int | None, stream: Stream) -> Data:
        """Fresh draws for every split."""
        return draw_splits(self.law(), train, heldout, stream)
