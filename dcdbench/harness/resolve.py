"""From specs to components: `name` or `{name: {field: value}}` becomes an instance of the registered class.

Nothing stops at the first mistake: a `Desk` collects them all, each with its path.
"""

from __future__ import annotations

__all__ = ["FAMILIES", "Desk", "component", "family_of", "fields_of", "plain", "record", "registry", "words"]

import dataclasses
import functools
import importlib
import sys
import types
import typing
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dcdbench import protocols
from dcdbench.harness import plugins
from dcdbench.harness.mistakes import ABSENT, Keys, Mistake, format_keys, nearest
from dcdbench.registry import Registry

FAMILIES: dict[str, type] = {
    "datasets": protocols.DataSource,
    "operators": protocols.OperatorLaw,
    "networks": protocols.Network,
    "noises": protocols.Noise,
    "objectives": protocols.Objective,
    "distillers": protocols.Distiller,
    "metrics": protocols.Metric,
    "methods": protocols.Method,
}

_PROTOCOLS = {name: getattr(protocols, name) for name in protocols.__all__}


@dataclass
class Desk:
    """Where mistakes are collected.

    Args:
        folder: What relative paths in the suite are relative to; those of an included file are to its folder.
        lines: The line of each value, by its path in the file; 0 for one given by `--set`.
        files: The file of each value that is of an included file, by its path.
        aliases: Paths that stand for others: those of a grid's variants.
        mistakes: What was found so far.
        faults: How often something was wrong, those included that were noted before.
    """

    folder: Path = Path()
    lines: dict[Keys, int] = field(default_factory=dict)
    files: dict[Keys, Path] = field(default_factory=dict)
    aliases: dict[Keys, Keys] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    faults: int = 0

    def wrong(self, keys: Keys, message: str, value: Any = ABSENT, known: Iterable[str] = ()) -> None:
        """Notes a mistake once, however many variants of a grid share it."""
        self.faults += 1
        keys = self.written(keys)
        word = value if value is not ABSENT else keys[-1] if keys else ""
        near, file = nearest(word, known), self.file(keys)
        mistake = Mistake(format_keys(keys), message, value, self.line(keys), near, file)
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)

    def unknown(self, keys: Keys, known: Iterable[str]) -> None:
        """Notes a key that nothing reads."""
        known = list(known)
        there = f"there are: {', '.join(known)}" if known else "there are none here"
        self.wrong(keys, f"unknown key; {there}", known=known)

    def written(self, keys: Keys) -> Keys:
        """The path as it stands in the file."""
        for n in range(len(keys), 0, -1):
            if (start := self.aliases.get(keys[:n])) is not None:
                return start + keys[n:]
        return keys

    def line(self, keys: Keys) -> int | None:
        """The line of a value, or of what is around it."""
        around = self._around(keys)
        return self.lines[around] if around else None

    def file(self, keys: Keys) -> Path | None:
        """The included file that a value stands in; None for the suite file itself."""
        around = self._around(keys)
        return self.files.get(around) if around else None

    def _around(self, keys: Keys) -> Keys:
        """The longest start of a path whose line is known; empty if there is none."""
        return next((keys[:n] for n in range(len(keys), 0, -1) if keys[:n] in self.lines), ())


def registry(family: str) -> Registry:
    """The registry of a family, by the family's name, with what installed packages add."""
    plugins.installed()
    found: Registry = importlib.import_module(f"dcdbench.{family}").registry
    return found


def family_of(hint: Any) -> str | None:
    """The family whose protocol `hint` is, or None."""
    return next((family for family, protocol in FAMILIES.items() if hint is protocol), None)


@functools.cache
def fields_of(cls: type) -> dict[str, tuple[Any, dataclasses.Field[Any]]]:
    """The fields that a suite may give: name to type hint and field."""
    namespaces = [
        vars(sys.modules[base.__module__]) for base in cls.__mro__ if base.__module__ in sys.modules
    ]
    # A name that a module imports for type checkers only is missing from its namespace: the
    # protocols and Path come to its help.
    names = ChainMap(*namespaces, _PROTOCOLS, {"Path": Path, "Any": Any})
    hints = typing.get_type_hints(cls, localns=dict(names))
    return {f.name: (hints[f.name], f) for f in dataclasses.fields(cls) if f.init}


def component(desk: Desk, keys: Keys, spec: Any, family: str) -> Any:
    """The component that `spec` describes, or None with its mistakes noted."""
    known = registry(family)
    singular = family.removesuffix("s")
    if isinstance(spec, str):
        spec = {spec: None}
    elif isinstance(spec, Mapping) and len(spec) == 1:
        keys = (*keys, *spec)
    else:
        return desk.wrong(keys, f"a {singular} is a name, or {{name: {{field: value}}}} with one name", spec)
    ((name, values),) = spec.items()
    if name not in known:
        return desk.wrong(keys, f"no such {singular}; there are: {', '.join(known)}", name, known)
    return record(desk, keys, {} if values is None else values, known[name])


def record(desk: Desk, keys: Keys, values: Any, cls: type) -> Any:
    """An instance of the dataclass `cls` with its fields from `values`, or None."""
    fields = fields_of(cls)
    if not isinstance(values, Mapping):
        return desk.wrong(keys, "expected {field: value} with the fields " + ", ".join(fields), values)
    before = desk.faults
    for key in values:
        if key not in fields:
            desk.unknown((*keys, key), fields)
    for name, (_, f) in fields.items():
        if name not in values and _required(f):
            desk.wrong(keys, "; ".join([f"the field {name!r} is missing", *f.metadata.values()]))
    given = {
        name: _convert(desk, (*keys, name), values[name], hint)
        for name, (hint, _) in fields.items()
        if name in values
    }
    return _make(desk, keys, cls, given) if desk.faults == before else None


def _required(f: dataclasses.Field[Any]) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _make(desk: Desk, keys: Keys, cls: type, given: dict[str, Any]) -> Any:
    try:
        return cls(**given)
    except (ValueError, TypeError, OSError) as error:
        text = str(error)
        subject = text.split(" ", 1)[0]
        return desk.wrong((*keys, subject) if subject in given else keys, text)


def _convert(desk: Desk, keys: Keys, value: Any, hint: Any) -> Any:
    """`value` as the type hint asks: components and paths by our rules, the rest by pydantic's."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if family := family_of(hint):
        return component(desk, keys, value, family)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return record(desk, keys, value, hint)
    if hint is Path:
        return _path(desk, keys, value)
    if not _special(hint):
        return plain(desk, keys, value, hint)
    if origin in (typing.Union, types.UnionType):
        return _union(desk, keys, value, args)
    if origin in (tuple, list):
        return _sequence(desk, keys, value, origin, args)
    if not isinstance(value, Mapping):
        return desk.wrong(keys, "expected a mapping", value)
    return {key: _convert(desk, (*keys, key), item, args[-1]) for key, item in value.items()}


def _special(hint: Any) -> bool:
    """Whether pydantic cannot do it alone: a component, a record or a path is somewhere inside."""
    if hint is Path or family_of(hint) or dataclasses.is_dataclass(hint):
        return True
    return any(_special(arg) for arg in typing.get_args(hint))


def _union(desk: Desk, keys: Keys, value: Any, hints: tuple[Any, ...]) -> Any:
    if value is None and type(None) in hints:
        return None
    special = [hint for hint in hints if _special(hint)]
    others = [hint for hint in hints if not _special(hint) and hint is not type(None)]
    if others and not isinstance(value, Mapping | str):
        return plain(desk, keys, value, typing.Union[tuple(others)])  # noqa: UP007  (built at run time)
    return _convert(desk, keys, value, special[0])


def _sequence(desk: Desk, keys: Keys, value: Any, make: type, hints: tuple[Any, ...]) -> Any:
    if not isinstance(value, list | tuple):
        return desk.wrong(keys, "expected a list", value)
    if Ellipsis in hints or make is list:
        hints = (hints[0],) * len(value)
    if len(value) != len(hints):
        return desk.wrong(keys, f"expected {len(hints)} entries", value)
    return make(_convert(desk, (*keys, i), value[i], hint) for i, hint in enumerate(hints))


def _path(desk: Desk, keys: Keys, value: Any) -> Path | None:
    if not isinstance(value, str) or not value:
        return desk.wrong(keys, "expected a path", value)  # type: ignore[func-returns-value]
    included = desk.file(desk.written(keys))
    return (included.parent if included else desk.folder) / Path(value).expanduser()


def plain(desk: Desk, keys: Keys, value: Any, hint: Any) -> Any:
    """`value` as a plain type: numbers from texts like `1e-3` too, but no number from true or false."""
    from pydantic import ValidationError

    if isinstance(value, bool) and not _admits(bool, hint):
        return desk.wrong(keys, f"expected {words(hint)}", value)
    adapter = _adapter(hint)
    if adapter is None:
        return desk.wrong(keys, f"a field of type {words(hint)} cannot be given in a suite", value)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        inner = tuple(part for part in fault["loc"] if isinstance(part, int))
        choices = [str(arg) for arg in _literals(hint)]
        kind = choices or fault["type"].endswith(("_parsing", "_type"))  # then the type says it all
        reason = "" if kind else f": {fault['msg'][0].lower()}{fault['msg'][1:]}"
        desk.wrong((*keys, *inner), f"expected {words(hint)}{reason}", fault["input"], choices)
    return None


@functools.cache
def _adapter(hint: Any) -> Any:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticSchemaGenerationError

    try:
        return TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return None


def _admits(kind: Any, hint: Any) -> bool:
    return hint in (kind, Any) or any(_admits(kind, arg) for arg in typing.get_args(hint))


def _literals(hint: Any) -> tuple[Any, ...]:
    args = typing.get_args(hint)
    return args if typing.get_origin(hint) is typing.Literal else sum(map(_literals, args), ())


def words(hint: Any) -> str:
    """A type hint as a user reads it."""
    if hint is type(None):
        return "null"
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(words, args))
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, args))
    if origin is tuple:
        return f"a list of: {words(args[0])}"
    if origin is dict:
        return "a mapping"
    if family := family_of(hint):
        return f"one of the {family}"
    names = {int: "an integer", float: "a number", str: "a text", bool: "true or false", Path: "a path"}
    return names.get(hint) or str(hint).removeprefix("<class '").removesuffix("'>")
