"""`dcdbench show KEY`: what is known of a stored stage, or of a cell."""

from __future__ import annotations

__all__ = ["command"]

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcdbench.commands.options import json_output, picture, store_folder, write_json

if TYPE_CHECKING:
    from dcdbench.harness.lookup import Found
    from dcdbench.harness.store import Store


@click.command(short_help="Show one stored stage.")
@click.argument("key")
@store_folder
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=picture,
    metavar="FILE",
    help="Draw the curves of the training instead: .png, .svg or .pdf.",
)
@json_output
def command(key: str, store: Path, plot: Path | None, as_json: bool) -> int:
    """Show one stored stage: parameters, parents, curves, results, and how it was made.

    KEY is a key, the beginning of one, a cell such as ring-noise/dcd/0, or one of its stages, as
    in ring-noise/dcd/0/student.
    """
    from dcdbench.harness import account, lookup
    from dcdbench.harness.store import Store

    shelf = Store(store)
    found = lookup.find(shelf, key)
    if plot is not None:
        _plot(shelf, found, plot)
        return 0
    if as_json:
        write_json("show", _document(shelf, found))
    elif found.place is not None:
        click.echo("\n".join(account.cell_lines(shelf, found.place)))
    else:
        assert found.key is not None
        click.echo("\n".join(account.stage_lines(shelf, found.key)))
    return 0


def _document(store: Store, found: Found) -> dict[str, object]:
    from dcdbench.harness.account import document
    from dcdbench.harness.census import state_of

    if found.key is not None:
        return document(store, found.key)
    assert found.place is not None
    state = state_of(store, found.place)
    stages = {role: document(store, key) for role, key in found.place.chain.items()}
    return {"cell": asdict(found.place), "status": state.status, "reason": state.reason, "stages": stages}


def _plot(store: Store, found: Found, path: Path) -> None:
    """Draws the curves of a training; of a cell, those of its last training."""
    from dcdbench.harness import curves
    from dcdbench.harness.account import regret_of
    from dcdbench.harness.lookup import labels

    key = found.key or next(reversed(found.place.trained if found.place else ()), "")
    record = store.get(key) if key else None
    if record is None or not (record.result.get("history") or record.result.get("curve")):
        raise click.UsageError(
            f"{key or 'this cell'} holds no finished training, so there are no curves to draw"
        )
    title = f"{labels(store).get(key, key)}" + (" (diverged)" if record.status == "diverged" else "")
    curves.draw(path, title, record.result, regret_of(store, key))
    click.echo(f"{path}: the curves of {key}", err=True)
