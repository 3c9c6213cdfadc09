"""Complex images as two channels, real and imaginary: magnitudes with a smooth random phase."""

from __future__ import annotations

__all__ = ["COEFFICIENTS", "monomials", "turned", "with_phase"]

import torch
from torch import Tensor

COEFFICIENTS = 6  # of a polynomial of degree 2 in two coordinates


def monomials(size: int, device: torch.device | None = None) -> Tensor:
    """`1, x, y, x^2, x y, y^2` at pixels' centres, `(6, size^2)`; x along rows, both in [-1, 1]."""
    axis = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y]).flatten(1)


def turned(magnitude: Tensor, coefficients: Tensor) -> Tensor:
    """Complex images, `(n, 2, size, size)`, from magnitudes `(n, size, size)` and the phase's coefficients.

    The phase is the polynomial of degree 2 in the coordinates in [-1, 1] with these `coefficients` of the
    monomials, `(n, 6)`, in radians.
    """
    angle = coefficients @ monomials(magnitude.shape[-1], magnitude.device)
    angle = angle.view_as(magnitude)
    return torch.stack([magnitude * angle.cos(), magnitude * angle.sin()], 1)


def with_phase(magnitude: Tensor, phase: float, rng: torch.Generator) -> Tensor:
    """Complex images, `(n, 2, size, size)`, from magnitudes `(n, size, size)`.

    Their phase is a random polynomial of degree 2 in the coordinates in [-1, 1]: six monomials with
    independent normal coefficients of standard deviation `phase`, in radians.
    """
    drawn = torch.randn(len(magnitude), COEFFICIENTS, generator=rng, device=rng.device)
    return turned(magnitude, phase * drawn.to(magnitude.device))
