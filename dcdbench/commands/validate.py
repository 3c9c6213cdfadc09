"""`dcdbench validate SUITE...`: every mistake at once."""

from __future__ import annotations

__all__ = ["command"]

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dcdbench.commands import options

if TYPE_CHECKING:
    from dcdbench.harness.suite import Suite


@click.command("validate")
@click.argument("suites", nargs=-1, required=True, metavar="SUITE...", type=click.Path(path_type=Path))
@options.configuration
@options.json_output
def command(
    suites: tuple[Path, ...],
    overrides: tuple[str, ...],
    plugins: tuple[Path, ...],
    quick: bool,
    as_json: bool,
) -> int:
    """Check suite files and report every mistake at once."""
    from dcdbench.harness.mistakes import SuiteError

    reports = []
    for path in suites:
        try:
            suite = options.open_suite(path, overrides, plugins, quick)
        except SuiteError as error:
            reports.append(_broken(path, error))
            click.echo(str(error), err=True)
        else:
            reports.append(_sound(path, suite))
            if not as_json:
                click.echo(f"{path}: valid, {_size(suite)}")
                for warning in reports[-1]["warnings"]:
                    click.echo(f"warning: {warning['task']} is not identifiable: {warning['reason']}")
    if as_json:
        options.write_json("validate", {"suites": reports})
    return 0 if all(report["valid"] for report in reports) else 2


def _size(suite: Suite) -> str:
    from dcdbench.harness.standing import plural, span

    counts = suite.counts or (len(suite.seeds),)
    parts = plural(len(suite.tasks), "task"), plural(len(suite.methods), "method"), span(counts, "seed")
    return f"{' x '.join(parts)} = {suite.cells} cells"


def _sound(path: Path, suite: Suite) -> dict[str, Any]:
    from dcdbench.harness.identified import unidentified

    return {
        "path": str(path),
        "valid": True,
        "name": suite.name,
        "tasks": list(suite.tasks),
        "methods": list(suite.methods),
        "seeds": list(suite.seeds),
        "own_seeds": {name: list(task.seeds) for name, task in suite.tasks.items() if task.seeds},
        "metrics": list(suite.metrics),
        "primary": list(suite.primary),
        "cells": suite.cells,
        "warnings": [{"task": name, "reason": reason} for name, reason in unidentified(suite).items()],
    }


def _broken(path: Path, error: Any) -> dict[str, Any]:
    from dcdbench.harness.mistakes import ABSENT

    mistakes = [
        {
            "path": mistake.path,
            "line": mistake.line,
            **({"file": str(file)} if (file := mistake.file or error.file) != path else {}),
            "message": mistake.message,
            **({} if mistake.value is ABSENT else {"value": mistake.value}),
            **({"near": mistake.near} if mistake.near else {}),
        }
        for mistake in error.mistakes
    ]
    return {"path": str(path), "valid": False, "mistakes": mistakes}
