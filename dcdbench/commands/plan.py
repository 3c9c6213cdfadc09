"""`dcdbench plan`: what a run would do."""

from __future__ import annotations

__all__ = ["command"]

import gc
from pathlib import Path

import click

from dcdbench.commands.options import (
    choose_device,
    configuration,
    json_output,
    open_suite,
    selection,
    store_folder,
    suite_argument,
    write_json,
)


@click.command(short_help="Tell what a run would do: cells, cache hits, predicted time.")
@suite_argument
@selection
@configuration
@store_folder
@click.option("-j", "--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes at once.")
@click.option("--device", default="cpu", show_default=True, help="Where it would train: auto, cpu, cuda.")
@json_output
def command(
    suite: Path,
    methods: tuple[str, ...],
    tasks: tuple[str, ...],
    seeds: tuple[int, ...],
    overrides: tuple[str, ...],
    plugins: tuple[Path, ...],
    quick: bool,
    store: Path,
    jobs: int,
    device: str,
    as_json: bool,
) -> int:
    """Tell what a run of SUITE would do: cells, cache hits, shared trainings, predicted time."""
    from dcdbench.harness.plan import make_plan
    from dcdbench.harness.preview import describe, summarise
    from dcdbench.harness.store import Store

    gc.freeze()  # what was imported stays: no need to look through it again and again
    gc.set_threshold(50_000)
    opened = open_suite(suite, overrides, plugins, quick, methods, tasks, seeds)
    plan, shelf = make_plan(opened, choose_device(device)), Store(store)
    if as_json:
        write_json("plan", summarise(plan, shelf, jobs))
    else:
        click.echo(describe(plan, shelf, jobs))
    return 0 if plan.stages else 3
