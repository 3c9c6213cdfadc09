"""What metrics that compare with clean samples have in common."""

from __future__ import annotations

__all__ = ["classifier_of", "classifier_reason", "clean_pair", "clean_reason", "flat"]

import torch
from torch import Tensor

from dcdbench.problem import Reference
from dcdbench.protocols import Classifier


def flat(x: Tensor) -> Tensor:
    """Samples `(n, *)` as float64 vectors `(n, d)`; finite, or it is an error."""
    x = x.detach().flatten(1).double()
    bad = int((~torch.isfinite(x)).any(1).sum())
    if bad or not len(x):
        raise ValueError(f"samples must be finite and at least one, got {bad} of {len(x)} non-finite")
    return x


def clean_pair(samples: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
    """The samples and the clean reference as vectors, `(n, d)` and `(m, d)`, on the samples' device."""
    if reference.clean is None:
        raise ValueError("this metric compares with clean samples, and the reference has none")
    if samples.shape[1:] != reference.clean.shape[1:]:
        raise ValueError(
            f"samples have signals of shape {tuple(samples.shape[1:])}, "
            f"but the reference has {tuple(reference.clean.shape[1:])}"
        )
    return flat(samples), flat(reference.clean.to(samples.device))


def clean_reason(reference: Reference, least: int = 1) -> str | None:
    """None where there are at least `least` clean samples, else the reason why not."""
    n = 0 if reference.clean is None else len(reference.clean)
    if n >= least:
        return None
    return "needs clean samples, and there are none" if n == 0 else f"needs {least} clean samples, has {n}"


def classifier_of(samples: Tensor, reference: Reference) -> tuple[Classifier, Tensor, Tensor]:
    """The classifier, the samples and the clean reference, `(n, *signal)`, float64 on the samples' device."""
    if reference.classifier is None:
        raise ValueError("this metric needs a classifier of clean signals, and the reference has none")
    x, y = clean_pair(samples, reference)
    shape = samples.shape[1:]
    return reference.classifier, x.reshape(-1, *shape), y.reshape(-1, *shape)


def classifier_reason(reference: Reference, least: int = 1) -> str | None:
    """None where there are a classifier and at least `least` clean samples, else the reason why not."""
    if reason := clean_reason(reference, least):
        return reason
    return (
        None if reference.classifier is not None else "needs a classifier of clean signals, and there is none"
    )
