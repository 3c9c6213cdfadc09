"""`dcdbench why KEY`: what a key covers, and what changed."""

from __future__ import annotations

__all__ = ["command"]

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcdbench.commands.options import json_output, store_folder, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dcdbench.harness.lookup import Found
    from dcdbench.harness.store import Store
    from dcdbench.harness.why import Explanation


@click.command(short_help="Explain why a stage is, or is not, in the store.")
@click.argument("key")
@store_folder
@json_output
def command(key: str, store: Path, as_json: bool) -> int:
    """Explain why the stage KEY is, or is not, in the store.

    Prints everything that the key covers, and what differs from the most similar stored stage.
    KEY is a key, the beginning of one, or a cell such as ring-noise/dcd/0, for which its first
    missing stage is explained, else its last training.
    """
    from dcdbench.harness import lookup, manifest, why
    from dcdbench.harness.store import Store

    shelf = Store(store)
    found = lookup.find(shelf, key)
    chosen = _stage(shelf, found)
    explanation = why.explain(shelf, chosen, manifest.identities(shelf))
    if as_json:
        write_json("why", asdict(explanation))
        return 0
    if found.place is not None:
        for role, stage in found.place.chain.items():
            mark = "->" if stage == chosen else "  "
            click.echo(f"{mark} {role:<12} {stage:<28} {why.explain(shelf, stage).state}")
        click.echo()
    click.echo("\n".join(_lines(explanation)))
    return 0


def _lines(explanation: Explanation) -> Iterator[str]:
    """What changed first, then everything that the key covers."""
    from dcdbench.harness.store import kind_of

    yield f"{explanation.key}: {explanation.state}"
    if explanation.nearest is None:
        yield f"no other {kind_of(explanation.key)} is in the store to compare it with"
    else:
        yield f"compared with {explanation.nearest}, the most similar in the store:"
        yield from (f"  {change}" for change in explanation.changes)
    yield "its key covers:"
    covered = [line for line in explanation.lines() if line.startswith("  ")]
    yield from covered[: len(covered) - len(explanation.changes)]


def _stage(store: Store, found: Found) -> str:
    """The stage of a cell that the question is about."""
    from dcdbench.harness.census import state_of
    from dcdbench.harness.lookup import UnknownKey

    if found.key is not None:
        return found.key
    place = found.place
    assert place is not None
    if place.reason:
        raise UnknownKey(f"{place.label} has no stages, it is skipped: {place.reason}")
    state = state_of(store, place)
    return state.key or next(reversed(place.trained), place.stages["samples"])
