"""The laws of draws as values: random where they say so, sliced, moved, stored, and free of side effects."""

from __future__ import annotations

__all__ = [
    "batch_independence",
    "determinism",
    "dtypes",
    "moves",
    "no_global_randomness",
    "randomness",
    "slicing",
    "stored",
]

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dcdbench.harness.case import Case, Shape, close, fits, global_state, require
from dcdbench.protocols import Operator

# Large enough for random draws to differ, which they cannot on a single pixel.
WIDE: tuple[Shape, ...] = ((2, 12, 12), (3, 12, 12), (1, 12, 12), (24,))


def randomness(case: Case) -> float:
    """Two samples have different draws if, and only if, the law is random."""
    wide = next((shape for shape in WIDE if fits(case.law, shape)), case.shape)
    for shape in dict.fromkeys((case.shape, wide)):
        many = replace(case, shape=shape, n=64)
        y = many.draw()(many.signal()[:1].expand(64, *shape))
        differs = bool(((y - y[:1]).abs() > 1e-6 * (1 + y.abs().max())).any())
        require(case.law.random or not differs, f"draws differ on {shape}, the law states random = False")
    require(differs or not case.law.random, f"64 draws on {shape} are equal, the law states random = True")
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


def moves(case: Case) -> float:
    """`.to` moves every tensor of a draw, whole numbers keep their type, and the draw itself stays."""
    A = case.law.draw(case.shape, case.n, (case.stream / "A").rng())
    before = [t.clone() for t in _tensors(A)]
    moved, narrow = list(_tensors(A.to("meta"))), list(_tensors(A.to(dtype=torch.float16)))
    require(
        all(t.device.type == "meta" for t in moved), "a tensor stays behind when A moves to another device"
    )
    require(len(moved) == len(narrow) == len(before), "A has other tensors when it has moved")
    for old, now, far, low in zip(before, _tensors(A), moved, narrow, strict=True):
        same = now.device == old.device and now.dtype == old.dtype and torch.equal(now, old)
        require(same, "A itself changes when it moves")
        require((far.shape, far.dtype) == (old.shape, old.dtype), "a tensor changes when it moves")
        whole = not old.is_floating_point() and not old.is_complex()
        require(not whole or low.dtype == old.dtype, f"whole numbers become {low.dtype}")
    return 0.0


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors of a draw, those in its parts included."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, torch.nn.Module):
        yield from value.state_dict().values()
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif is_dataclass(value):
        for f in fields(value):
            yield from _tensors(getattr(value, f.name))


def stored(case: Case) -> float:
    """`law.restore(A.tensors())` measures what A measures; tensors have one row per sample."""
    A, x, y = case.draw(), case.signal(), case.measured()
    tensors = A.tensors()
    for name, tensor in tensors.items():
        require(isinstance(name, str) and isinstance(tensor, Tensor), f"tensors()[{name!r}] is no tensor")
        good = tensor.ndim > 0 and len(tensor) == case.n
        require(good, f"tensors()[{name!r}] has shape {tuple(tensor.shape)} for {case.n} samples")
    again = case.law.restore({name: tensor.clone() for name, tensor in tensors.items()}).to("cpu", case.dtype)
    gaps = [
        close("the restored A(x) and A(x)", again(x), A(x)),
        close("R y", again.restrict(y), A.restrict(y)),
    ]
    if case.law.linear:
        gaps.append(close("the restored A^T y and A^T y", again.adjoint(y), A.adjoint(y)))
    return max(gaps)
