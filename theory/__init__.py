"""Claims about distilling diffusion teachers that learned from corrupted data, decided by numbers.

A file in `theory/claims/` defines one `CLAIM`, and is found by being there. `python -m theory`
decides all of them. See `theory.claim` for what a claim consists of.

`theory.formulas` has the closed forms as functions, which can be imported from here too, and
`theory.divergences` distances between known laws.
"""

from __future__ import annotations

__all__ = ["load_claims", "proof"]

import importlib
import importlib.util
import pkgutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theory.claim import Claim, Identity


def load_claims() -> dict[str, Claim | Identity]:
    """All claims by name; the name is that of the file."""
    from theory import claims

    names = sorted(module.name for module in pkgutil.iter_modules(claims.__path__))
    return {name: importlib.import_module(f"{claims.__name__}.{name}").CLAIM for name in names}


def proof(name: str) -> str:
    """What the file of a loaded claim says of it."""
    return (getattr(sys.modules.get(f"theory.claims.{name}"), "__doc__", None) or "").strip()


def __getattr__(name: str) -> Any:
    """A closed form of `theory.formulas`, which are imported only when one is asked for."""
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is None:
        formulas = importlib.import_module(f"{__name__}.formulas")
        if name in formulas.__all__:
            return getattr(formulas, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
