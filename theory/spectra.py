"""Closed forms for centred Gaussians that share their axes, from the clean eigenvalues."""

from __future__ import annotations

__all__ = ["axes", "gaussian", "w2_gain", "w2_spectra"]

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor

from dcdbench.analytic import Gaussian


def axes(d: int, seed: int = 0) -> Tensor:
    """An orthonormal frame, `(d, d)`, that is aligned with no coordinate."""
    z = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(z).Q


def gaussian(spectrum: Sequence[float], seed: int = 0) -> Gaussian:
    """The centred law with these eigenvalues, along axes that are those of no coordinate."""
    d = len(spectrum)
    roots = torch.tensor(spectrum, dtype=torch.float64).sqrt()
    return Gaussian.from_factor(torch.zeros(d), axes(d, seed) * roots)


def w2_spectra(generated: Sequence[float], clean: Sequence[float]) -> float:
    """The squared W2 distance, from variances along the same axes, `(sqrt v - sqrt l)^2` summed."""
    return sum((sqrt(v) - sqrt(l)) ** 2 for v, l in zip(generated, clean, strict=True))  # noqa: E741


def w2_gain(clean: float, noise: float) -> float:
    r"""What dropping a direction gains, $\lambda + \sigma^2 - 2\sqrt{\lambda(\lambda + \sigma^2)}$."""
    return clean + noise - 2 * sqrt(clean * (clean + noise))
