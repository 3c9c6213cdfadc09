"""Signals as pictures: images in a grid, points in a plane, vectors by their principal coordinates."""

from __future__ import annotations

__all__ = ["SUFFIXES", "Plane", "limits_of", "mosaic", "plane_of", "show_images", "show_points", "write"]

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dcdbench.harness.figures import save, subplots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf", ".npy", ".npz", ".safetensors")
UNSEEN = (0.71, 0.83, 0.92)  # the colour of pixels that are NaN, for not measured
GAP = 0.08  # between the images of a grid, in units of their size


@dataclass(frozen=True)
class Plane:
    """An affine map of vectors, `(n, d)`, to points in a plane, and the window that is shown.

    Args:
        centre: Maps to the origin of the plane, `(d,)`.
        axes: The directions, `(d, 2)`, orthonormal.
        limits: Left, right, bottom, top.
        names: Of the two coordinates.
    """

    centre: Tensor
    axes: Tensor
    limits: tuple[float, float, float, float]
    names: tuple[str, str]

    def __call__(self, x: Tensor) -> Tensor:
        """The points, `(n, 2)`."""
        return (x.flatten(1).double() - self.centre) @ self.axes


def plane_of(x: Tensor, *others: Tensor) -> Plane:
    """The plane of the first two coordinates where there are but two, else of the principal ones of `x`.

    The window is square and holds all but a few of the points, of `others` too.
    """
    flat = x.flatten(1).double()
    d = flat.shape[1]
    if d <= 2:
        centre, axes = flat.new_zeros(d), torch.eye(d, 2, dtype=torch.float64)
        names = ("first coordinate", "second coordinate")
    else:
        centre = flat.mean(0)
        axes = torch.linalg.svd(flat - centre, full_matrices=False).Vh[:2].T
        axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()  # a sign that does not flip
        names = ("first principal coordinate", "second principal coordinate")
    plane = Plane(centre, axes, (-1, 1, -1, 1), names)
    ends = torch.stack([plane(p).quantile(torch.tensor([0.01, 0.99]).double(), 0) for p in (x, *others)])
    low, high = ends[:, 0].amin(0), ends[:, 1].amax(0)
    middle, half = (low + high) / 2, max(0.62 * float((high - low).max()), 1e-6)
    (a, b), h = middle.tolist(), half
    return Plane(centre, axes, (a - h, a + h, b - h, b + h), names)


def limits_of(x: Tensor) -> tuple[float, float]:
    """The values that are shown black and white: -1 and 1, unless data have quite another range."""
    x = real(x) if x.ndim == 4 else x
    low, high = x.double().flatten()[: 2**22].quantile(torch.tensor([0.02, 0.98]).double()).tolist()
    usual = low >= -1.6 and high <= 1.6 and high - low > 0.4
    return (-1.0, 1.0) if usual else (low, max(high, low + 1e-6))


def mosaic(x: Tensor, columns: int, limits: tuple[float, float] = (-1.0, 1.0)) -> np.ndarray:
    """Images `(n, channels, height, width)` as one, `(H, W, 3)` in [0, 1], with white gaps between them.

    Pixels that are NaN have a colour of their own. Two channels are the parts of complex numbers, of
    which the magnitude is drawn.
    """
    low, high = limits
    x = ((real(x).detach().float() - low) / (high - low)).clamp(0, 1)
    x = x[:, :3] if x.shape[1] >= 3 else x[:, :1].expand(-1, 3, -1, -1)
    x = torch.where(x.isnan(), torch.tensor(UNSEEN).reshape(3, 1, 1), x)
    n, _, h, w = x.shape
    factor = max(1, math.ceil(2 / (GAP * max(h, w))))  # a gap needs whole pixels
    x = x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    h, w, rows = h * factor, w * factor, math.ceil(n / columns)
    gap = max(1, round(GAP * max(h, w)))
    whole = torch.ones(3, rows * (h + gap) - gap, columns * (w + gap) - gap)
    for i, image in enumerate(x):
        top, left = (i // columns) * (h + gap), (i % columns) * (w + gap)
        whole[:, top : top + h, left : left + w] = image
    return whole.permute(1, 2, 0).numpy()


def real(x: Tensor) -> Tensor:
    """Images as they are drawn: of two channels the magnitude, in [-1, 1] where it is in [0, 1]."""
    return 2 * x.square().sum(1, keepdim=True).sqrt() - 1 if x.shape[1] == 2 else x


def show_images(axis: Axes, x: Tensor, columns: int, limits: tuple[float, float] = (-1.0, 1.0)) -> None:
    """Images in a grid, each pixel a sharp square."""
    axis.imshow(mosaic(x, columns, limits), interpolation="nearest")
    axis.set_axis_off()


def show_points(axis: Axes, x: Tensor, plane: Plane, color: str) -> None:
    """Points in a plane, the same window for all that share it."""
    points = plane(x)
    across, up = points.T.numpy()
    axis.scatter(across, up, s=3.0, c=color, alpha=0.5, linewidths=0, rasterized=True)
    axis.set(xlim=plane.limits[:2], ylim=plane.limits[2:], aspect="equal", xticks=[], yticks=[])
    axis.spines[:].set_visible(True)
    axis.spines[:].set_color("#cccccc")


def write(path: Path, x: Tensor) -> None:
    """Writes signals as what the name's ending says: numbers, or a picture."""
    suffix = path.suffix.lower()
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix in (".npy", ".npz", ".safetensors"):
        _numbers(path, x)
    elif x.ndim == 4:
        _grid(path, x, math.ceil(math.sqrt(len(x))))
    else:
        _scatter(path, x)


def _numbers(path: Path, x: Tensor) -> None:
    aside = path.with_name(f".{path.stem}.aside{path.suffix}")
    if path.suffix.lower() == ".safetensors":
        from safetensors.torch import save_file

        save_file({"x": x.contiguous()}, aside)
    elif path.suffix.lower() == ".npz":
        np.savez(aside, x=x.numpy())
    else:
        np.save(aside, x.numpy())
    os.replace(aside, path)


def _grid(path: Path, x: Tensor, columns: int) -> None:
    if path.suffix.lower() != ".png":
        figure, axes = subplots(1, 1, (columns * 0.6, math.ceil(len(x) / columns) * 0.6))
        show_images(axes[0, 0], x, columns, limits_of(x))
        save(figure, path)
        return
    from PIL import Image

    picture = mosaic(x, columns, limits_of(x))
    factor = max(1, round(64 * columns / picture.shape[1]))  # about 64 pixels an image
    picture = picture.repeat(factor, 0).repeat(factor, 1)
    aside = path.with_name(f".{path.name}.aside")
    Image.fromarray((255 * picture).round().astype(np.uint8)).save(aside, "PNG", optimize=True)
    os.replace(aside, path)


def _scatter(path: Path, x: Tensor) -> None:
    plane = plane_of(x)
    figure, axes = subplots(1, 1, (4.0, 4.0))
    show_points(axes[0, 0], x, plane, "#0072b2")
    axes[0, 0].set_xlabel(plane.names[0], fontsize=8)
    axes[0, 0].set_ylabel(plane.names[1], fontsize=8)
    axes[0, 0].xaxis.set_major_locator(_locator())
    axes[0, 0].yaxis.set_major_locator(_locator())
    save(figure, path)


def _locator() -> object:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5)
