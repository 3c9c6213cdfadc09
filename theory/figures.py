"""`python -m theory plot [-o DIR] [DIAGRAM ...]`: draws the phase diagrams of the claims."""

from __future__ import annotations

__all__ = ["FORMATS", "main", "write"]

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

FORMATS = (".svg", ".pdf", ".png")


def main(arguments: Sequence[str]) -> int:
    """Draws the diagrams that `arguments` name, or all, and prints the paths; returns the exit code."""
    from theory.diagrams import load_diagrams

    options = _parse(arguments)
    known = load_diagrams()
    unknown = [name for name in options.diagrams if name not in known]
    if unknown:
        print(f"no diagram named {unknown[0]!r} (known: {', '.join(known)})", file=sys.stderr)
        return 2
    for name in options.diagrams or known:
        start = time.perf_counter()
        path = write(name, options.output / f"{name}.{options.format}", options.quick)
        print(path, flush=True)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return 0


def write(name: str, path: Path, quick: bool = False) -> Path:
    """Draws one diagram into a file, in the format of its suffix."""
    from theory.diagrams import load_diagrams
    from theory.plots import figure, save

    if path.suffix not in FORMATS:
        raise ValueError(f"a diagram is written as one of {', '.join(FORMATS)}, not to {str(path)!r}")
    save(figure(load_diagrams()[name], quick), path)
    return path


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m theory plot", description="Draw the phase diagrams of the claims."
    )
    parser.add_argument("diagrams", nargs="*", metavar="DIAGRAM", help="names of diagrams (default: all)")
    parser.add_argument("-o", "--output", type=Path, default=Path("figures"), help="a directory")
    parser.add_argument("--format", choices=[each[1:] for each in FORMATS], default="svg")
    parser.add_argument("--quick", action="store_true", help="2 to 8 cells along an axis in place of 9 to 32")
    return parser.parse_args(arguments)
