"""Gaussian noise whose neighbouring entries are alike."""

from __future__ import annotations

__all__ = ["Coloured"]

from dataclasses import dataclass

import torch
from torch import Tensor

from dcdbench.batch import randn_like
from dcdbench.noises import register


@register("coloured")
@dataclass(frozen=True)
class Coloured:
    r"""Additive Gaussian noise with correlation `exp(-r^2 / (4 length^2))` at distance `r`.

    It is white noise, smoothed periodically by a Gaussian kernel along each axis of images, or along
    vectors. (The formula is that of a length of 1 or more, and of axes that are many times as long.)

    Args:
        std: The standard deviation of an entry.
        length: That of the kernel, in entries.
    """

    std: float = 0.2
    length: float = 1.0

    def __post_init__(self) -> None:
        for name in ("std", "length"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")

    def __call__(self, u: Tensor, rng: torch.Generator) -> Tensor:
        """`u` plus the noise."""
        noise = randn_like(u, rng)
        for axis in range(1 if u.ndim == 2 else 2, u.ndim):
            noise = self._smoothed(noise, axis)
        return u + self.std * noise

    def _smoothed(self, noise: Tensor, axis: int) -> Tensor:
        n = noise.shape[axis]
        index = torch.arange(n, device=noise.device, dtype=noise.dtype)
        distance = torch.minimum(index, n - index)
        kernel = torch.exp(-((distance / self.length) ** 2) / 2)
        spectrum = torch.fft.rfft(kernel / kernel.square().sum().sqrt())
        shape = [1] * noise.ndim
        shape[axis] = -1
        return torch.fft.irfft(torch.fft.rfft(noise, dim=axis) * spectrum.reshape(shape), n, dim=axis)
