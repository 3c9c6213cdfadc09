"""`dcdbench check PATH`: the conformance kit for components in a file of one's own."""

from __future__ import annotations

__all__ = ["command"]

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dcdbench.commands import options

if TYPE_CHECKING:
    from dcdbench.harness.conformance import Finding


@click.command("check")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME.FIELD=VALUE",
    help="A field of a component, where the default is missing or not to be checked; may be repeated.",
)
@options.json_output
def command(path: Path, overrides: tuple[str, ...], as_json: bool) -> int:
    """Check the components of a plug-in file against their contracts.

    Operators are checked law by law on small random signals; other components are made with
    their default fields.
    """
    from dcdbench.harness import plugins

    plugins.load([path])
    components = _registered(path)
    if not components:
        click.echo(f"{path} registers no component: decorate a class with @register(name)", err=True)
        return 3
    report, failed = [], 0
    for family, name in components:
        if not as_json:
            click.secho(f"{family} {name}", bold=True)
        for finding in _findings(family, name, overrides):
            failed += not finding.passed
            report.append({"family": family, "component": name, **vars(finding)})
            if not as_json:
                click.secho("  PASS" if finding.passed else "  FAIL", fg=_COLOR[finding.passed], nl=False)
                click.echo(f"  {finding.name:<22} {finding.text}")
    if as_json:
        options.write_json("check", {"path": str(path), "findings": report})
    click.echo(f"{len(report)} checks, {failed} failed", err=True)
    return 1 if failed else 0


_COLOR = {True: "green", False: "red"}


def _registered(path: Path) -> list[tuple[str, str]]:
    """The families and names of the components whose classes stand in this file."""
    from dcdbench.harness.resolve import FAMILIES, registry

    found = []
    for family in FAMILIES:
        known = registry(family)
        for name in known:
            file = getattr(sys.modules.get(known[name].__module__), "__file__", None)
            if file and Path(file).resolve() == path.resolve():
                found.append((family, name))
    return found


def _findings(family: str, name: str, overrides: tuple[str, ...]) -> Iterator[Finding]:
    from dcdbench.harness.conformance import Finding, check_operator
    from dcdbench.harness.resolve import FAMILIES, Desk, component

    desk = Desk()
    made = component(desk, (), {name: _fields(name, overrides)}, family)
    if made is None:
        reasons = "; ".join(mistake.text("--set").removeprefix("--set: ") for mistake in desk.mistakes)
        yield Finding("is made", False, reasons)
        return
    yield Finding("is made", True, repr(made))
    missing = [member for member in _members(FAMILIES[family]) if not hasattr(made, member)]
    protocol = FAMILIES[family].__name__
    yield Finding("has all members", not missing, f"lacks {', '.join(missing)}" if missing else protocol)
    if family == "operators" and not missing:
        yield from check_operator(made)


def _members(protocol: Any) -> list[str]:
    """The names that a protocol asks for."""
    return (
        sorted(protocol.__protocol_attrs__)
        if hasattr(protocol, "__protocol_attrs__")
        else _declared(protocol)
    )


def _declared(protocol: Any) -> list[str]:
    """The same under Python 3.11, which does not keep them."""
    own = [name for name in vars(protocol) if name == "__call__" or not name.startswith("_")]
    return sorted({*own, *protocol.__annotations__})


def _fields(name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    """The fields that `--set name.field=value` gives to this component."""
    from dcdbench.harness.yamlfile import value_of

    fields = {}
    for override in overrides:
        path, equals, value = override.partition("=")
        owner, dot, field = path.partition(".")
        if not (equals and dot):
            raise click.UsageError(f"--set expects NAME.FIELD=VALUE, got {override!r}")
        if owner == name:
            fields[field] = value_of(value)
    return fields
