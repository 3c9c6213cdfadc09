"""What names a result: canonical descriptions of values, and digests of a user's files."""

from __future__ import annotations

__all__ = ["canonical", "classes", "describe", "digest", "key_of", "stamp"]

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

_PLAIN = frozenset({bool, int, float, str})


def canonical(value: Any) -> str:
    """JSON with one spelling per value: sorted, without spaces, floats by `repr`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def key_of(kind: str, identity: Mapping[str, Any]) -> str:
    """The key of a stage: its kind and 16 hexadecimal digits."""
    return f"{kind}-{hashlib.blake2b(canonical(identity).encode(), digest_size=8).hexdigest()}"


def describe(value: Any, names: Mapping[Path, str] | None = None) -> Any:
    """A value of a stage's spec, as JSON. Two values that act differently differ here.

    Args:
        value: Frozen dataclasses, numbers, texts, paths, None, and sequences and mappings of those.
        names: What paths are called whose content is named elsewhere, so that moving
            them changes nothing.
    """
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, Path):
        return (names or {}).get(value, str(value))
    if isinstance(value, list | tuple):
        return [describe(item, names) for item in value]
    if isinstance(value, Mapping):
        return {_text(key): describe(item, names) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        cls = type(value)
        parts = {name: describe(getattr(value, name), names) for name in _field_names(cls)}
        return {"class": f"{cls.__module__}:{cls.__qualname__}", **parts}
    raise TypeError(
        f"a stage is described by dataclasses, numbers, texts, paths, None, tuples and mappings, "
        f"got {value!r} of type {type(value).__name__}"
    )


def classes(value: Any) -> Iterator[type]:
    """The classes of all dataclasses in a value of a stage's spec."""
    if value is None or type(value) in _PLAIN:  # most values are
        return
    if isinstance(value, list | tuple):
        for item in value:
            yield from classes(item)
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value)
        for name in _field_names(type(value)):
            yield from classes(getattr(value, name))
    elif isinstance(value, Mapping):
        yield from classes(tuple(value.values()))


def digest(path: Path) -> str:
    """The sha256 of a file's content, or of a folder's: names below it, and contents."""
    return _digest(path, stamp(path))


def stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of change of a file, or of all files in a folder: cheap to compare."""
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    members = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    infos = ((p, p.stat()) for p in members)
    return tuple((p.relative_to(path).as_posix(), info.st_size, info.st_mtime_ns) for p, info in infos)


@cache
def _digest(path: Path, members: tuple[tuple[str, int, int], ...]) -> str:
    if not path.is_dir():
        return _file_digest(path)
    total = hashlib.sha256()
    for name, _, _ in members:
        total.update(f"{name}\0{_file_digest(path / name)}\n".encode())
    return total.hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _field_names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


def _text(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a mapping in a stage's spec has text keys, got {key!r}")
    return key
