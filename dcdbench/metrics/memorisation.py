r"""Memorisation: whether samples lie nearer to the training signals than held-out signals explain.

Of all $n_T$ training and $n_R$ held-out clean signals, those are found that are the nearest one of some
sample; $s$ is the share of training signals among these, each counted once. If samples do not depend on which
signals were trained on, then the $n_T + n_R$ signals are exchangeable given the samples: which of them are
nearest does not depend on which were trained on, so that $E s = e = n_T / (n_T + n_R)$ exactly, at any sizes
and in any dimension, with duplicates too. Reported is

$$\mathrm{memorised} = \frac{s - e}{1 - e},$$

which has mean 0 without memorisation (it may be negative), and is 1 if every sample is nearest to a training
signal. Its standard deviation is then about $\sqrt{n_T / (n_R K)}$ for `K` nearest signals. Were each
counted as often as it is nearest, the mean would be the same; but samples that lie outside of the data share
a few neighbours, and the value would depend on where these few stand. The training set is not cut to the size
of the other: most copies of one of 20 000 signals would miss a subset of 2 000. Distances to training and to
held-out data are compared by Meehan et al. (2020), https://arxiv.org/abs/2004.05675, and van den Burg and
Williams (2021), https://arxiv.org/abs/2106.03216.

The law needs samples, and a floor, that are none of the training signals. The floor of a finite data set is a
part of them, which is left out of the training set there (`harness/stages/scores.py`): what is left, the
held-out signals and the floor are a random division of one set, so they are exchangeable again.
"""

from __future__ import annotations

__all__ = ["Memorisation", "memorised"]

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcdbench.linalg import distances
from dcdbench.metrics import register
from dcdbench.metrics.pairs import clean_pair, clean_reason, flat
from dcdbench.problem import Reference

BLOCK = 256  # samples at a time, which bounds the memory


def memorised(x: Tensor, train: Tensor, held_out: Tensor) -> float:
    """The value for samples `x`, `(n, d)`, training signals `(t, d)` and held-out signals `(m, d)`."""
    t, m = len(train), len(held_out)
    both = torch.cat([train, held_out])
    nearest = torch.zeros(t + m, dtype=torch.bool, device=x.device)
    for part in x.split(BLOCK):
        d = distances(part, both)
        nearest |= (d == d.amin(1, keepdim=True)).any(0)  # several where they are equally near
    share, expected = nearest[:t].sum().item() / nearest.sum().item(), t / (t + m)
    return (share - expected) / (1 - expected)


@register("memorisation")
@dataclass(frozen=True)
class Memorisation:
    """How much more often the signals nearest to samples are training signals than without memorisation."""

    needs: ClassVar[str] = "training"
    sampling_unit: ClassVar[str] = "generated, training and held-out clean samples"
    values: ClassVar[dict[str, tuple[str, str]]] = {"memorised": ("lower", "share beyond expected")}

    def supports(self, reference: Reference) -> str | None:
        """None, or the reason why the metric cannot be computed against this reference."""
        if reference.train is None:
            return "needs the clean training signals, which are unknown"
        if not len(reference.train):
            return "needs training signals besides those that are scored, and there are none"
        return clean_reason(reference)

    def __call__(self, samples: Tensor, reference: Reference, rng: torch.Generator) -> dict[str, float]:
        """The score of `samples`, `(n, *signal)`."""
        if reference.train is None:
            raise ValueError("this metric compares with clean training signals, and the reference has none")
        x, held_out = clean_pair(samples, reference)
        return {"memorised": memorised(x, flat(reference.train.to(x.device)), held_out)}
