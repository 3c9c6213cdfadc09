"""`dcdbench schema`: what editors need to check and complete a suite file."""

from __future__ import annotations

__all__ = ["command"]

from pathlib import Path

import click


@click.command("schema")
@click.option(
    "--plugins",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A file of your own components; may be repeated.",
)
def command(plugins: tuple[Path, ...]) -> None:
    """Print the JSON schema of suite files, for editors.

    Save it as suite.schema.json and begin a suite with
    `# yaml-language-server: $schema=suite.schema.json`.
    """
    import json

    from dcdbench.harness import plugins as loader
    from dcdbench.harness.schema import suite_schema

    loader.load(list(plugins))
    click.echo(json.dumps(suite_schema(), indent=2))
