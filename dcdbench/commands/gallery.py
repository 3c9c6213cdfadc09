"""`dcdbench gallery SUITE`: a picture of the samples of all methods, beside clean and measured data."""

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


@click.command(short_help="Draw a picture of the samples of all methods of a suite.")
@suite_argument
@selection
@configuration
@store_folder
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("samples.png"),
    show_default=True,
    callback=picture,
    help="The picture: .png, .svg or .pdf.",
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
    device: str,
) -> int:
    """Draw a picture of the samples of all methods of SUITE: a row for each task.

    Columns are clean and measured data, then the methods, each sampled afresh from the same
    latents. It shows each task's first seed; scores are means over all of them. Nothing is trained. Exit
    code 3: nothing is finished.
    """
    from dcdbench.harness import gallery
    from dcdbench.harness.plan import make_plan
    from dcdbench.harness.standing import span
    from dcdbench.harness.store import Store

    opened = open_suite(suite, overrides, plugins, quick, methods, tasks, seeds)
    plan = make_plan(opened, choose_device(device))
    rows = gallery.rows(plan, Store(store))
    if not any(panel.x is not None for row in rows for panel in row.panels):
        click.echo(f"nothing of {suite} is finished in {store}: run it first", err=True)
        return 3
    firsts, counts = sorted({opened.seeds_of(task)[0] for task in opened.tasks}), opened.counts
    shown = f"seed {firsts[0]}" if len(firsts) == 1 else "the first seed of each task"
    hidden = any(panel.x is not None and bool(panel.x.isnan().any()) for row in rows for panel in row.panels)
    over = f"means over {span(counts, 'seed')}" if counts[-1] > 1 else "of this seed"
    title = f"suite {opened.name}, {shown}; equal latents for all methods; scores are {over}"
    gallery.draw(output, rows, title + ("; light blue was not measured" if hidden else ""))
    click.echo(f"{output}: {len(rows)} task{'s' * (len(rows) != 1)}, {shown}", err=True)
    return 0
