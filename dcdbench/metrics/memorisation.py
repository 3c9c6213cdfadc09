r"""Memorisation: whether samples lie nearer to the training signals than held-out signals explain.

For each sample the nearest of all $n_T$ training and $n_R$ held-out clean signals is found; $s$ is the share
of samples whose nearest one is a training signal. If a sample does not depend on which signals were trained
on, then these $n_T + n_R$ signals are exchangeable given the sample: each is the nearest one with the same
probability, so that $E s = e = n_T / (n_T + n_R)$ exactly, at any sizes and in any dimension. Reported is

$$\mathrm{memorised} = \frac{s - e}{1 - e},$$

which has mean 0 without memorisation (it may be negative), and is 1 if every sample is nearest to a training
signal. Among equally near signals the nearest is drawn at random, by its expectation, which keeps the law
for duplicates and for discrete data. The training set is not cut to the size of the other: most copies of
one of 20 000 signals would miss a subset of 2 000. The price is noise: at equal sizes the standard deviation
is at least about $1 / \sqrt n$ for `n` samples, and it grows like $\sqrt{n_T / n_R}$. Distances to training
and to held-out data are compared by Meehan et al. (2020), https://arxiv.org/abs/2004.05675, and van den Burg
and Williams (2021), https://arxiv.org/abs/2106.03216.

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
    share = x.new_zeros(())
    both = torch.cat([train, held_out])
    for part in x.split(BLOCK):
        d = distances(part, both)
        nearest = (d == d.amin(1, keepdim=True)).to(x)  # several where they are equally near
        share += (nearest[:, :t].sum(1) / nearest.sum(1)).sum()
    expected = t / (t + m)
    return (share.item() / len(x) - expected) / (1 - expected)


@register("memorisation")
@dataclass(frozen=True)
class Memorisation:
    """How much more often the nearest clean signal is a training signal than without memorisation."""

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
