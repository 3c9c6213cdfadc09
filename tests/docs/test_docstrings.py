"""The docstrings of dataclasses say what each of their fields is."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import dcdbench
from dcdbench.harness.resolve import FAMILIES, registry

SECTION = re.compile(r"^Args:\n((?: +.*\n?|\n)+)", re.MULTILINE)
ENTRY = re.compile(r"^ {4}(\w+):", re.MULTILINE)


def explained(cls: type) -> set[str] | None:
    """The entries under Args of a docstring; None where there is no such section."""
    section = SECTION.search(inspect.getdoc(cls) or "")
    return set(ENTRY.findall(section.group(1))) if section else None


def fields(cls: type) -> set[str]:
    return {field.name for field in dataclasses.fields(cls) if not field.name.startswith("_")}


def dataclasses_of_the_package() -> Iterator[type]:
    for info in pkgutil.walk_packages(dcdbench.__path__, "dcdbench."):
        if info.name.endswith("__main__"):
            continue
        for cls in vars(importlib.import_module(info.name)).values():
            if inspect.isclass(cls) and cls.__module__ == info.name and dataclasses.is_dataclass(cls):
                yield cls


@pytest.mark.parametrize("family", FAMILIES)
def test_every_field_of_a_component_is_explained(family: str) -> None:
    for name in registry(family):
        cls = registry(family)[name]
        if dataclasses.is_dataclass(cls):
            assert (explained(cls) or set()) == fields(cls), f"{family} {name}"


def test_who_explains_fields_explains_all() -> None:
    """Those that are no components, too, such as samplers and phases."""
    found = list(dataclasses_of_the_package())
    assert len(found) > 100
    for cls in found:
        assert explained(cls) in (None, fields(cls)), cls


@dataclass
class Lagging:
    """One field of two.

    Args:
        one: It is
            explained.
    """

    one: int
    other: int


def test_a_missing_entry_is_seen() -> None:
    """Control."""
    assert explained(Lagging) == {"one"} and fields(Lagging) == {"one", "other"}
    assert explained(int) is None
