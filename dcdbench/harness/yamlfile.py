"""YAML as data with line numbers: numbers read as numbers, `on` and `no` stay text, a key stands once."""

from __future__ import annotations

__all__ = ["Document", "parse", "read", "value_of"]

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dcdbench.harness.mistakes import Keys, Mistake, SuiteError, format_keys

_TAG = "tag:yaml.org,2002:"
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_INT = re.compile(rf"[-+]?{_DIGITS}\Z")
_FLOAT = re.compile(rf"[-+]?(?:(?:\.[0-9]+|{_DIGITS}(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.inf)\Z|\.nan\Z")


class _Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2, in which `1e-3` is a number and `no`, `010` and `12:30` are not traps."""

    yaml_implicit_resolvers: dict[str, Any] = {}


_Loader.add_implicit_resolver(_TAG + "int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(_TAG + "float", _FLOAT, list("-+.0123456789"))
_Loader.add_implicit_resolver(
    _TAG + "bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)
_Loader.add_implicit_resolver(_TAG + "null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(_TAG + "merge", re.compile(r"<<\Z"), ["<"])

_SCALARS: dict[str, Callable[[str], Any]] = {
    _TAG + "int": int,
    _TAG + "float": lambda text: float(text.replace(".inf", "inf").replace(".nan", "nan")),
    _TAG + "bool": lambda text: text.lower() == "true",
    _TAG + "null": lambda text: None,
    _TAG + "str": str,
}


@dataclass
class Document:
    """A parsed file.

    Args:
        value: Nested dicts, lists and scalars; keys are always text.
        lines: The line of each value, from 1, by its path.
        mistakes: Duplicate keys, keys that are no text, tags.
    """

    value: Any = None
    lines: dict[Keys, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


def read(path: Path) -> Document:
    """Reads a file; a file that is missing or is no YAML is a `SuiteError`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SuiteError(path, [Mistake("", f"cannot be read: {reason}")]) from error
    return parse(text, path)


def parse(text: str, path: str | Path = "<text>") -> Document:
    """Parses a text; `path` names it in errors."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = getattr(error, "problem", None) or str(error).splitlines()[0]
        line = mark.line + 1 if mark else None
        raise SuiteError(path, [Mistake("", f"is no YAML: {message}", line=line)]) from error
    document = Document()
    if node is not None:
        document.value = _Walk(document).value(node, ())
    return document


def value_of(text: str) -> Any:
    """The value of a short text as YAML reads it: that of `--set path=value`.

    Example:
        >>> value_of("1e-3"), value_of("no"), value_of("[1, two]")
        (0.001, 'no', [1, 'two'])
    """
    document = parse(text, "--set")
    if document.mistakes:
        raise SuiteError("--set", document.mistakes)
    return document.value


class _Walk:
    """Turns composed nodes into values, and notes lines and mistakes in a document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.open: list[yaml.Node] = []  # the nodes around the one at hand: an alias must not lead back

    def value(self, node: yaml.Node, keys: Keys) -> Any:
        self.document.lines.setdefault(keys, node.start_mark.line + 1)
        if any(node is outer for outer in self.open):
            return self.wrong(node, keys, "an alias must not contain itself")
        self.open.append(node)
        try:
            return self.inside(node, keys)
        finally:
            self.open.pop()

    def inside(self, node: yaml.Node, keys: Keys) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, keys)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*keys, i)) for i, item in enumerate(node.value)]
        convert = _SCALARS.get(node.tag)
        if convert is None:
            return self.wrong(node, keys, f"the tag {node.tag.replace(_TAG, '!!')!r} has no meaning here")
        try:
            return convert(node.value)
        except ValueError:
            return self.wrong(node, keys, f"{node.value!r} is no {node.tag.removeprefix(_TAG)}")

    def mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key, item in node.value:
            line = key.start_mark.line + 1
            if key.tag == _TAG + "merge":
                merged += item.value if isinstance(item, yaml.SequenceNode) else [item]
            elif not isinstance(key, yaml.ScalarNode):
                self.wrong(key, keys, "a key must be a text")
            elif key.value in first:
                message = f"the key stands twice, first in line {first[key.value]}"
                self.wrong(key, (*keys, key.value), message)
            else:
                first[key.value] = self.document.lines[(*keys, key.value)] = line
                result[key.value] = self.value(item, (*keys, key.value))
        for other in merged:
            self.merge(other, keys, result)
        return result

    def merge(self, node: yaml.Node, keys: Keys, result: dict[str, Any]) -> None:
        """`<<: *anchor`: keys that are given here win."""
        values = self.value(node, (*keys, "<<"))
        if not isinstance(values, dict):
            self.wrong(node, keys, "'<<' merges mappings only")
            return
        for key, item in values.items():
            if key not in result:
                result[key] = item
                inner, outer = (*keys, "<<", key), (*keys, key)
                for path, line in list(self.document.lines.items()):
                    if path[: len(inner)] == inner:
                        self.document.lines[outer + path[len(inner) :]] = line

    def wrong(self, node: yaml.Node, keys: Keys, message: str) -> None:
        line = node.start_mark.line + 1
        self.document.mistakes.append(Mistake(format_keys(keys), message, line=line))
