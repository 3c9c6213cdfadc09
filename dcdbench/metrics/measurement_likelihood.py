r"""How likely held-out measurements are under the samples: a proper score without clean data.

Under white noise, `n` samples $x_i$ give the measurement `y`, through its own draw of A, the density

$$\hat p(y \mid A) = \frac1n \sum_i N(y; A x_i, \sigma_y^2 I),$$

an unbiased estimate of the density under the law of the samples. The score is the mean of $-\log \hat p$ over
held-out measurements: up to a constant of the data, the Kullback-Leibler divergence from the law of
measurements to that of corrupted samples. It resolves far smaller differences than a distance between two
sets of points, since its only spread is that of the held-out measurements, which all methods share.
The logarithm of an estimate is biased: by $\mathrm{var}(\hat p) / 2 p^2 > 0$ to first order, which falls as
$1/n$, and is small only where many samples lie within the noise of a measurement. So numbers compare at
equal `n`, and in high dimensions or at little noise the score rather tells how near the nearest samples are.
It is blind to what no measurement shows.
"""

from __future__ import annotations

__all__ = ["MeasurementLikelihood", "log_density"]

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.metrics import register
from dcdbench.problem import Measurement, Reference

NUMBERS = 2**22  # of corrupted samples at a time, which bounds the memory


def log_density(samples: Tensor, m: Measurement, same: bool) -> Tensor:
    """The logarithm of each measurement's density under `samples`, `(len(m),)`, in nats; needs white noise.

    Args:
        samples: Signals, `(n, *signal)`.
        m: Measurements with `sigma_y > 0`; each has the draw of A that comes with it.
        same: Whether all draws of A are the same.
    """
    n, x = len(samples), samples.detach().double()
    m = m.to(x.device, x.dtype)
    if same:
        seen = m.A[torch.zeros(n, dtype=torch.long, device=x.device)](x)
        return _summed(torch.cdist(m.y.flatten(1), seen.flatten(1)).square(), m) - math.log(n)
    portion = max(1, NUMBERS // (n * m.y[0].numel()))
    parts = [_through_own(x, m[k : k + portion]) for k in range(0, len(m), portion)]
    return torch.cat(parts) - math.log(n)


def _through_own(x: Tensor, m: Measurement) -> Tensor:
    """The logarithm of the sum of densities over samples, each measured as the measurement was."""
    each = torch.arange(len(m), device=x.device).repeat_interleave(len(x))
    seen = m.A[each](x.repeat(len(m), *(1,) * (x.ndim - 1)))
    return _summed((seen.view(len(m), len(x), -1) - m.y.flatten(1)[:, None]).square().sum(2), m)


def _summed(error: Tensor, m: Measurement) -> Tensor:
    """The logarithm of the sum of Gaussian densities with these squared errors, `(len(m), n)`."""
    entries = m.A.restrict(torch.ones_like(m.y)).flatten(1).sum(1)  # what is not measured has no density
    constant = entries / 2 * math.log(2 * math.pi * m.sigma_y**2)
    return torch.logsumexp(-error / (2 * m.sigma_y**2), 1) - constant


@register("measurement_likelihood")
@dataclass(frozen=True)
class MeasurementLikelihood:
    """The mean negative log-density of held-out measurements under the corrupted samples.

    Args:
        most: How many of the held-out measurements are asked, the first ones, >= 2.
    """

    most: int = 1000

    needs: ClassVar[str] = "measurements"
    sampling_unit: ClassVar[str] = "held-out measurements"
    values: ClassVar[dict[str, tuple[str, str]]] = {"measurement_nll": ("lower", "nats")}

    def __post_init__(self) -> None:
        if self.most < 2:
            raise ValueError(f"most must be >= 2, got {self.most}")

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        if len(reference.test) < 2:
            return "needs held-out measurements, and there are none"
        corruption = reference.corruption
        if corruption.noise is not None or not corruption.sigma_y > 0:
            return "needs white noise in the measurements, by which they have a density"
        return None

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The score of `samples`, `(n, *signal)`."""
        if not bool(samples.isfinite().all()):
            raise ValueError("samples must be finite")
        same = not reference.corruption.operator.random
        return {"measurement_nll": -float(log_density(samples, reference.test[: self.most], same).mean())}
