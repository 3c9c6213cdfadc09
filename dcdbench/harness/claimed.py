"""Packages of claims: which claims there are, and the stages that decide them.

A package of claims has one file per claim in `PACKAGE.claims`, and `PACKAGE.record.decided(name)`, which
decides one and gives JSON. A claim is decided again when its code changes, or code that it imports.
"""

from __future__ import annotations

__all__ = ["KIND", "claim_names", "claim_stages"]

import importlib.util
import pkgutil

from dcdbench.harness.stage import Stage

KIND = "claim"
TARGET = "dcdbench.harness.stages.claim:run"


def claim_names(package: str) -> tuple[str, ...]:
    """The claims of an installed package, by the names of their files. None of them is imported.

    Raises:
        ValueError: It is no package of claims.
    """
    try:
        spec = importlib.util.find_spec(f"{package}.claims")
        recorded = importlib.util.find_spec(f"{package}.record")
    except (ImportError, ValueError) as error:
        raise ValueError(f"package cannot be imported: {error}") from error
    if spec is None or spec.submodule_search_locations is None or recorded is None:
        raise ValueError(f"package must have a folder {package}/claims and a file {package}/record.py")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(spec.submodule_search_locations)))


def claim_stages(package: str) -> tuple[Stage, ...]:
    """A stage for each claim of a package; for none, no stages."""
    return tuple(_stage(package, name) for name in claim_names(package)) if package else ()


def _stage(package: str, name: str) -> Stage:
    code = (f"{package}.record", f"{package}.claims.{name}")
    spec = {"package": package, "claim": name}
    return Stage(KIND, TARGET, spec, {}, seed=0, modules=code, label=f"{package}/{name}")
