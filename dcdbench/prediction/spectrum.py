r"""The spectrum of measurements, what sampling does to it, and how that is undone.

The eigenvalues $\hat c$ of the covariance of `n` measurements are more spread than those of their law, $c$:
the largest are too large, the smallest too small (Marchenko and Pastur, 1967,
https://doi.org/10.1070/SM1967v001n04ABEH001994). `deconvolve` looks for a `c` whose Wishart draws have the
eigenvalues that were seen.
"""

from __future__ import annotations

__all__ = ["Array", "bartlett", "deconvolve", "eigenvalues", "too_low"]

from math import sqrt

import numpy as np
import numpy.typing as npt

from dcdbench.streams import Stream

Array = npt.NDArray[np.float64]

STEPS = 25
POWER = 0.7  # of a step's correction: below 1, so that neighbours do not overshoot together
SLACK = 0.8  # of the edge of the noise alone, which the smallest eigenvalue fluctuates around


def eigenvalues(y: npt.ArrayLike) -> tuple[Array, int]:
    """The eigenvalues of the covariance of `y`, `(n, *)`, from the largest, and its degrees of freedom.

    Raises:
        ValueError: Numbers are not finite, or there are too few measurements.
    """
    flat = np.asarray(y, dtype=np.float64)
    if flat.ndim < 2:
        raise ValueError(f"y must have shape (n, d), or (n, *), got {flat.shape}")
    flat = flat.reshape(len(flat), -1)
    n, d = flat.shape
    if n <= d + 1:
        raise ValueError(f"y must hold more measurements than dimensions, n > d + 1; got n = {n}, d = {d}")
    if not np.isfinite(flat).all():
        raise ValueError("y holds NaN or infinity")
    centred = flat - flat.mean(0)
    return np.linalg.eigvalsh(centred.T @ centred / (n - 1))[::-1].clip(0.0), n - 1


def bartlett(d: int, n: int, draws: int, stream: Stream) -> Array:
    r"""Factors `T`, `(draws, d, d)`: $TT^T$ is the covariance of `n` standard normal vectors, for `n >= d`.

    Lower triangular, with independent entries (Bartlett, 1933), https://en.wikipedia.org/wiki/Wishart_distribution.
    """
    if n < d:
        raise ValueError(f"n must be >= d, got n = {n}, d = {d}")
    rng = stream.numpy()
    factors = np.tril(rng.standard_normal((draws, d, d)), -1)
    at = np.arange(d)
    factors[:, at, at] = np.sqrt(rng.chisquare(n - at, (draws, d)))
    scaled: Array = factors / sqrt(n)
    return scaled


def deconvolve(seen: Array, noise: Array, factors: Array) -> Array:
    """The eigenvalues of y's law, `(*, d)`, from those that were seen, by repeated simulation.

    Args:
        seen: Eigenvalues of sample covariances, `(*, d)`, from the largest.
        noise: `sigma_y` squared, `(*)`, below which none can be.
        factors: Fixed draws by `bartlett`, `(m, d, d)`, for the same degrees of freedom.
    """
    floor = noise[..., None]
    c = np.maximum(seen, floor)
    for _ in range(STEPS):
        roots = np.sqrt(c)[..., None, :, None] * factors
        simulated = np.linalg.eigvalsh(roots @ np.swapaxes(roots, -1, -2))[..., ::-1].mean(-2)
        c = np.maximum(c * (seen / np.maximum(simulated, np.finfo(float).tiny)) ** POWER, floor)
        c = np.sort(c, axis=-1)[..., ::-1]
    return c


def too_low(seen: Array, n: int, noise: float) -> bool:
    """Whether the smallest eigenvalue is below what noise alone, of this variance, would leave it."""
    return bool(seen[-1] < SLACK * noise * (1 - sqrt(len(seen) / n)) ** 2)
