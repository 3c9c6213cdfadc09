"""Axes in a suite file: `{grid: [a, b]}` makes variants, named `method[field=a]`."""

from __future__ import annotations

__all__ = ["expand_grids"]

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from dcdbench.harness.mistakes import ABSENT, Keys
from dcdbench.harness.resolve import Desk


def expand_grids(desk: Desk, keys: Keys, members: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces each member that has grids by its variants, one for each combination of values.

    A member whose grid is broken becomes `ABSENT`, so that its name is still known.

    Args:
        desk: Told of mistakes, and of where each variant's values stand in the file.
        keys: The path of `members`.
        members: Specs by name.
    """
    result: dict[str, Any] = {}
    for name, spec in members.items():
        axes = list(_axes(spec, ()))
        if not all([_sound(desk, (*keys, name, *axis), _at(spec, axis)["grid"]) for axis in axes]):
            result[name] = ABSENT
            continue
        for choice in itertools.product(*(range(len(_at(spec, axis)["grid"])) for axis in axes)):
            label, variant = name, spec
            for axis, i in zip(axes, choice, strict=True):
                variant = _replaced(variant, axis, _at(spec, axis)["grid"][i])
            if axes:
                label = f"{name}[{_label(spec, axes, choice)}]"
                _alias(desk, keys, name, label, zip(axes, choice, strict=True))
            if label in result:
                desk.wrong((*keys, name), f"two variants have the same name {label!r}")
            result[label] = variant
    return result


def _axes(spec: Any, keys: Keys) -> Iterator[Keys]:
    if isinstance(spec, Mapping):
        if set(spec) == {"grid"}:
            yield keys
        else:
            for key, value in spec.items():
                yield from _axes(value, (*keys, key))
    elif isinstance(spec, list):
        for i, value in enumerate(spec):
            yield from _axes(value, (*keys, i))


def _sound(desk: Desk, keys: Keys, values: Any) -> bool:
    if isinstance(values, list) and values:
        return True
    desk.wrong((*keys, "grid"), "a grid is a list of at least one value", values)
    return False


def _at(spec: Any, keys: Keys) -> Any:
    for key in keys:
        spec = spec[key]
    return spec


def _replaced(spec: Any, keys: Keys, value: Any) -> Any:
    if not keys:
        return value
    copy: Any = list(spec) if isinstance(spec, list) else dict(spec)
    copy[keys[0]] = _replaced(spec[keys[0]], keys[1:], value)
    return copy


def _label(spec: Any, axes: list[Keys], choice: tuple[int, ...]) -> str:
    last = [axis[-1] if axis else "" for axis in axes]
    parts = []
    for axis, i in zip(axes, choice, strict=True):
        name = axis[-1] if axis else ""
        if last.count(name) > 1:  # two axes of one field name: the whole path tells them apart
            name = ".".join(map(str, axis))
        value = _text(_at(spec, axis)["grid"][i])
        parts.append(f"{name}={value}" if name != "" else value)
    return ",".join(parts)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "+".join(f"{key}({_text(item)})" if item else key for key, item in value.items())
    if isinstance(value, list):
        return "x".join(map(_text, value))
    return "null" if value is None else str(value).replace("/", "_")


def _alias(desk: Desk, keys: Keys, name: str, label: str, choice: Any) -> None:
    desk.aliases[(*keys, label)] = (*keys, name)
    for axis, i in choice:
        desk.aliases[(*keys, label, *axis)] = (*keys, name, *axis, "grid", i)
