"""`dcdbench replay KEY`: a divergence, seen again from the last state that was stored before it."""

from __future__ import annotations

__all__ = ["command"]

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcdbench.commands.options import json_output, plugin_files, store_folder, write_json

if TYPE_CHECKING:
    from dcdbench.harness.lookup import Found
    from dcdbench.harness.store import Store


@click.command(short_help="Replay the step at which a training diverged.")
@click.argument("key")
@click.option("--last", type=click.IntRange(1), default=8, show_default=True, help="Steps to print.")
@store_folder
@plugin_files
@json_output
def command(key: str, last: int, store: Path, plugins: tuple[Path, ...], as_json: bool) -> int:
    """Replay the step at which the training KEY diverged.

    Goes on from the state that was stored before it, with the same randomness and threads, and
    prints the statistics of the last steps. Exit code 0: the same step diverges for the same
    reason; 1: it does not. KEY is a diverged stage, or a cell such as ring-noise/dcd/0.
    """
    from dcdbench.harness import lookup, replay
    from dcdbench.harness import plugins as loader
    from dcdbench.harness.store import Store

    loader.load(plugins)
    shelf = Store(store)
    chosen = _diverged(shelf, lookup.find(shelf, key))
    found = replay.replay(shelf, chosen, last, lambda text: click.echo(text, err=True))
    if as_json:
        write_json("replay", found.document())
    else:
        click.echo("\n".join(found.lines()))
    return 0 if found.reproduced else 1


def _diverged(store: Store, found: Found) -> str:
    """The stage that diverged; usage error where none has."""
    keys = [found.key] if found.key else list(found.place.chain.values()) if found.place else []
    for key in keys:
        record = store.get(key) if key else None
        if record is not None and record.status == "diverged":
            return record.key
    what = found.place.label if found.place else found.key
    raise click.UsageError(f"{what} has not diverged: there is nothing to replay")
