"""`dcdbench run`: trains what the store lacks, and prints the leaderboard."""

from __future__ import annotations

__all__ = ["command"]

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from dcdbench.harness.executor import Summary
    from dcdbench.harness.plan import Plan
    from dcdbench.harness.store import Store


@click.command(short_help="Run a suite, or what is left of it, and print the leaderboard.")
@suite_argument
@selection
@configuration
@store_folder
@click.option(
    "-j", "--jobs", type=click.IntRange(1), default=None, help="Processes at once [default: the cores]."
)
@click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of each process."
)
@click.option("--timeout", type=float, default=None, metavar="SECONDS", help="Kill a stage after this long.")
@click.option("--device", default="cpu", show_default=True, help="Where to train: auto, cpu, cuda, cuda:1.")
@click.option("--retry-failed", is_flag=True, help="Try again what failed in an earlier run.")
@click.option("-x", "--fail-fast", is_flag=True, help="Start nothing more after a failure.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("--dry-run", is_flag=True, help="Only tell the plan.")
@click.option("--resume", is_flag=True, hidden=True, help="What a run always does.")
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "csv", "json", "latex"]), default="text"
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
    jobs: int | None,
    threads: int,
    timeout: float | None,
    device: str,
    retry_failed: bool,
    fail_fast: bool,
    quiet: bool,
    dry_run: bool,
    resume: bool,
    form: str,
) -> int:
    """Run SUITE, or what is left of it, and print the leaderboard.

    What the store has is reused: the same command goes on where an earlier one ended.
    """
    from dcdbench.harness.plan import make_plan
    from dcdbench.harness.store import Store

    gc.freeze()  # what was imported stays: no need to look through it again and again
    gc.set_threshold(50_000)
    opened = open_suite(suite, overrides, plugins, quick, methods, tasks, seeds)
    device = choose_device(device)
    plan = make_plan(opened, device)
    shelf = Store(store)
    if dry_run:
        from dcdbench.harness.preview import describe

        click.echo(describe(plan, shelf, jobs or _cores()))
        return 0
    if not plan.stages:
        click.echo("nothing to do: no method of this suite can work on its tasks", err=True)
        _print(plan, shelf, form)
        return 3
    options = {"threads": threads, "timeout": timeout, "device": device, "plugins": plugins}
    flags = {"retry_failed": retry_failed, "fail_fast": fail_fast}
    summary = _run(plan, shelf, jobs or _cores(), quiet, options | flags)
    _print(plan, shelf, form)
    if summary.interrupted:
        click.echo("interrupted: finished stages are stored; the same command goes on from here", err=True)
        return 130
    return _code(plan, shelf) if summary.ok else 1


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(plan: Plan, store: Store, jobs: int, quiet: bool, options: dict[str, Any]) -> Summary:
    from dcdbench.harness.estimate import Estimator
    from dcdbench.harness.executor import Options, execute
    from dcdbench.harness.manifest import write
    from dcdbench.harness.preload import modules
    from dcdbench.harness.progress import Progress
    from dcdbench.harness.results import Rows

    write(plan, store)
    progress = Progress(Estimator(store, plan.stages), jobs, Rows(plan, store).line, quiet)
    try:
        return execute(plan.stages, store, Options(jobs=jobs, preload=modules, **options), progress)
    finally:
        progress.close()


def _print(plan: Plan, store: Store, form: str) -> None:
    """The leaderboard, the verdicts on claims of a package, or both."""
    from dcdbench.commands.leaderboard import show

    show(plan, store, form)


def _code(plan: Plan, store: Store) -> int:
    """4 where a claim of a package did not come out as expected."""
    from dcdbench.harness.verdicts import verdicts

    return 4 if any(verdict.as_expected is False for verdict in verdicts(plan, store)) else 0
