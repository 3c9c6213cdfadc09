"""What is taken from the library deepinv: its import, and its classes made from options of a suite."""

from __future__ import annotations

__all__ = ["Options", "built", "cast", "frozen", "kind", "load", "make", "moved"]

import functools
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

MISSING = 'the operator deepinv needs the library deepinv: pip install -c constraints.txt "dcdbench[deepinv]"'

Options = tuple[tuple[str, Any], ...]


@functools.cache
def load() -> Any:
    """The module `deepinv`.

    Raises:
        ValueError: It is not installed; the text says how to install it.
    """
    if importlib.util.find_spec("deepinv") is None:
        raise ValueError(MISSING)
    try:
        return importlib.import_module("deepinv")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    return _without_operators_of_torchvision()


def _without_operators_of_torchvision() -> Any:
    """Imports deepinv beside a torchvision that was built for another torch, such as one for GPUs.

    Its operators are absent then, but its import asks for their schemas. None of them is ever called here.
    """
    for name in [n for n in sys.modules if n.partition(".")[0] in ("torchvision", "deepinv")]:
        del sys.modules[name]
    for name in ("nms", "qnms"):
        _schemas().define(f"{name}(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module("deepinv")


@functools.cache
def _schemas() -> torch.library.Library:
    """Kept, since schemas live no longer than it."""
    return torch.library.Library("torchvision", "FRAGMENT")


@functools.lru_cache(maxsize=64)
def built(
    name: str, options: Options, seed: int, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype
) -> Any:
    """A physics, made on the CPU so that its own random numbers are the same everywhere."""
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):  # it outlives the caller's mode
        torch.manual_seed(seed)
        made = make("physics", name, options, shape, torch.Generator().manual_seed(seed))
        return cast(made, device, dtype)


def make(module: str, name: str, options: Options, shape: tuple[int, ...], rng: torch.Generator) -> Any:
    """An instance of a class, given the signal's shape, `rng` and its device where it takes them.

    Raises:
        ValueError: There is no such class, or it does not take these arguments.
    """
    cls = kind(module, name)
    offered = {"img_size": shape, "rng": rng, "device": rng.device}
    accepted = {p for c in cls.__mro__ if c is not object for p in inspect.signature(c).parameters}
    arguments = {k: v for k, v in offered.items() if k in accepted} | {k: _argument(v) for k, v in options}
    try:
        return cls(**arguments)
    except Exception as error:
        text = f"deepinv.{module}.{name} cannot be made for signals of shape {shape}: {error}"
        raise ValueError(text) from error


def kind(module: str, name: str) -> type:
    """A class, by its name in a module of deepinv."""
    found = getattr(functools.reduce(getattr, module.split("."), load()), name, None)
    if not isinstance(found, type):
        raise ValueError(
            f"deepinv.{module} has no class {name!r}: see https://deepinv.github.io for its names"
        )
    return found


def frozen(value: Any) -> Any:
    """Options that can be compared: mappings as sorted pairs, lists as tuples."""
    if isinstance(value, Mapping):
        return tuple(sorted((k, frozen(v)) for k, v in value.items()))
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def _argument(value: Any) -> Any:
    """Lists of lists of numbers are tensors."""
    nested = isinstance(value, tuple) and len(value) > 0 and all(isinstance(v, tuple) for v in value)
    return torch.tensor(value, dtype=torch.float32) if nested else value


def cast(physics: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Moves a physics: unlike `Module.to`, complex tensors stay complex."""
    placed = physics._apply(lambda t: moved(t, device, dtype))
    if isinstance(getattr(placed, "dtype", None), torch.dtype):  # which some classes cast to in their adjoint
        placed.dtype = dtype
    return placed


def moved(t: Tensor, device: torch.device | str | None, dtype: torch.dtype | None) -> Tensor:
    """A tensor on another device, or in another floating type; whole and complex numbers stay such."""
    if dtype is not None and t.is_complex():
        dtype = dtype.to_complex()
    return t.to(device=device, dtype=dtype if t.is_floating_point() or t.is_complex() else None)
