"""The space in which a task's diffusion lives."""

from __future__ import annotations

__all__ = ["apart"]

from dcdbench.problem import Corruption


def apart(corruption: Corruption, shape: tuple[int, ...]) -> bool:
    """Whether measurements of signals of `shape` have another shape."""
    return tuple(corruption.operator.measured_shape(shape)) != tuple(shape)
