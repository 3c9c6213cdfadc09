"""`dcdbench doctor`: is this machine fit to run a suite, and what would help?"""

from __future__ import annotations

__all__ = ["command"]

from pathlib import Path
from typing import Any

import click

from dcdbench.commands import options


@click.command("doctor")
@options.store_folder
@options.json_output
def command(store: Path, as_json: bool) -> int:
    """Report on the environment, and on what is missing."""
    from dcdbench.harness import environment

    report = environment.report(store)
    if as_json:
        options.write_json("doctor", report)
    else:
        _write(report)
    if report["problems"]:
        click.echo("\n".join(f"problem: {text}" for text in report["problems"]), err=True)
    return 1 if report["problems"] else 0


def _write(report: dict[str, Any]) -> None:
    for name in ("dcdbench", "python", "platform", "torch", "devices", "threads", "cores", "memory_gb"):
        value = report[name]
        click.echo(f"{name:<14} {', '.join(value) if isinstance(value, list) else value}")
    data = report["data"]
    click.echo(
        f"{'DCDBENCH_DATA':<14} {data['folder'] or 'not set'}{'' if data['exists'] else '  (no such folder)'}"
    )
    writable = "writable" if report["store"]["writable"] else "NOT writable"
    click.echo(f"{'store':<14} {report['store']['folder']} ({writable})")
    for package in report["packages"]:
        state = package["version"] or ("MISSING" if package["required"] else "missing")
        click.echo(f"  {package['name']:<14} {state:<12} {package['purpose']}")
