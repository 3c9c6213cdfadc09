"""`dcdbench sample KEY`: fresh samples from what a method has learned."""

from __future__ import annotations

__all__ = ["command"]

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcdbench.commands.options import choose_device, plugin_files, store_folder

if TYPE_CHECKING:
    from dcdbench.harness.lookup import Found
    from dcdbench.harness.store import Record, Store

SUFFIXES = (".png", ".svg", ".pdf", ".npy", ".npz", ".safetensors")


def _output(ctx: click.Context, option: click.Parameter, path: Path) -> Path:
    if path.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(
            f"expected a file that ends in {', '.join(SUFFIXES)}, got {path}", ctx, option
        )
    return path


@click.command(short_help="Draw samples from a trained method.")
@click.argument("key")
@click.option("-n", "count", type=click.IntRange(1), default=64, show_default=True, help="How many samples.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("samples.png"),
    show_default=True,
    callback=_output,
    help="A picture (.png .svg .pdf), or numbers (.npy .npz .safetensors).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the latents; equal for all methods.")
@click.option("--device", default="cpu", show_default=True, help="Where to sample: auto, cpu, cuda.")
@store_folder
@plugin_files
def command(
    key: str, count: int, output: Path, seed: int, device: str, store: Path, plugins: tuple[Path, ...]
) -> int:
    """Draw fresh samples from what KEY has learned, by the store alone.

    KEY is a cell such as digits-noise/dcd/0, or the key of samples, of a student or of a teacher,
    or the beginning of one. Images become a grid, points and vectors a scatter plot.
    """
    from dcdbench.harness import lookup, pictures, revive
    from dcdbench.harness import plugins as loader
    from dcdbench.harness.store import Store
    from dcdbench.streams import Stream

    loader.load(plugins)
    shelf = Store(store)
    record = _record(shelf, lookup.find(shelf, key))
    source = revive.sampled(shelf, record, choose_device(device))
    drawn = source.draw(count, Stream(seed) / "sample")
    pictures.write(output, drawn.x.cpu())
    calls = (
        f"{drawn.nfe} network call{'s' * (drawn.nfe != 1)} each" if drawn.nfe else "measurements, no network"
    )
    label = lookup.labels(shelf).get(record.key, "")
    click.echo(f"{output}: {count} samples of {label} {record.key} ({calls}, seed {seed})", err=True)
    return 0


def _record(store: Store, found: Found) -> Record:
    """The record to sample from: of a cell its samples, or the last training if they are missing."""
    keys = [found.key] if found.key else _candidates(found)
    for key in keys:
        record = store.get(key)
        if record is not None and (record.status == "done" or record.identity["kind"] == "samples"):
            return record
    for key in keys:
        if (record := store.get(key)) is not None:
            raise click.ClickException(
                f"{key} has diverged, so there is nothing to sample; `dcdbench replay {key}` shows how"
            )
    raise click.ClickException(f"{keys[0]} is not finished: `dcdbench status` tells how far it is")


def _candidates(found: Found) -> list[str]:
    place = found.place
    assert place is not None
    if place.reason:
        raise click.ClickException(f"{place.label} is skipped: {place.reason}")
    return [place.stages["samples"], *place.trained[-1:]]
