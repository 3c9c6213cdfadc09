"""The JSON schema of suite files, from the registries: editors check and complete with it."""

from __future__ import annotations

__all__ = ["suite_schema", "summary"]

import dataclasses
import inspect
import types
import typing
from pathlib import Path
from typing import Any

from dcdbench.harness.board import Claim
from dcdbench.harness.resolve import FAMILIES, family_of, fields_of, registry
from dcdbench.harness.suite import Budget, Task
from dcdbench.harness.suitefile import SUITE_KEYS

Schema: typing.TypeAlias = dict[str, Any]


def summary(thing: Any) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0].strip()


def suite_schema() -> Schema:
    """The schema (draft 2020-12) of a suite file, with every component that is registered now."""
    names = {"type": "string", "pattern": "^[^/\\[\\]*?]+$"}
    properties: Schema = {
        "version": {"const": 1},
        "name": {"type": "string", "description": "The suite's name; the file's stem by default."},
        "include": {
            "anyOf": [{"type": "array", "items": {"type": "string"}, "minItems": 1}, {"type": "string"}],
            "description": "Suite files whose sections stand under those of this file, relative to it.",
        },
        "seeds": {"anyOf": [{"type": "array", "items": _SEED, "minItems": 1, "uniqueItems": True}, _SEED]},
        "network": {**_reference("networks"), "description": "The architecture of tasks that name none."},
        "budget": {**_record(Budget), "description": "The budget of tasks that give none.", "required": []},
        "tasks": {
            "type": "object",
            "additionalProperties": {"anyOf": [_task(), _NULL]},
            "propertyNames": names,
            "minProperties": 1,
        },
        "methods": {
            "type": "object",
            "additionalProperties": {"anyOf": [_reference("methods"), _NULL]},
            "propertyNames": names,
            "minProperties": 1,
        },
        "controls": {**_NAMES, "description": "The methods that are compared with, and are in no rank."},
        "reference": {
            "type": "string",
            "description": "The method whose operations `match: flops` gives to all, `equal_flops` to some.",
        },
        "equal_flops": {
            **_NAMES,
            "description": "The methods that train with the operations of `reference`.",
        },
        "metrics": {"type": "array", "items": _reference("metrics"), "minItems": 1},
        "primary": _NAMES,
        "claims": {"anyOf": [{"type": "array", "items": _record(Claim)}, _PACKAGE]},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A suite of dcdbench",
        "type": "object",
        "properties": {key: properties[key] for key in SUITE_KEYS},
        "anyOf": [
            {"required": ["tasks", "methods", "metrics"]},
            {"required": ["include"]},
            {"required": ["claims"], "properties": {"claims": _PACKAGE}},
        ],
        "additionalProperties": False,
        "$defs": {**{family: _family(family) for family in FAMILIES}, "grid": _GRID},
    }


_NULL: Schema = {"type": "null", "description": "Leaves out what an included file has."}
_NAMES: Schema = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}
_SEED: Schema = {"type": "integer", "minimum": 0}
_PACKAGE: Schema = {
    "type": "object",
    "description": "A package of claims that the suite decides.",
    "properties": {"package": {"type": "string"}},
    "required": ["package"],
    "additionalProperties": False,
}
_GRID: Schema = {
    "type": "object",
    "description": "An axis: one variant for each value.",
    "properties": {"grid": {"type": "array", "minItems": 1}},
    "required": ["grid"],
    "additionalProperties": False,
}


def _task() -> Schema:
    """A task: its name is its key, and the suite may give its network and its budget."""
    schema = _record(Task)
    del schema["properties"]["name"]
    schema["required"] = ["data", "operator"]
    budget = schema["properties"]["budget"]["anyOf"][0]
    budget["required"] = []
    return schema


def _family(family: str) -> Schema:
    """Any component of a family: its bare name, or `{name: fields}`."""
    members = {name: registry(family)[name] for name in registry(family)}
    bare = [name for name, cls in members.items() if not _record(cls)["required"]]
    named = {
        "type": "object",
        "properties": {
            name: _record(cls) if name not in bare else {"anyOf": [_record(cls), {"type": "null"}]}
            for name, cls in members.items()
        },
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [{"enum": bare}, named, {"$ref": "#/$defs/grid"}]}


def _record(cls: type) -> Schema:
    """A dataclass as an object."""
    fields = fields_of(cls)
    missing = dataclasses.MISSING
    return {
        "type": "object",
        "description": summary(cls),
        "properties": {name: _field(hint, f) for name, (hint, f) in fields.items()},
        "required": [
            name for name, (_, f) in fields.items() if f.default is missing and f.default_factory is missing
        ],
        "additionalProperties": False,
    }


def _field(hint: Any, f: dataclasses.Field[Any]) -> Schema:
    schema: Schema = {"anyOf": [_hint(hint), {"$ref": "#/$defs/grid"}]}
    if isinstance(f.default, int | float | str):
        schema["default"] = f.default
    return schema


def _hint(hint: Any) -> Schema:
    """The schema of a type hint; what JSON cannot say is left open."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if family := family_of(hint):
        return _reference(family)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _record(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_hint(arg) for arg in args]}
    if origin in (tuple, list):
        items = [_hint(arg) for arg in args if arg is not Ellipsis]
        return {"type": "array", "items": items[0]} if Ellipsis in args or origin is list else _exactly(items)
    if origin is typing.Literal:
        return {"enum": list(args)}
    return dict(_PLAIN.get(hint, {}))


_PLAIN: dict[Any, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    Path: {"type": "string"},
    type(None): {"type": "null"},
}


def _exactly(items: list[Schema]) -> Schema:
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def _reference(family: str) -> Schema:
    return {"$ref": f"#/$defs/{family}"}
