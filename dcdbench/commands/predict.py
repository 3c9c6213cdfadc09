"""`dcdbench predict`: whether distillation will help, before anything is trained."""

from __future__ import annotations

__all__ = ["command"]

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcdbench.commands.options import configuration, json_output, open_suite, picture, write_json

if TYPE_CHECKING:
    import numpy as np

    from dcdbench.harness.outlook import Outlooks
    from dcdbench.harness.suite import Suite

ARRAYS = (".npy", ".npz")


@click.command(short_help="Predict whether a student of low rank will beat its teacher.")
@click.argument("source", type=click.Path(dir_okay=False, path_type=Path))
@click.option("-t", "--task", default=None, help="The task of a suite whose measurements are taken.")
@click.option("--seed", type=int, default=None, help="The seed of the task's data [default: its first].")
@click.option("--sigma-y", type=float, default=None, help="The noise of an array, a standard deviation.")
@click.option("--rank", type=click.IntRange(1), default=None, help="Of the student [default: the best].")
@click.option(
    "--aware/--unaware", default=False, show_default=True, help="Whether the student is told of the noise."
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=picture,
    metavar="FILE",
    help="Draw the spectrum and the gain of each rank as well: .png, .svg or .pdf.",
)
@configuration
@json_output
def command(
    source: Path,
    task: str | None,
    seed: int | None,
    sigma_y: float | None,
    rank: int | None,
    aware: bool,
    plot: Path | None,
    overrides: tuple[str, ...],
    plugins: tuple[Path, ...],
    quick: bool,
    as_json: bool,
) -> int:
    """Predict whether a student of low rank will beat its teacher, from measurements alone.

    SOURCE is an array of measurements y, .npy or .npz, with --sigma-y; or a suite with -t TASK, whose task
    has white noise and no other corruption. Nothing is trained. The answer is HELPS, DOES NOT or UNDECIDED.
    """
    from dcdbench.harness import outlook

    if source.suffix.lower() in ARRAYS:
        _refuse({"-t/--task": task, "--seed": seed}, "is for a suite, and this is an array")
        y, noise, name = _array(source), _needed(sigma_y), source.name
    else:
        _refuse({"--sigma-y": sigma_y}, "is for an array; that of a task is --set tasks.TASK.sigma_y=VALUE")
        y, noise, name = _measured(_task(source, task, overrides, plugins, quick), seed)
    found = _forecast(y, name, noise, rank, aware)
    if as_json:
        write_json("predict", outlook.document(found))
    else:
        click.echo("\n".join(outlook.lines(found)))
    if plot is not None:
        outlook.draw(plot, found)
        click.echo(f"{plot}: the spectrum and the gains", err=True)
    return 0


def _refuse(given: dict[str, object], why: str) -> None:
    for name, value in given.items():
        if value is not None:
            raise click.UsageError(f"{name} {why}")


def _needed(sigma_y: float | None) -> float:
    if sigma_y is None:
        raise click.UsageError("an array needs --sigma-y, the standard deviation of its noise")
    return sigma_y


def _array(path: Path) -> np.ndarray:
    """The measurements in a file: its only entry, or that called `y`."""
    import numpy as np

    try:
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from error
    if isinstance(loaded, np.ndarray):
        return _numbers(path, loaded)
    names = list(loaded.files)
    if "y" not in names and len(names) != 1:
        raise click.UsageError(f"{path} must have an entry 'y' or one alone, it has: {', '.join(names)}")
    return _numbers(path, loaded["y" if "y" in names else names[0]])


def _numbers(path: Path, y: np.ndarray) -> np.ndarray:
    if y.dtype.kind not in "fiub":
        raise click.UsageError(f"{path} must hold real numbers, it holds {y.dtype}")
    return y


def _task(
    path: Path, name: str | None, overrides: tuple[str, ...], plugins: tuple[Path, ...], quick: bool
) -> Suite:
    """The suite with this task alone."""
    if name is None:
        raise click.UsageError("a suite needs -t TASK: one task, of white noise alone")
    suite = open_suite(path, overrides, plugins, quick, tasks=(name,))
    if len(suite.tasks) != 1:
        raise click.UsageError(f"-t {name} means several tasks, name one: {', '.join(suite.tasks)}")
    return suite


def _measured(suite: Suite, seed: int | None) -> tuple[np.ndarray, float, str]:
    """The measurements of the suite's one task, their noise, and what they are called."""
    from dcdbench.harness.measured import measurements

    ((label, task),) = suite.tasks.items()
    seed = suite.seeds_of(label)[0] if seed is None else seed
    try:
        y = measurements(task, seed)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return y.numpy(), task.sigma_y, f"{label}, seed {seed}"


def _forecast(y: np.ndarray, name: str, sigma_y: float, rank: int | None, aware: bool) -> Outlooks:
    from dcdbench.harness.outlook import Outlooks
    from dcdbench.prediction.rules import forecast, ranks
    from dcdbench.prediction.spectrum import eigenvalues
    from dcdbench.streams import Stream

    try:
        seen, n = eigenvalues(y)
        tried = sorted({*ranks(len(seen)), *([] if rank is None else [rank])})
        found = forecast(seen, n, sigma_y, tried, aware, Stream(0) / "predict")
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}") from error
    return Outlooks(name, seen, len(y), sigma_y, aware, tuple(found), rank)
