"""`dcdbench leaderboard`: what the finished cells of a suite say."""

from __future__ import annotations

__all__ = ["command", "show"]

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcdbench.commands.options import (
    choose_device,
    configuration,
    open_suite,
    selection,
    store_folder,
    suite_argument,
)

if TYPE_CHECKING:
    from dcdbench.harness.board import Board
    from dcdbench.harness.plan import Plan
    from dcdbench.harness.store import Store
    from dcdbench.harness.table import Tables

FORMATS = ("text", "markdown", "csv", "json", "latex")


@click.command(short_help="Print the leaderboard of what is finished so far.")
@suite_argument
@selection
@configuration
@store_folder
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--device", default="cpu", show_default=True, help="Where it was trained.")
@click.option("--brief", is_flag=True, help="Only the suite's primary values.")
@click.option("--gains", is_flag=True, help="Only students against their teachers, in the primary values.")
@click.option(
    "--against",
    multiple=True,
    metavar="METHOD",
    help="Only students against this method, in the primary values; may be repeated.",
)
@click.option(
    "--into",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write it, as markdown, between the marks <!-- leaderboard:begin --> and :end --> of this file "
    "(with --against, rivals:begin and :end).",
)
def command(
    suite: Path,
    methods: tuple[str, ...],
    tasks: tuple[str, ...],
    seeds: tuple[int, ...],
    overrides: tuple[str, ...],
    plugins: tuple[Path, ...],
    quick: bool,
    store: Path,
    form: str,
    as_json: bool,
    device: str,
    brief: bool,
    gains: bool,
    against: tuple[str, ...],
    into: Path | None,
) -> int:
    """Print the leaderboard of what is finished of SUITE, and its verdicts on claims. Nothing is trained.

    Exit code 3: nothing is finished.
    """
    from dcdbench.harness.plan import make_plan
    from dcdbench.harness.store import Store

    opened = open_suite(suite, overrides, plugins, quick, methods, tasks, seeds)
    plan, shelf = make_plan(opened, choose_device(device)), Store(store)
    if into is None:
        return show(plan, shelf, "json" if as_json else form, brief, gains, against)
    from dcdbench.harness.render import into as write_into

    text, _ = _rendered(plan, shelf, "markdown", brief, gains, against)
    write_into(into, "rivals" if against else "leaderboard", text)
    click.echo(f"{into}: the leaderboard is written", err=True)
    return 0


def show(
    plan: Plan,
    store: Store,
    form: str,
    brief: bool = False,
    gains: bool = False,
    against: tuple[str, ...] = (),
) -> int:
    """Prints the leaderboard of a plan; the exit code says whether there was anything to print."""
    text, any_finished = _rendered(plan, store, form, brief, gains, against)
    click.echo(text, nl=False)
    return 0 if any_finished else 3


def _rendered(
    plan: Plan, store: Store, form: str, brief: bool, gains: bool, against: tuple[str, ...]
) -> tuple[str, bool]:
    """The leaderboard in a format, and whether any cell is finished or any claim decided."""
    from dcdbench.harness.render import render, wants_color

    parts, any_finished, compared = [], False, gains or bool(against)
    if plan.cells or not plan.suite.package:
        from dcdbench.harness.leaderboard import leaderboard
        from dcdbench.harness.results import collect

        board = collect(plan, store)
        whole = (
            _gains(plan, board, form, against) if compared else leaderboard(board.brief() if brief else board)
        )
        parts.append(whole)
        any_finished = any(cell.status != "missing" for cell in board.cells)
    if plan.suite.package and not (compared and parts):
        from dcdbench.harness.verdicts import tables, verdicts

        found = verdicts(plan, store)
        parts.append(tables(plan.suite.name, found))
        any_finished |= any(verdict.as_expected is not None for verdict in found)
    return render(_joined(parts), form, wants_color(sys.stdout)), any_finished


def _joined(parts: Sequence[Tables]) -> Tables:
    """One leaderboard of all tables, under the first title."""
    from dcdbench.harness.table import Tables

    tables = tuple(table for part in parts for table in part.tables)
    return Tables(parts[0].title, tables, tuple(line for part in parts for line in part.footer))


def _gains(plan: Plan, board: Board, form: str, rivals: tuple[str, ...]) -> Tables:
    """The gains of students; what programs read has one shape, what people read fits the page."""
    from dcdbench.harness.gains import against, gains
    from dcdbench.harness.identified import unidentified

    marked, turn = unidentified(plan.suite), form not in ("csv", "json")
    if not rivals:
        return gains(board, marked, turn)
    try:
        return gains(against(board, rivals), marked, turn, other="rival")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--against") from error
