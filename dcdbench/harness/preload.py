"""Which modules the server of processes imports once, so that no stage pays for them."""

from __future__ import annotations

__all__ = ["COMPILER", "modules"]

import ast
import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dcdbench.harness.stage import Stage

COMPILER = ("torch._dynamo",)  # counting the operations of a step imports it, and that takes as long as torch


def modules(stages: Iterable[Stage]) -> tuple[str, ...]:
    """The stages' own modules, and the libraries that they import, also those imported inside functions."""
    own = sorted({module for stage in stages for module in stage.identity["code"]})
    libraries = sorted({name for module in own for name in _imports(module)})
    trains = COMPILER if "dcdbench.training" in own else ()
    return (*libraries, *trains, *(module for module in own if module.startswith("dcdbench.")))


@cache
def _imports(module: str) -> tuple[str, ...]:
    spec = importlib.util.find_spec(module) if module.startswith("dcdbench.") else None
    if spec is None or spec.origin is None:
        return ()
    names: set[str] = set()
    for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return tuple(name for name in names if name.partition(".")[0] not in ("dcdbench", "__future__"))
