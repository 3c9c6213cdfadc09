r"""The modes of a mixture of Gaussians: how many samples lie near one, and how they share among them.

With $D_k(x)^2 = (x - m_k)^T C_k^{-1} (x - m_k)$ the squared Mahalanobis distance from component $k$:

- `near_modes`: the share of samples with $\min_k D_k(x) \le r$. A draw of a component far from the others has
  $D_k^2 \sim \chi^2_d$, so that clean data score $P(\chi^2_d \le r^2)$. In two dimensions $r = 3$ is usual
  ("high-quality samples"; Srivastava et al., 2017, https://arxiv.org/abs/1705.07761), which 98.9 % of clean
  data meet. In 16 dimensions 9 % would, and a generator too narrow would score far better than clean data;
  so the default radius holds the same 98.9 % in any dimension.
- `mode_weights`: $\frac12 \sum_k |\frac1n \sum_i p(k \mid x_i) - w_k|$, the total variation between the mean
  posterior probability of each component and its weight. For draws of the law the mean is $w_k$ exactly, also
  where components overlap; shares of the nearest mode, or of the samples near one, have no such law.
"""

from __future__ import annotations

__all__ = ["Modes", "radius_of"]

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.analytic import Law
from dcdbench.metrics import register
from dcdbench.metrics.pairs import flat
from dcdbench.problem import Reference

WITHIN = -math.expm1(-(3**2) / 2)  # what three standard deviations hold of a Gaussian in two dimensions
BLOCK = 4096  # points at a time, which bounds the memory


def radius_of(dim: int) -> float:
    """The Mahalanobis distance that holds as much of a Gaussian in `dim` dimensions as 3 does in two."""
    from scipy.stats import chi2

    return math.sqrt(float(chi2.ppf(WITHIN, dim)))


@register("modes")
@dataclass(frozen=True)
class Modes:
    """The share of samples near a mode, and the distance between the weights of modes.

    Args:
        radius: How many standard deviations (of the mode, in the sample's direction) are near, > 0; None for
            the distance that holds as much of a mode as 3 does in two dimensions, which there is 3.
    """

    radius: float | None = None

    needs: ClassVar[str] = "density"
    sampling_unit: ClassVar[str] = "generated samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {
        "near_modes": ("higher", "share of samples"),
        "mode_weights": ("lower", "total variation"),
    }

    def __post_init__(self) -> None:
        if self.radius is not None and not 0 < self.radius < math.inf:
            raise ValueError(f"radius must be > 0 and finite, or null, got {self.radius}")

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        law = reference.law
        if law is None:
            return "needs the modes of clean data, and no law of them is known"
        if len(law.components[0]) < 2:
            return "needs a mixture, and the law of clean data has one component"
        return None if law.has_density else "a mode is degenerate, so distances from it are infinite"

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The scores of `samples`, `(n, *signal)`."""
        law: Law = reference.law
        x = flat(samples)
        radius = radius_of(law.dim) if self.radius is None else self.radius
        near = sum(int((law.mahalanobis(part).amin(1) <= radius).sum()) for part in x.split(BLOCK))
        shares = sum((law.responsibilities(part).sum(0) for part in x.split(BLOCK)), x.new_zeros(())) / len(x)
        away = (shares - law.components[0].to(x.device)).abs().sum() / 2
        return {"near_modes": near / len(x), "mode_weights": away.item()}
