"""Closed forms for centred Gaussians that share their axes, from the clean eigenvalues."""

from __future__ import annotations

__all__ = ["gaussian", "w2_spectra"]

from collections.abc import Sequence
from math import sqrt

import torch

from dcdbench.analytic import Gaussian


def gaussian(spectrum: Sequence[float], seed: int = 0) -> Gaussian:
    """The centred law with these eigenvalues, along axes that are those of no coordinate."""
    d = len(spectrum)
    z = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    axes = torch.linalg.qr(z).Q
    return Gaussian.from_factor(torch.zeros(d), axes * torch.tensor(spectrum, dtype=torch.float64).sqrt())


def w2_spectra(generated: Sequence[float], clean: Sequence[float]) -> float:
    """The squared W2 distance, from variances along the same axes, `(sqrt v - sqrt l)^2` summed."""
    return sum((sqrt(v) - sqrt(l)) ** 2 for v, l in zip(generated, clean, strict=True))  # noqa: E741
