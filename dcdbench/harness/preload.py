"""Which modules the server of processes imports once, so that no stage pays for them."""

from __future__ import annotations

__all__ = ["modules"]

import ast
import importlib.util
from functools import cache
from pathlib import Path

from dcdbench.harness.plan import Plan


def modules(plan: Plan) -> tuple[str, ...]:
    """The plan's own modules, then the libraries that they import, also those imported inside functions."""
    own = sorted({module for stage in plan.stages for module in stage.identity["code"]})
    libraries = sorted({name for module in own for name in _imports(module)})
    return (*libraries, *(module for module in own if module.startswith("dcdbench.")))


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
