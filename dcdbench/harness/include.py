"""Suite files that include others: the sections of the included files, under those of the file itself.

A file that includes others stands over them, and of several included files each over those before it.
Tasks and methods are merged by name: an entry replaces the included one of its name whole, in its place,
and a null leaves it out. Of all other keys the uppermost file that has one gives the whole of it. `name`
and `version` are of each file alone.
"""

from __future__ import annotations

__all__ = ["Merged", "read"]

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dcdbench.harness import yamlfile
from dcdbench.harness.mistakes import Keys, Mistake, SuiteError, nearest
from dcdbench.harness.yamlfile import Document

SECTIONS = ("tasks", "methods")  # merged name by name
OWN = ("name", "version", "include")  # of each file alone
VERSION = 1


@dataclass
class Merged(Document):
    """A file with all that it includes.

    Args:
        value: The sections of all files, merged; `include` is not among them.
        lines: The line of each value in its file, from 1, by its path.
        mistakes: Those that were found in reading.
        files: The file of each value, by its path, where that is an included one.
        left_out: By section, the names of included files that are left out.
    """

    files: dict[Keys, Path] = field(default_factory=dict)
    left_out: dict[str, set[str]] = field(default_factory=lambda: {section: set() for section in SECTIONS})


def read(path: Path) -> Merged:
    """Reads a file, and the files that it includes, by the rules above.

    Raises:
        SuiteError: One of the files cannot be read, is no YAML, or includes itself.
    """
    return _read(path, (path.resolve(),))


def _read(path: Path, way: tuple[Path, ...]) -> Merged:
    own = Merged(**vars(yamlfile.read(path)))
    if not isinstance(own.value, dict) or "include" not in own.value:
        return own
    under = Merged({})
    for target in _targets(path, own):
        under = _over(_included(target, path, own, way), under)
    del own.value["include"]
    _leave_out(own, under)
    return _over(own, under)


def _targets(path: Path, own: Merged) -> Iterator[Path]:
    """The included files, which are named relative to the file that names them."""
    given = own.value["include"]
    names = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(name, str) and name for name in names):
        message = "include is the path of a suite file, or a list of such paths"
        raise SuiteError(path, [Mistake("include", message, given, own.lines["include",])])
    for name in names:
        yield path.parent / Path(name).expanduser()


def _included(path: Path, by: Path, own: Merged, way: tuple[Path, ...]) -> Merged:
    """An included file; all that stands in it is known to be of that file."""
    line = own.lines["include",]
    if not path.is_file():
        near = nearest(path.name, (file.name for file in path.parent.glob("*.yaml")))
        raise SuiteError(by, [Mistake("include", f"no such file: {path}", line=line, near=near)])
    if path.resolve() in way:
        circle = [*way[way.index(path.resolve()) :], path.resolve()]
        message = f"a file must not include itself: {' -> '.join(file.name for file in circle)}"
        raise SuiteError(by, [Mistake("include", message, line=line)])
    found = _read(path, (*way, path.resolve()))
    if not isinstance(found.value, dict):
        raise SuiteError(path, [Mistake("", "an included file is a mapping with keys of suites", line=1)])
    found.files = {keys: found.files.get(keys, path) for keys in found.lines}
    version = found.value.get("version", VERSION)
    if version != VERSION or isinstance(version, bool):
        _wrong(found, ("version",), "this dcdbench reads version 1 of suite files", version)
    found.value = {key: value for key, value in found.value.items() if key not in OWN}
    found.mistakes = [replace(mistake, file=mistake.file or path) for mistake in found.mistakes]
    return found


def _wrong(document: Merged, keys: Keys, message: str, value: Any, near: str | None = None) -> None:
    path = ".".join(map(str, keys))
    document.mistakes.append(Mistake(path, message, value, document.lines[keys], near))


def _leave_out(own: Merged, under: Merged) -> None:
    """Takes the names that are null out of both documents."""
    for section in SECTIONS:
        given, known = own.value.get(section), under.value.get(section)
        if not isinstance(given, dict):
            continue
        known = known if isinstance(known, dict) else {}
        for name in [name for name, spec in given.items() if spec is None]:
            del given[name]
            own.left_out[section].add(name)
            if name not in known:
                text = f"null leaves out what an included file has, which is: {', '.join(known) or 'nothing'}"
                _wrong(own, (section, name), text, name, nearest(name, known))
            known.pop(name, None)


def _over(top: Merged, under: Merged) -> Merged:
    """A document that has what one has, and beneath it what another has."""
    value = {**under.value, **top.value}
    kept: set[Keys] = {(key,) for key in under.value if key not in top.value}
    for section in SECTIONS:
        above, below = top.value.get(section), under.value.get(section)
        if isinstance(above, dict) and isinstance(below, dict):
            value[section] = {**below, **above}
            kept |= {(section, name) for name in below if name not in above}
    lines = {keys: line for keys, line in under.lines.items() if kept & {keys[:1], keys[:2]}}
    files = {keys: file for keys, file in under.files.items() if keys in lines}
    left_out = {section: under.left_out[section] | top.left_out[section] for section in SECTIONS}
    mistakes = [*top.mistakes, *under.mistakes]
    return Merged(value, {**lines, **top.lines}, mistakes, {**files, **top.files}, left_out)
