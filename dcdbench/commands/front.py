"""`dcdbench front SUITE`: a picture of quality against cost."""

from __future__ import annotations

__all__ = ["command"]

from pathlib import Path

import click

from dcdbench.commands.options import (
    choose_device,
    configuration,
    open_suite,
    picture,
    selection,
    store_folder,
    suite_argument,
)


@click.command(short_help="Draw quality against cost, and which methods are on the front.")
@suite_argument
@selection
@configuration
@store_folder
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("front.svg"),
    show_default=True,
    callback=picture,
    help="The picture: .png, .svg or .pdf.",
)
@click.option("--value", help="The score that is drawn; the suite's first primary value by default.")
@click.option(
    "--cost",
    type=click.Choice(["ms_per_sample", "nfe", "train_gflops", "train_seconds_total"]),
    default="ms_per_sample",
    show_default=True,
    help="The cost that is drawn.",
)
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
    value: str | None,
    cost: str,
    device: str,
) -> int:
    """Draw quality against cost for each task of SUITE, and the front that no method beats in both.

    A method with a diverged seed is left out: its mean is not finite. Controls, and what was granted clean
    data, are drawn in grey, and stand on no front. Nothing is trained. Exit code 3: nothing is finished.
    """
    from dcdbench.harness.front import draw
    from dcdbench.harness.plan import make_plan
    from dcdbench.harness.results import collect
    from dcdbench.harness.store import Store

    opened = open_suite(suite, overrides, plugins, quick, methods, tasks, seeds)
    board = collect(make_plan(opened, choose_device(device)), Store(store))
    directed = {name: info for name, info in board.values.items() if info.direction != "neither"}
    name = value or next(name for name in (*board.every_primary, *directed) if name in directed)
    if name not in directed:
        raise click.BadParameter(f"expected one of {', '.join(directed)}, got {name!r}", param_hint="--value")
    count = draw(output, board, directed[name], cost)
    if not count:
        click.echo(f"nothing of {suite} has both {name} and {cost} in {store}: run it first", err=True)
        return 3
    click.echo(f"{output}: {count} task{'s' * (count != 1)}", err=True)
    return 0
