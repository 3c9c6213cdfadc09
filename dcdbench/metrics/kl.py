r"""KL(generated || clean law), where the law's density is known, in one or two dimensions.

$-h(x) - E \log p(x)$, with the entropy by nearest neighbours (Kozachenko & Leonenko, 1987;
Kraskov et al., 2004, https://arxiv.org/abs/cond-mat/0305641):

$h = \psi(n) - \psi(k) + \log V_d + \frac{d}{n} \sum_i \log \rho_k(x_i)$, with $V_d$ the volume of
the unit ball and $\rho_k$ the distance to the k-th neighbour. Its bias grows fast with the
dimension, so that beyond two the estimate is not offered.
"""

from __future__ import annotations

__all__ = ["KL", "entropy"]

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.metrics import register
from dcdbench.metrics.pairs import flat
from dcdbench.problem import Reference

MOST_DIM = 2
RESOLUTION = torch.finfo(torch.float32).eps  # samples are stored in float32


def entropy(x: Tensor, k: int) -> float:
    """The differential entropy of samples `x`, `(n, d)`, in nats; `n > k`.

    Distances are not taken smaller than the spacing of float32 numbers at the sample: below
    that, samples coincide by rounding. So an atom gives a very low but finite entropy.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    n, d = x.shape
    if n <= k:
        raise ValueError(f"k={k} neighbours need more than {k} samples, got {n}")
    points = x.double().cpu().numpy()
    rho = torch.from_numpy(cKDTree(points).query(points, [k + 1])[0][:, 0])
    least = RESOLUTION * x.double().norm(dim=1).cpu().clamp_min(torch.finfo(torch.float32).tiny)
    volume = 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d + 1)
    return float(digamma(n) - digamma(k) + volume + d * torch.maximum(rho, least).log().mean().item())


@register("kl")
@dataclass(frozen=True)
class KL:
    """KL(generated || clean law): high where samples lie that clean data would not.

    An estimate: near zero it may be slightly negative. Where more than `k` samples coincide
    the true value is infinite, and the estimate is large but finite: what the spacing of
    float32 numbers allows.

    Args:
        k: The neighbour used for the entropy; more of them lower the variance and raise the bias.
    """

    k: int = 5

    needs: ClassVar[str] = "density"
    sampling_unit: ClassVar[str] = "generated samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {"kl": ("lower", "nat")}

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be >= 1, got {self.k}")

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        law = reference.law
        if law is None:
            return "needs the density of clean data, and no law of them is known"
        if not law.has_density:
            return "the law of clean data is degenerate, so it has no density"
        if law.dim > MOST_DIM:
            return f"its entropy estimate is biased beyond {MOST_DIM} dimensions, and the data have {law.dim}"
        return None

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The score of `samples`, `(n, *signal)`."""
        x = flat(samples)
        return {"kl": -entropy(x, self.k) - reference.law.log_prob(x).mean().item()}
