"""The laws that operators obey. Each takes a case, and returns its worst gap or raises `Broken`."""

from __future__ import annotations

__all__ = ["GENERAL", "LINEAR"]

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dcdbench.harness.case import Case, close, global_state, require
from dcdbench.protocols import Operator

Z = 6.0  # Monte Carlo: standard errors from the law, which chance exceeds once in 5e8


def measured_shape(case: Case) -> float:
    """`A x` has the shape that the law states, and is finite."""
    y = case.draw()(case.signal())
    expected = (case.n, *case.law.measured_shape(case.shape))
    require(tuple(y.shape) == expected, f"A x has shape {tuple(y.shape)}, the law states {expected}")
    require(bool(y.isfinite().all()), "A x is not finite")
    return 0.0


def linearity(case: Case) -> float:
    """`A(a x + b x') = a A(x) + b A(x')`."""
    A, x, other = case.draw(), case.signal(), case.signal("x'")
    return close("A(2x - 3x') and 2A(x) - 3A(x')", A(2 * x - 3 * other), 2 * A(x) - 3 * A(other))


def adjointness(case: Case) -> float:
    """`<A x, y> = <x, A^T y>`, per sample."""
    A, x, y = case.draw(), case.signal(), case.measured()
    lhs = (A(x) * y).flatten(1).sum(1)
    return close("<A x, y> and <x, A^T y>", (x * A.adjoint(y)).flatten(1).sum(1), lhs)


def gradient(case: Case) -> float:
    """The gradient of `<A x, y>` with respect to x is `A^T y`; for nonlinear A, gradcheck."""
    A, x, y = case.draw(), case.signal().requires_grad_(), case.measured()
    if not case.law.linear:
        torch.autograd.gradcheck(A, (x,))
        return 0.0
    product = (A(x) * y).sum()
    require(product.requires_grad, "A x does not carry the gradient of x")
    (grad,) = torch.autograd.grad(product, x)
    return close("the gradient of <A x, y> and A^T y", grad, A.adjoint(y))


def pseudo_inverse(case: Case) -> float:
    """Moore and Penrose: `A A+ A = A`, `A+ A A+ = A+`, and both products are symmetric."""
    A, x, y = case.draw(), case.signal(), case.measured()
    other_x, other_y, back = case.signal("x'"), case.measured("y'"), A.pinv(y)
    gaps = [
        close("A A+ A x and A x", A(A.pinv(A(x))), A(x)),
        close("A+ A A+ y and A+ y", A.pinv(A(back)), back),
        close("<A A+ y, y'> and <y, A A+ y'>", _inner(A(back), other_y), _inner(y, A(A.pinv(other_y)))),
        close("<A+ A x, x'> and <x, A+ A x'>", _inner(A.pinv(A(x)), other_x), _inner(x, A.pinv(A(other_x)))),
    ]
    return max(gaps)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


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
    share = 1 - kept.flatten(1).sum(1)[rows] / seen.flatten(1).sum(1)[rows]
    # The share has mean delta; its spread is at most that of a single coin per sample.
    error = (delta * (1 - delta) / max(len(share), 1)) ** 0.5
    text = f"further({delta}) drops a share of {float(share.mean()):.3f} (standard error <= {error:.3f})"
    require(len(share) == 0 or abs(float(share.mean()) - delta) < Z * error, text)
    none = A.further(0.0, (case.stream / "further").rng())
    return max(gap, close("further(0) and A", none(x), A(x)) if none is not None else 0.0)


def condition(case: Case) -> float:
    """What a network is shown broadcasts like the signal, and masks show something."""
    shown = case.draw().condition()
    require(shown is not None or not case.law.masks, "the law states masks, but condition() is None")
    if shown is not None:
        good = shown.ndim == 1 + len(case.shape) and shown.shape[0] == case.n
        good = good and all(s in (1, full) for s, full in zip(shown.shape[2:], case.shape[1:], strict=True))
        require(good, f"condition() has shape {tuple(shown.shape)} for signals {(case.n, *case.shape)}")
    return 0.0


def slicing(case: Case) -> float:
    """`A[i](x[i]) = A(x)[i]` for slices, indices and boolean masks."""
    A, x = case.draw(), case.signal()
    y = A(x)
    odd = torch.arange(case.n) % 2 == 1
    indices: dict[str, Any] = {
        "1:": slice(1, None),
        "::2": slice(None, None, 2),
        "[2, 0, 2]": torch.tensor([2, 0, 2]),
        "mask": odd,
    }
    return max(
        close(f"A[{name}](x[{name}]) and A(x)[{name}]", A[i](x[i]), y[i]) for name, i in indices.items()
    )


def batch_independence(case: Case) -> float:
    """What is measured of one sample depends on no other sample."""
    A, x, y = case.draw(), case.signal(), case.measured()
    changed_x, changed_y = x.clone(), y.clone()
    changed_x[1:], changed_y[1:] = 1e3, 1e3
    gaps = [close("A(x)[0] when other samples change", A(changed_x)[:1], A(x)[:1])]
    if case.law.linear:
        gaps += [
            close(f"{name}(y)[0] when other samples change", f(changed_y)[:1], f(y)[:1])
            for name, f in (("adjoint", A.adjoint), ("pinv", A.pinv), ("restrict", A.restrict))
        ]
    return max(gaps)


def determinism(case: Case) -> float:
    """The same address gives the same draws, and a call gives the same result again."""
    with global_state():
        first, x = case.draw(), case.signal()
        y = first(x)
        torch.manual_seed(case.seed + 1)
        second = case.draw()
        require(torch.equal(first(x), y), "A(x) differs from one call to the next")
        require(torch.equal(second(x), y), "two draws from one address differ")
        require(torch.equal(x, case.signal()), "A changes its argument in place")
        pair = [A.further(0.5, (case.stream / "further").rng()) for A in (first, second)]
        if pair[0] is not None and pair[1] is not None:
            require(torch.equal(pair[0](x), pair[1](x)), "two further corruptions from one address differ")
    return 0.0


def no_global_randomness(case: Case) -> float:
    """Nothing touches the global generators of torch, NumPy and Python."""
    with global_state():
        before = _states()
        A, x, y = case.draw(), case.signal(), case.measured()
        A(x), A.restrict(y), A.further(0.5, case.stream.rng())
        if case.law.linear:
            A.adjoint(y), A.pinv(y)
        case.law.identifiable(case.shape)
        for name, state in _states().items():
            require(state == before[name], f"the global generator of {name} was used")
    return 0.0


def _states() -> dict[str, Any]:
    numpy_state = np.random.get_state()
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": (numpy_state[1].tolist(), numpy_state[2]),  # type: ignore[index]
        "random": random.getstate(),
    }


def dtypes(case: Case) -> float:
    """`.to` moves between float32 and float64; results have the type of their input."""
    wide, x, y = case.draw(), case.signal(), case.measured()
    narrow = wide.to(dtype=torch.float32)
    calls: list[tuple[str, Callable[[Operator], Any], Tensor]] = [
        ("A(x)", lambda A: A, x),
        ("restrict", lambda A: A.restrict, y),
    ]
    if case.law.linear:
        calls += [("adjoint", lambda A: A.adjoint, y), ("pinv", lambda A: A.pinv, y)]
    gaps = []
    for name, method, argument in calls:
        low, high = method(narrow)(argument.float()), method(wide)(argument)
        require(low.dtype == torch.float32, f"{name} of float32 is {low.dtype}")
        require(high.dtype == torch.float64, f"{name} of float64 is {high.dtype}")
        gaps.append(close(f"{name} in float32 and float64", low, high.float()))
    return max(gaps)


def stored(case: Case) -> float:
    """`law.restore(A.tensors())` measures what A measures."""
    A, x, y = case.draw(), case.signal(), case.measured()
    tensors = A.tensors()
    for name, tensor in tensors.items():
        require(isinstance(name, str) and isinstance(tensor, Tensor), f"tensors()[{name!r}] is no tensor")
    again = case.law.restore({name: tensor.clone() for name, tensor in tensors.items()}).to("cpu", case.dtype)
    return max(
        close("the restored A(x) and A(x)", again(x), A(x)), close("R y", again.restrict(y), A.restrict(y))
    )


def identifiability(case: Case) -> float:
    """`identifiable` agrees with the rank of `E[A^T A]` over many draws.

    Each draw's `A^T A` lies in the range of the mean, so the estimate has full rank only if
    the mean has.
    """
    d, draws = int(np.prod(case.shape)), 1024
    if d > 16:
        return 0.0
    many = replace(case, n=draws).draw("identifiable")
    basis = torch.eye(d, dtype=case.dtype).reshape(d, 1, *case.shape)
    columns = [many.adjoint(many(e.expand(draws, *case.shape))).mean(0).flatten() for e in basis]
    values = torch.linalg.eigvalsh(torch.stack(columns))
    rank = int((values > 1e-9 * values.max().clamp(min=1e-300)).sum())
    stated = case.law.identifiable(case.shape)
    text = f"identifiable is {stated}, but E[A^T A] over {draws} draws has rank {rank} of {d}"
    require(stated == (rank == d), text)
    return 0.0


GENERAL: dict[str, Callable[[Case], float]] = {
    "measured shape": measured_shape,
    "gradient": gradient,
    "restriction": restriction,
    "further corruption": further,
    "condition": condition,
    "slicing": slicing,
    "batch independence": batch_independence,
    "determinism": determinism,
    "no global randomness": no_global_randomness,
    "dtypes": dtypes,
    "store and restore": stored,
}
LINEAR: dict[str, Callable[[Case], float]] = {
    "linearity": linearity,
    "adjointness": adjointness,
    "pseudo-inverse": pseudo_inverse,
    "identifiability": identifiability,
}
