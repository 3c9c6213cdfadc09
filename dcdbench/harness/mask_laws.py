"""What an operator says of the entries it measures: `restrict`, `further`, `condition` and `back`."""

from __future__ import annotations

__all__ = ["amplification", "back", "condition", "further", "restriction"]

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from dcdbench.harness.case import TOLERANCE, Case, close, require
from dcdbench.protocols import Operator

Z = 6.0  # Monte Carlo: standard errors from the law, which chance exceeds once in 5e8

STEPS = 30  # of power iteration
GAIN = 1e-3  # by how much a gain may exceed 1


def restriction(case: Case) -> float:
    """`R R y = R y`, `R A x = A x`, and R zeroes entries: it changes none."""
    A, x, y = case.draw(), case.signal(), case.measured()
    seen = A.restrict(y)
    require(bool(((seen == y) | (seen == 0)).all()), "restrict changes an entry, it may only zero it")
    return max(close("R R y and R y", A.restrict(seen), seen), close("R A x and A x", A.restrict(A(x)), A(x)))


def further(case: Case) -> float:
    """A further corruption only drops, drops the share it was asked for, and exists for masks."""
    delta, case = 0.3, replace(case, n=256)
    A, x, ones = case.draw(), case.signal(), torch.ones_like(case.measured())
    B = A.further(delta, (case.stream / "further").rng())
    require((B is not None) == case.law.masks, f"the law states masks = {case.law.masks}, further gives {B}")
    if B is None:
        return 0.0
    kept, seen = B.restrict(ones), A.restrict(ones)
    require(bool((kept <= seen).all()), "further measures an entry that was not measured before")
    gap = close("B x and what B keeps of A x", B(x), B.restrict(A(x)))
    rows = seen.flatten(1).sum(1) > 0
    _share(delta, 1 - kept.flatten(1).sum(1)[rows] / seen.flatten(1).sum(1)[rows], _exact(A))
    none = A.further(0.0, (case.stream / "further").rng())
    return max(gap, close("further(0) and A", none(x), A(x)) if none is not None and _exact(A) else 0.0)


def _exact(A: Operator) -> bool:
    """Whether the share that `further` drops is delta on average: other draws drop what they can."""
    return bool(getattr(A, "exact_share", True))


def _share(delta: float, share: Tensor, exact: bool) -> None:
    if not len(share):
        return
    mean = float(share.mean())
    if not exact:
        require(0 < mean <= 1, f"further({delta}) drops a share of {mean:.3f}, it must drop something")
        return
    # The share has mean delta; its spread is at most that of a single coin per sample.
    error = (delta * (1 - delta) / len(share)) ** 0.5
    text = f"further({delta}) drops a share of {mean:.3f} (standard error <= {error:.3f})"
    require(abs(mean - delta) < Z * error, text)


def condition(case: Case) -> float:
    """What a network is shown broadcasts like the signal, and masks show something."""
    shown = case.draw().condition()
    require(shown is not None or not case.law.masks, "the law states masks, but condition() is None")
    if shown is not None:
        good = shown.ndim == 1 + len(case.shape) and shown.shape[0] == case.n
        good = good and all(s in (1, full) for s, full in zip(shown.shape[2:], case.shape[1:], strict=True))
        require(good, f"condition() has shape {tuple(shown.shape)} for signals {(case.n, *case.shape)}")
    return 0.0


def _projection(case: Case, seen: Callable[[Tensor], Tensor]) -> None:
    x, other = case.signal(), case.signal("x'")
    close("back(A(.)) applied twice and once, as A.projects states,", seen(seen(x)), seen(x))
    products = [(seen(x) * other).flatten(1).sum(1), (x * seen(other)).flatten(1).sum(1)]
    close("<back(A x), x'> and <x, back(A x')>, as A.projects states,", *products)


def back(case: Case) -> float:
    """`back` gives a signal, linearly, that is zero only where `A^T y` is; `A.projects` is as stated."""
    A, y, other = case.draw(), case.measured(), case.measured("y'")
    shown = A.back(y)
    expected = (case.n, *case.shape)
    require(tuple(shown.shape) == expected, f"back(y) has shape {tuple(shown.shape)}, signals {expected}")
    if case.law.linear:
        lost = (shown == 0) & (A.adjoint(y).abs() > TOLERANCE[case.dtype])
        require(not bool(lost.any()), "back(y) is zero where A^T y is not")
    if A.projects:
        _projection(case, lambda x: A.back(A(x)))
    return close(
        "back(2y - 3y') and 2back(y) - 3back(y')", A.back(2 * y - 3 * other), 2 * shown - 3 * A.back(other)
    )


def amplification(case: Case) -> float:
    """`back(A(.))` amplifies no signal, where networks are shown A: see `Preconditioned`.

    They are shown it where it hides entries, tells what it does, or measures in another shape.
    """
    A, x = case.draw(), case.signal()
    apart = tuple(case.law.measured_shape(case.shape)) != tuple(case.shape)
    if not (case.law.masks or apart or A.condition() is not None):
        return 0.0
    view = (-1, *(1,) * len(case.shape))
    gain = 0.0
    for _ in range(STEPS):
        x = A.back(A(x / x.flatten(1).norm(dim=1).clamp(min=1e-300).view(view)))
        gain = float(x.flatten(1).norm(dim=1).max())
    require(gain <= 1 + GAIN, f"back(A(.)) amplifies a signal by {gain:.4g}, networks need at most 1")
    return max(gain - 1, 0.0)
