"""What is wrong in a suite file: every mistake with its place, its path and what would be right."""

from __future__ import annotations

__all__ = ["ABSENT", "Keys", "Mistake", "SuiteError", "format_keys", "nearest"]

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Keys: TypeAlias = tuple[str | int, ...]  # the way to a value: ("metrics", 1, "sliced_w2")

ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "nothing"})()


def format_keys(keys: Keys) -> str:
    """A path as it is printed.

    Example:
        >>> format_keys(("metrics", 1, "sliced_w2"))
        'metrics[1].sliced_w2'
    """
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}"
    return text.removeprefix(".")


def nearest(word: object, known: Iterable[str]) -> str | None:
    """The known name that `word` most resembles, or None."""
    found = difflib.get_close_matches(str(word), list(known), n=1)
    return found[0] if found else None


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong.

    Args:
        path: Where it stands in the file, as `tasks.ring.sigma_y`; empty for the whole file.
        message: What was expected.
        value: What came, or `ABSENT` where that says nothing.
        line: The line, from 1; 0 for a value given by `--set`, None where there is no line.
        near: A known name that was perhaps meant.
        file: The file, where that is one that the suite file includes; None for the suite file.
    """

    path: str
    message: str
    value: Any = ABSENT
    line: int | None = None
    near: str | None = None
    file: Path | None = None

    def text(self, file: str | Path) -> str:
        """`file:line: path: message (got VALUE); did you mean X?`"""
        file = self.file or file
        place = "--set" if self.line == 0 else f"{file}:{self.line}" if self.line else str(file)
        got = "" if self.value is ABSENT else f" (got {_short(self.value)})"
        hint = f"; did you mean {self.near!r}?" if self.near else ""
        return ": ".join(part for part in (place, self.path, self.message) if part) + got + hint


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


class SuiteError(ValueError):
    """A suite that cannot be used, with every mistake in it.

    Args:
        file: The suite file.
        mistakes: All mistakes, in the order of the file.
    """

    exit_code = 2

    def __init__(self, file: str | Path, mistakes: Sequence[Mistake]) -> None:
        self.file = Path(file)
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(mistake.text(file) for mistake in mistakes))
