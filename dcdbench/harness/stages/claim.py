"""The stage that decides one claim of a package of claims, which nothing here imports by itself."""

from __future__ import annotations

__all__ = ["run"]

import importlib

from dcdbench.harness.context import Context, Outcome


def run(context: Context, package: str, claim: str) -> Outcome:
    """The package's own record of its decision: JSON with `verdict`, `expected` and `as_expected`."""
    return Outcome(importlib.import_module(f"{package}.record").decided(claim))
