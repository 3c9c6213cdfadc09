"""The JSON schema says of a suite file what the loader says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dcdbench
from dcdbench.harness.resolve import FAMILIES, fields_of, registry
from dcdbench.harness.schema import suite_schema, summary
from dcdbench.harness.suitefile import SUITE_KEYS, TASK_KEYS
from dcdbench.harness.yamlfile import read


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return suite_schema()


def test_it_is_json_and_names_every_key(schema: dict[str, Any]) -> None:
    assert json.loads(json.dumps(schema)) == schema
    assert list(schema["properties"]) == SUITE_KEYS
    assert not schema["additionalProperties"]
    task, _ = schema["properties"]["tasks"]["additionalProperties"]["anyOf"]
    assert list(task["properties"]) == TASK_KEYS


@pytest.mark.parametrize("family", FAMILIES)
def test_every_component_with_every_field(schema: dict[str, Any], family: str) -> None:
    _, named, _ = schema["$defs"][family]["anyOf"]
    assert list(named["properties"]) == list(registry(family))
    for name in registry(family):
        member = named["properties"][name]
        member = member["anyOf"][0] if "anyOf" in member else member
        assert set(member["properties"]) == set(fields_of(registry(family)[name]))
        assert member["description"] == summary(registry(family)[name])


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [r for value in node.values() for r in references(value)]
        return [r for value in node for r in references(value)] if isinstance(node, list) else []

    assert references(schema)
    assert {r.removeprefix("#/$defs/") for r in references(schema)} <= set(schema["$defs"])


SUITE = {
    "version": 1,
    "seeds": [0, 1],
    "network": "mlp",
    "budget": {"teacher_kimg": 5, "student_kimg": 5},
    "tasks": {"a": {"data": "digits", "operator": {"inpainting": {"keep": {"grid": [0.1, 0.2]}}}}},
    "methods": {"m": {"observed": None}},
    "metrics": [{"sliced_w2": {"projections": 3}}],
}


KINDS = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}


def valid(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """JSON schema validation, as much of it as the schema uses."""
    if "$ref" in schema:
        return valid(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    tests = [
        "anyOf" not in schema or any(valid(value, option, root) for option in schema["anyOf"]),
        value in schema.get("enum", [value]) and value == schema.get("const", value),
        "type" not in schema or KINDS[schema["type"]](value),
    ]
    if isinstance(value, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties", True)
        tests += [key in value for key in schema.get("required", [])]
        tests += [other is not False or key in known for key in value]
        tests += [len(value) <= schema.get("maxProperties", len(value))]
        parts = {key: known.get(key, other if isinstance(other, dict) else {}) for key in value}
        tests += [valid(value[key], part, root) for key, part in parts.items()]
    if isinstance(value, list):
        tests += [valid(item, schema.get("items", {}), root) for item in value]
        tests += [len(value) >= schema.get("minItems", 0)]
    return all(tests)


def test_it_admits_a_suite(schema: dict[str, Any]) -> None:
    assert valid(SUITE, schema, schema)


@pytest.mark.parametrize(
    "change",
    [
        {"metric": []},
        {"metrics": []},
        {"tasks": {"a": {"data": "digit", "operator": "identity"}}},
        {"tasks": {"a": {"data": "digits", "operator": {"inpainting": {"kep": 1}}}}},
        {"tasks": {"a": {"data": "digits"}}},
        {"seeds": [0.5]},
        {"methods": {"m": {"observed": None, "other": None}}},
    ],
)
def test_control_it_refuses_broken_suites(schema: dict[str, Any], change: dict[str, Any]) -> None:
    assert not valid({**SUITE, **change}, schema, schema)


def test_it_admits_what_the_loader_admits(schema: dict[str, Any]) -> None:
    for path in (Path(dcdbench.__file__).parents[1] / "suites").glob("*.yaml"):
        assert valid(read(path).value, schema, schema), path
