r"""Sensitivities of receiver coils: smooth complex maps `S_c` with `sum_c |S_c|^2 = 1` at each pixel.

The synthetic ones are `exp(-|p - q_c|^2 / 2 w_c^2 + i (a_c + b_c p))` before they are normalised, with the
coils' places `q_c` round the field of view.
"""

from __future__ import annotations

__all__ = ["read_maps", "synthetic_maps"]

import math
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

NAMES = ("sens_ri", "maps_ri")
RADIUS = (0.9, 1.3)  # of the coils' places, in half fields of view
WIDTH = (0.6, 0.9)  # of the coils' profiles, in the same unit
TURN = 1.5  # the standard deviation of a phase's slope, in radians for half a field of view


def synthetic_maps(n: int, coils: int, height: int, width: int, rng: torch.Generator) -> Tensor:
    """`n` independent sets of smooth maps, float32, `(n, coils, height, width, 2)`: real and imaginary.

    The coils stand at even angles, turned together at random and each a little by itself.
    """
    device = rng.device

    def uniform(low: float, high: float, *more: int) -> Tensor:
        u = torch.rand(n, coils, *more, 1, 1, generator=rng, dtype=torch.float64, device=device)
        return low + (high - low) * u

    turn = torch.rand(n, 1, 1, 1, generator=rng, dtype=torch.float64, device=device)
    place = torch.arange(coils, dtype=torch.float64, device=device).reshape(-1, 1, 1)
    angle = 2 * math.pi * (turn + (place + uniform(-0.25, 0.25)) / coils)
    radius, spread = uniform(*RADIUS), uniform(*WIDTH)
    slope = TURN * torch.randn(2, n, coils, 1, 1, generator=rng, dtype=torch.float64, device=device)
    v, h = _axis(height, device)[:, None], _axis(width, device)
    distance = (v - radius * angle.sin()) ** 2 + (h - radius * angle.cos()) ** 2
    size = torch.softmax(-distance / spread**2, 1).sqrt()  # normalised over the coils
    maps = torch.polar(size, uniform(-math.pi, math.pi) + slope[0] * v + slope[1] * h)
    return torch.view_as_real(maps).float()


def _axis(size: int, device: torch.device) -> Tensor:
    """The pixels' centres in a field of view from -1 to 1."""
    return (2 * torch.arange(size, dtype=torch.float64, device=device) + 1) / size - 1


def read_maps(path: Path) -> Tensor:
    """The sets of maps in an .npz file, float32, `(n, coils, height, width, 2)`.

    Its entry is `sens_ri` or `maps_ri`, `(coils, height, width, 2)` or with an axis for several sets before.
    """
    if not path.is_file():
        raise ValueError(f"maps must be a file, got {path}")
    return _read(path, path.stat().st_mtime_ns)


@cache
def _read(path: Path, changed: int) -> Tensor:
    try:
        with np.load(path) as file:
            names = [name for name in NAMES if name in file]
            found = np.asarray(file[names[0]], np.float32) if names else None
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise ValueError(f"maps cannot be read: {path}: {error}") from error
    if found is None:
        raise ValueError(f"maps must be a file with an entry {' or '.join(NAMES)}, {path} has none")
    if found.ndim not in (4, 5) or found.shape[-1] != 2 or not np.isfinite(found).all():
        raise ValueError(
            f"maps must be finite numbers of shape ((n,) coils, height, width, 2), "
            f"{path} has {names[0]!r} of shape {found.shape}"
        )
    return torch.from_numpy(found if found.ndim == 5 else found[None])
