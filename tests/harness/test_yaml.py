"""YAML: numbers are numbers, words are words, each value knows its line, a key stands once."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dcdbench.harness.mistakes import SuiteError
from dcdbench.harness.yamlfile import parse, read, value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-2.5E+4", -2.5e4),
        (".5", 0.5),
        ("3.", 3.0),
        ("50_000", 50000),
        ("010", 10),
        ("-.inf", -math.inf),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("12:30:00", "12:30:00"),
        ("2024-01-01", "2024-01-01"),
        ("'1e-3'", "1e-3"),
        ("e5", "e5"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    got = value_of(text)
    assert got == value and type(got) is type(value)


def test_control_plain_pyyaml_falls_into_these_traps() -> None:
    assert yaml.safe_load("1e-3") == "1e-3"
    assert yaml.safe_load("on") is True
    assert yaml.safe_load("010") == 8


@given(st.floats(allow_nan=False))
def test_floats_survive(x: float) -> None:
    text = repr(x) if math.isfinite(x) else f"{'-' * (x < 0)}.inf"
    assert value_of(text) == x


def test_lines_of_keys_entries_and_values() -> None:
    lines = parse("a: 1\nb:\n  c: [1,\n      2]\n  d: x\n").lines
    assert lines[("a",)] == 1
    assert lines[("b",)] == 2
    assert lines[("b", "c")] == 3
    assert lines[("b", "c", 1)] == 4
    assert lines[("b", "d")] == 5


def test_every_duplicate_is_named_with_both_lines() -> None:
    document = parse("a: 1\nb: {c: 1, c: 2}\na: 2\n")
    assert [(m.path, m.line) for m in document.mistakes] == [("b.c", 2), ("a", 3)]
    assert "line 1" in document.mistakes[1].message


def test_merged_keys_are_no_duplicates_and_own_keys_win() -> None:
    document = parse("base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\n")
    assert document.value["own"] == {"y": 3, "x": 1}
    assert not document.mistakes
    assert document.lines[("own", "x")] == 1


def test_keys_are_text_whatever_they_look_like() -> None:
    assert parse("on: 1\n2: 3\n").value == {"on": 1, "2": 3}


def test_an_alias_within_itself_is_a_mistake_and_ends() -> None:
    assert "itself" in parse("a: &x [1, *x]").mistakes[0].message


def test_tags_are_mistakes() -> None:
    assert parse("a: !!python/object:os.system {}\nb: !mine 3").mistakes


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\tx: 1", "a: *nobody"])
def test_broken_yaml_is_one_error_with_its_line(text: str) -> None:
    with pytest.raises(SuiteError) as error:
        parse(text, "s.yaml")
    assert error.value.mistakes[0].line is not None
    assert str(error.value).startswith("s.yaml:")


def test_a_missing_file_and_one_that_is_no_text(tmp_path) -> None:
    with pytest.raises(SuiteError, match="cannot be read"):
        read(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(SuiteError, match="cannot be read"):
        read(tmp_path / "b.yaml")
