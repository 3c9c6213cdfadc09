"""Phase diagrams of the claims. A file here defines one `DIAGRAM`, and is found by being there."""

from __future__ import annotations

__all__ = ["diagram_of", "load_diagrams"]

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from theory.plots import Diagram


def load_diagrams() -> dict[str, Diagram]:
    """All diagrams by name; the name is that of the file."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").DIAGRAM for name in names}


def diagram_of(claim: str) -> str | None:
    """The name of the diagram that shows a claim, if there is one."""
    return next((name for name, diagram in load_diagrams().items() if claim in diagram.claims), None)
