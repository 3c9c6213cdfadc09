r"""Rules that tell, before any training, whether a student of rank k beats its teacher in W2.

From `sigma_y`, `n` and the eigenvalues $\hat c$ of the covariance of y:

- P0, plug-in: the gain of Gaussians with $\hat\lambda = (\hat c - \sigma_y^2)_+$ along fixed axes. Unaware,
  $\sum_{i>k} \hat c_i - 2\sqrt{\hat c_i \hat\lambda_i}$; aware,
  $\sum_i (\sqrt{\hat c_i} - \sqrt{\hat\lambda_i})^2 - \sum_{i>k} \hat\lambda_i$.
- P1, sufficient for an unaware student: the dropped $\hat c_i$ have a mean below $4\sigma_y^2/3$.
- P2, the spectrum deconvolved, then a parametric bootstrap of the gain. It decides only if the mean of the
  gain, relative to the teacher's distance, is farther from 0 than `MARGIN` and two standard deviations, and
  P0 has its sign.
"""

from __future__ import annotations

__all__ = [
    "LIMITS",
    "THRESHOLD",
    "Bootstrap",
    "Forecast",
    "Outlook",
    "decided",
    "forecast",
    "mask",
    "plug_in",
    "ranks",
    "sufficient",
]

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from dcdbench.prediction.spectrum import Array, bartlett, deconvolve
from dcdbench.prediction.teachers import Teachers
from dcdbench.streams import Stream

THRESHOLD = 4 / 3  # of sigma_y squared: dropping a direction of y with less variance helps
MARGIN = 0.1  # of the teacher's squared distance
DRAWS = 16  # of the bootstrap
FIXED_DRAWS = 3  # of the deconvolution
MOST_RANKS = 64  # that are tried where none is given
LIMITS = (
    "Gaussian data, white noise of known size, n > d; a student that is linear and trained to its end, and a "
    "teacher that samples the law of y as fitted to these measurements. The distance is W2 squared, no other"
)


class Outlook(StrEnum):
    """The answer."""

    HELPS = "HELPS"
    DOES_NOT = "DOES NOT"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True)
class Forecast:
    """What is predicted of a student of one rank.

    Args:
        rank: How many directions it keeps.
        outlook: The answer.
        plug_in: The gain in W2 squared by P0; above 0 is better than the teacher.
        sufficient: Whether P1 fires; None for an aware student, or one that drops nothing.
        gain: The mean gain in W2 squared by P2.
        gain_sd: Its standard deviation over teachers fitted to as many measurements.
        share: The mean gain by P2 as a share of the teacher's squared distance.
        share_sd: Its standard deviation.
        teacher: The mean squared distance of the teacher.
    """

    rank: int
    outlook: Outlook
    plug_in: float
    sufficient: bool | None
    gain: float
    gain_sd: float
    share: float
    share_sd: float
    teacher: float


def mask(rank: Array, d: int) -> Array:
    """1 for the directions that a student of rank `(*)` keeps, 0 for the others, `(*, d)`."""
    kept: Array = (np.arange(d) < np.asarray(rank)[..., None]).astype(np.float64)
    return kept


def plug_in(seen: Array, noise: Array, kept: Array, aware: bool) -> Array:
    """The gain by P0, `(*)`."""
    clean = np.maximum(seen - noise[..., None], 0.0)
    if aware:
        gains = (np.sqrt(seen) - np.sqrt(clean)) ** 2 - clean * (1 - kept)
    else:
        gains = (seen - 2 * np.sqrt(seen * clean)) * (1 - kept)
    total: Array = gains.sum(-1)
    return total


def sufficient(seen: Array, noise: Array, kept: Array) -> npt.NDArray[np.bool_]:
    """Whether P1 fires, `(*)`: the mean of what is dropped is below the threshold."""
    dropped = (1 - kept).sum(-1)
    fires: npt.NDArray[np.bool_] = (seen * (1 - kept)).sum(-1) < THRESHOLD * noise * dropped
    return fires


@dataclass(frozen=True)
class Bootstrap:
    """P2 for one number of measurements.

    Args:
        clean: The clean eigenvalues that were deconvolved, `(*, d)`.
        teachers: Teachers of the law that has them, `(DRAWS, *)`.
    """

    clean: Array
    teachers: Teachers

    @classmethod
    def of(cls, seen: Array, n: int, noise: Array, stream: Stream) -> Bootstrap:
        """Deconvolves spectra `(*, d)` that `n` degrees of freedom have, and draws teachers."""
        d = seen.shape[-1]
        clean = deconvolve(seen, noise, bartlett(d, n, FIXED_DRAWS, stream / "fixed")) - noise[..., None]
        factors = bartlett(d, n, DRAWS, stream / "bootstrap")
        factors = factors.reshape(DRAWS, *(1,) * (seen.ndim - 1), d, d)
        return cls(clean, Teachers.fitted(clean, noise, factors))

    def gains(self, kept: Array, aware: bool) -> tuple[Array, Array]:
        """The gains in W2 squared, and their shares of the teachers' distances, `(DRAWS, *)`."""
        far = self.teachers.distance()
        gains = far - self.teachers.student(kept, aware)
        return gains, gains / far


def decided(plug_in: Array, shares: Array) -> Array:
    """The sign of the gain where P0 and P2 together decide, else 0; `(*)` from shares `(DRAWS, *)`."""
    mean, sd = shares.mean(0), shares.std(0, ddof=1)
    sure = (np.abs(mean) > MARGIN + 2 * sd) & (np.sign(plug_in) == np.sign(mean))
    signs: Array = np.where(sure, np.sign(mean), 0.0)
    return signs


def ranks(d: int) -> list[int]:
    """The ranks from 1 to `d`, or `MOST_RANKS` of them, evenly spaced."""
    return sorted({int(k) for k in np.linspace(1, d, min(d, MOST_RANKS)).round()})


def forecast(
    seen: Array, n: int, sigma_y: float, rank: Iterable[int], aware: bool, stream: Stream
) -> list[Forecast]:
    """What is predicted of students of some ranks, all from the same draws.

    Args:
        seen: The eigenvalues of the covariance of y, `(d,)`, from the largest.
        n: Its degrees of freedom, at least d.
        sigma_y: The standard deviation of the noise, > 0.
        rank: How many directions each student keeps, 1 to d.
        aware: Whether students are told of the noise.
        stream: The randomness of the simulations.
    """
    if not 0 < sigma_y < np.inf:
        raise ValueError(f"sigma_y must be > 0 and finite, got {sigma_y}")
    noise = np.asarray(sigma_y**2)
    bootstrap = Bootstrap.of(seen, n, noise, stream)
    far = float(bootstrap.teachers.distance().mean())
    return [_one(k, seen, noise, bootstrap, aware, far) for k in rank]


def _one(k: int, seen: Array, noise: Array, bootstrap: Bootstrap, aware: bool, far: float) -> Forecast:
    d = len(seen)
    if not 1 <= k <= d:
        raise ValueError(f"rank must be between 1 and d = {d}, got {k}")
    kept = mask(np.asarray(float(k)), d)
    simple = plug_in(seen, noise, kept, aware)
    gains, shares = bootstrap.gains(kept, aware)
    same = k == d and not aware  # then the student is its teacher
    sign = -1.0 if same else float(decided(simple, shares))
    return Forecast(
        rank=k,
        outlook={1.0: Outlook.HELPS, -1.0: Outlook.DOES_NOT, 0.0: Outlook.UNDECIDED}[sign],
        plug_in=float(simple),
        sufficient=None if aware or k == d else bool(sufficient(seen, noise, kept)),
        gain=float(gains.mean()),
        gain_sd=float(gains.std(ddof=1)),
        share=float(shares.mean()),
        share_sd=float(shares.std(ddof=1)),
        teacher=far,
    )
