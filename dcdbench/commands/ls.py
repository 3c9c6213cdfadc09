"""`dcdbench ls [FAMILY]`: what there is to put into a suite, and `--matrix`: what goes together."""

from __future__ import annotations

__all__ = ["command"]

import dataclasses
from pathlib import Path
from typing import Any

import click

from dcdbench.commands import options

FAMILIES = [
    *("datasets", "operators", "noises", "networks"),
    *("objectives", "distillers", "metrics", "methods", "suites"),
]


@click.command("ls")
@click.argument("family", required=False, type=click.Choice(FAMILIES))
@click.option(
    "--matrix", is_flag=True, help="Which combinations of the components run, and why the others do not."
)
@click.option(
    "--sigma-y",
    type=click.FloatRange(min=0),
    default=0.2,
    show_default=True,
    help="With --matrix: the white measurement noise.",
)
@click.option("--noise", metavar="NAME", help="With --matrix: noise of another law, before the white noise.")
@options.plugin_files
@options.json_output
def command(
    family: str | None,
    matrix: bool,
    sigma_y: float,
    noise: str | None,
    plugins: tuple[Path, ...],
    as_json: bool,
) -> None:
    """List the components and suites there are.

    With --matrix: which objective runs with which distiller on which operator, each with its default
    arguments, and why the others are skipped.
    """
    from dcdbench.harness import plugins as loader

    loader.load(list(plugins))
    if matrix:
        if family:
            raise click.UsageError("--matrix is about all families that it combines: leave FAMILY out")
        _matrix(sigma_y, noise, as_json)
        return
    listing = {name: _members(name) for name in ([family] if family else FAMILIES)}
    if family == "operators":
        _add_traits(listing[family])
    if as_json:
        options.write_json("ls", {"families": listing})
        return
    for name, members in listing.items():
        click.secho(name, bold=True)
        for member in members:
            click.echo(f"  {member['name']:<20} {member['summary']}")
            if traits := member.get("traits"):
                click.echo("      " + ", ".join(k if yes else f"not {k}" for k, yes in traits.items()))
            for field in member.get("fields", []):
                default = f" = {field['default']}" if "default" in field else "  (required)"
                click.echo(f"      {field['name']}: {field['type']}{default}")


def _matrix(sigma_y: float, noise: str | None, as_json: bool) -> None:
    from dcdbench.harness.matrix import default, document, lines, tables

    other, wrong = default("noises", noise) if noise else (None, "")
    if wrong:
        raise click.BadParameter(f"{wrong} (got {noise!r})", param_hint="--noise")
    found = list(tables(sigma_y, other))
    if as_json:
        content = {"sigma_y": sigma_y, "noise": noise, "operators": [document(table) for table in found]}
        options.write_json("combinations", content)
        return
    for table in found:
        head, *rest = lines(table)
        click.secho(head, bold=True)
        click.echo("\n".join([*rest, ""]))
    skipped = [bool(c.reason) for table in found for c in table.combinations]
    where = f"sigma_y {sigma_y:g}" + (f" and {noise} noise" if noise else "")
    counts = f"{skipped.count(False)} combinations run, {skipped.count(True)} are skipped"
    click.echo(f"with {where}: {counts}", err=True)


def _add_traits(members: list[dict[str, Any]]) -> None:
    from dcdbench.harness.resolve import registry
    from dcdbench.harness.traits import traits

    for member in members:
        member["traits"] = traits(registry("operators")[member["name"]])


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
