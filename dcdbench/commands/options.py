"""Options that several verbs share, so that one thing has one spelling everywhere."""

from __future__ import annotations

__all__ = [
    "choose_device",
    "configuration",
    "json_output",
    "open_suite",
    "parse_seeds",
    "picture",
    "plugin_files",
    "selection",
    "store_folder",
    "suite_argument",
    "write_json",
]

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dcdbench.harness.suite import Suite

F = TypeVar("F", bound=Callable[..., Any])


def parse_seeds(ctx: click.Context, option: click.Parameter, texts: Sequence[str]) -> tuple[int, ...]:
    """Seeds from texts like `0,2` and `0-4`, in order, each once."""
    seeds: list[int] = []
    for part in ",".join(texts).split(",") if texts else []:
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise click.BadParameter(f"expected seeds like 0,2 or 0-4, got {part!r}", ctx, option)
        seeds += range(int(first), int(last or first) + 1)
    return tuple(dict.fromkeys(seeds))


def selection(verb: F) -> F:
    """`-m/--method`, `-t/--task`, `-s/--seeds`: parameters `methods`, `tasks`, `seeds`."""
    pattern = "a name, a pattern such as 'dcd*', or a grid's own name; may be repeated"
    for decorate in (
        click.option(
            "-s", "--seeds", multiple=True, callback=parse_seeds, help="Only these seeds: 0,2 or 0-4."
        ),
        click.option("-t", "--task", "tasks", multiple=True, help=f"Only this task: {pattern}."),
        click.option("-m", "--method", "methods", multiple=True, help=f"Only this method: {pattern}."),
    ):
        verb = decorate(verb)
    return verb


def configuration(verb: F) -> F:
    """`--set`, `--plugins`, `--quick`: parameters `overrides`, `plugins`, `quick`."""
    for decorate in (
        click.option("--quick", is_flag=True, help="A smoke version: first seed, a fiftieth of the budgets."),
        click.option(
            "--plugins",
            multiple=True,
            type=click.Path(exists=True, path_type=Path),
            help="A file of your own components; may be repeated.",
        ),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="PATH=VALUE",
            help="Replace a value of the suite, as in tasks.ring.sigma_y=0.5; may be repeated.",
        ),
    ):
        verb = decorate(verb)
    return verb


def store_folder(verb: F) -> F:
    """`--store DIR`: parameter `store`, a `Path`."""
    return click.option(
        "--store",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("results"),
        show_default="./results",
        help="The folder of results.",
    )(verb)


def json_output(verb: F) -> F:
    """`--json`: parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(verb)


def plugin_files(verb: F) -> F:
    """`--plugins`: parameter `plugins`, where a verb needs no more of `configuration`."""
    return click.option(
        "--plugins",
        multiple=True,
        type=click.Path(exists=True, path_type=Path),
        help="A file of your own components; may be repeated.",
    )(verb)


def picture(ctx: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Refuses a name whose ending is not that of a picture before any work is done."""
    if path is not None and path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise click.BadParameter(f"expected a file that ends in .png, .svg or .pdf, got {path}", ctx, option)
    return path


def suite_argument(verb: F) -> F:
    """The suite file: parameter `suite`, a `Path`."""
    return click.argument("suite", type=click.Path(dir_okay=False, path_type=Path))(verb)


def choose_device(name: str) -> str:
    """`auto` is CUDA where there is some; a device that is not there is refused."""
    if name == "cpu":
        return name
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise click.BadParameter(f"{name!r} is not available: {str(error).splitlines()[0]}") from error
    return name


def open_suite(
    path: Path,
    overrides: Sequence[str] = (),
    plugins: Sequence[Path] = (),
    quick: bool = False,
    methods: Sequence[str] = (),
    tasks: Sequence[str] = (),
    seeds: Sequence[int] = (),
) -> Suite:
    """The suite as the options above ask for it, or a `SuiteError`, which exits with code 2."""
    from dcdbench.harness import suite
    from dcdbench.harness.suitefile import load_suite

    loaded = load_suite(path, overrides, plugins)
    chosen = suite.select(loaded, methods, tasks, seeds)
    return suite.quick(chosen) if quick else chosen


def write_json(kind: str, content: dict[str, Any]) -> None:
    """Writes one document to stdout; `schema` names its kind and version."""
    import json

    click.echo(json.dumps({"schema": f"dcdbench.{kind}/1", **content}, indent=2, default=str))
