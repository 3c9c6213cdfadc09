"""The manifest of a suite's last plan: enough to tell its state without the suite file."""

from __future__ import annotations

__all__ = ["identities", "write"]

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dcdbench.harness.store import Store

if TYPE_CHECKING:
    from dcdbench.harness.plan import Plan


def write(plan: Plan, store: Store) -> None:
    """Keeps the plan's cells, and the identities of the stages that the store lacks."""
    manifest = {
        "suite": plan.suite.name,
        "path": str(plan.suite.path),
        "cells": [asdict(cell) for cell in plan.cells],
        "stages": {
            stage.key: stage.identity for stage in plan.stages if not store.folder(stage.key).exists()
        },
        "labels": {stage.key: stage.label for stage in plan.stages},
    }
    old = store.run(plan.suite.name)
    if manifest["stages"] or old is None or old["labels"] != manifest["labels"]:
        store.write_run(plan.suite.name, manifest)


def identities(store: Store) -> dict[str, dict[str, Any]]:
    """The identities of the stages that were planned and lacking, by key."""
    return {key: identity for run in _runs(store) for key, identity in run["stages"].items()}


def _runs(store: Store) -> list[dict[str, Any]]:
    found = [store.run(name) for name in store.runs()]
    return [run for run in found if run is not None]
