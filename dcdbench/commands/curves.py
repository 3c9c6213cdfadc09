"""`dcdbench curves SUITE`: a picture and a table of quality against the number of steps."""

from __future__ import annotations

__all__ = ["command"]

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcdbench.commands.options import (
    choose_device,
    configuration,
    json_output,
    open_suite,
    picture,
    selection,
    store_folder,
    suite_argument,
    write_json,
)

if TYPE_CHECKING:
    from dcdbench.harness.board import Board
    from dcdbench.harness.learning import Panel
    from dcdbench.harness.table import Tables


@click.command(short_help="Draw quality against the number of steps, over a grid of budgets.")
@suite_argument
@selection
@configuration
@store_folder
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("curves.svg"),
    show_default=True,
    callback=picture,
    help="The picture: .png, .svg or .pdf.",
)
@click.option(
    "--value",
    "values",
    multiple=True,
    help="A score that is drawn; may be repeated. Each task's primary values by default.",
)
@click.option(
    "--into",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write the table, as markdown, between the marks <!-- NAME:begin --> and :end --> of this file, "
    "where NAME is the suite's name, instead of printing it.",
)
@json_output
@click.option("--device", default="cpu", show_default=True, help="Where it was trained.")
def command(
    suite: Path,
    methods: tuple[str, ...],
    tasks: tuple[str, ...],
    seeds: tuple[int, ...],
    overrides: tuple[str, ...],
    plugins: tuple[Path, ...],
    quick: bool,
    store: Path,
    output: Path,
    values: tuple[str, ...],
    into: Path | None,
    as_json: bool,
    device: str,
) -> int:
    """Draw quality against the steps of a phase for each task of SUITE whose budget is a grid.

    A line is a method at one batch size; each of its points was trained from the start with the schedule of
    its length. Steps are those of the task's budget. A point with a diverged seed is not drawn: its mean is
    not finite. Nothing is trained. Exit code 3: nothing is finished.
    """
    from dcdbench.harness import learning, learning_picture, learning_table
    from dcdbench.harness.plan import make_plan
    from dcdbench.harness.results import collect
    from dcdbench.harness.store import Store

    opened = open_suite(suite, overrides, plugins, quick, methods, tasks, seeds)
    plan = make_plan(opened, choose_device(device))
    board = collect(plan, Store(store))
    _known(board, values)
    found, aside = learning.panels(plan, board, values), learning.flat(opened)
    if not found:
        raise click.UsageError(f"{suite} has no primary values: choose some with --value")
    try:
        count = learning_picture.draw(output, _title(board, found), found)
    except ValueError as error:
        raise click.UsageError(f"{error}; choose some with -m or -t") from error
    if not count:
        click.echo(f"nothing of {suite} is finished in {store}: run it first", err=True)
        return 3
    if as_json:
        write_json("curves", learning_table.document(found, board, aside))
    if into is not None or not as_json:
        _write(learning_table.tables(found, board, aside), into, opened.name)
    click.echo(f"{output}: {count} panel{'s' * (count != 1)}", err=True)
    return 0


def _known(board: Board, values: tuple[str, ...]) -> None:
    """Refuses values that no metric of the suite has."""
    for name in values:
        if name not in board.values:
            raise click.BadParameter(
                f"expected one of {', '.join(board.values)}, got {name!r}", param_hint="--value"
            )


def _title(board: Board, found: Sequence[Panel]) -> str:
    """What the picture shows, and how many of its points are not there."""
    drawn = [p.drawn for panel in found for line in panel.lines for p in line.points]
    absent = f"; {drawn.count(False)} of {len(drawn)} points have no result" if not all(drawn) else ""
    over = "mean and 95 % interval over seeds" if board.counts[-1] > 1 else "one seed, so without intervals"
    return f"suite {board.suite}: {over}{absent}"


def _write(tables: Tables, into: Path | None, name: str) -> None:
    """Prints the tables, or writes them into a file."""
    from dcdbench.harness.render import into as write_into
    from dcdbench.harness.render import render, wants_color

    if into is None:
        click.echo(render(tables, "text", wants_color(sys.stdout)), nl=False)
        return
    try:
        write_into(into, name, render(tables, "markdown"))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--into") from error
    click.echo(f"{into}: the table is written", err=True)
