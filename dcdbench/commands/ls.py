"""`dcdbench ls [FAMILY]`: what there is to put into a suite."""

from __future__ import annotations

__all__ = ["command"]

import dataclasses
from pathlib import Path
from typing import Any

import click

from dcdbench.commands import options

FAMILIES = ["datasets", "operators", "networks", "objectives", "distillers", "metrics", "methods", "suites"]


@click.command("ls")
@click.argument("family", required=False, type=click.Choice(FAMILIES))
@click.option(
    "--plugins",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A file of your own components; may be repeated.",
)
@options.json_output
def command(family: str | None, plugins: tuple[Path, ...], as_json: bool) -> None:
    """List the components and suites there are."""
    from dcdbench.harness import plugins as loader

    loader.load(list(plugins))
    listing = {name: _members(name) for name in ([family] if family else FAMILIES)}
    if as_json:
        options.write_json("ls", {"families": listing})
        return
    for name, members in listing.items():
        click.secho(name, bold=True)
        for member in members:
            click.echo(f"  {member['name']:<20} {member['summary']}")
            for field in member.get("fields", []):
                default = f" = {field['default']}" if "default" in field else "  (required)"
                click.echo(f"      {field['name']}: {field['type']}{default}")


def _members(family: str) -> list[dict[str, Any]]:
    if family == "suites":
        return _suites()
    from dcdbench.harness.resolve import fields_of, registry, words
    from dcdbench.harness.schema import summary

    known = registry(family)
    return [
        {
            "name": name,
            "summary": summary(known[name]),
            "fields": [_field(words(hint), field) for hint, field in fields_of(known[name]).values()],
        }
        for name in known
    ]


def _field(kind: str, field: dataclasses.Field[Any]) -> dict[str, Any]:
    """A field, its type in words, and its default as a text that a suite would hold."""
    described = {"name": field.name, "type": kind}
    if field.default is not dataclasses.MISSING:
        described["default"] = _text(field.default)
    elif field.default_factory is not dataclasses.MISSING:
        described["default"] = _text(field.default_factory())
    return described


def _text(value: Any) -> str:
    return "null" if value is None else str(value)


def _suites() -> list[dict[str, Any]]:
    """The suite files under ./suites; a file's first comment line says what it is."""
    found = []
    for path in sorted(Path("suites").rglob("*.yaml")):
        comments = (
            line.removeprefix("#").strip()
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.startswith("#") and "yaml-language-server" not in line
        )
        found.append({"name": str(path), "summary": next(comments, "")})
    return found
