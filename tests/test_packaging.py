"""What is declared is what is used, and is said once."""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from configparser import RawConfigParser
from pathlib import Path

from dcdbench.harness.environment import OPTIONAL, REQUIRED

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
NAMES = {
    "PIL": "pillow",
    "ot": "pot",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def declared(requirements: list[str]) -> set[str]:
    """The names of the packages that are required."""
    return {re.split(r"[<>=~!\[; ]", requirement)[0] for requirement in requirements}


def imported(folder: Path) -> set[str]:
    """The packages, by the names they are installed under, that the modules of a folder import."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return {NAMES.get(name, name) for name in found - sys.stdlib_module_names - {"dcdbench", "theory"}}


def test_dependencies_are_what_the_code_imports() -> None:
    used = imported(ROOT / "dcdbench") | imported(ROOT / "theory")
    assert used == declared(PROJECT["dependencies"])


def test_imports_are_read() -> None:
    """Control: this file needs pytest's runner, and its neighbours import pytest itself."""
    assert {"pytest", "hypothesis", "torch"} <= imported(ROOT / "tests")


def test_the_doctor_asks_for_nothing_else() -> None:
    assert set(REQUIRED) == declared(PROJECT["dependencies"])


def test_the_doctor_names_the_extra_of_what_is_optional() -> None:
    for name, purpose in OPTIONAL.items():
        (extra,) = re.findall(r"extra `(\w+)`", purpose)
        assert name in declared(EXTRAS[extra])


def test_nothing_optional_is_imported_at_the_top_of_a_module() -> None:
    assert not imported(ROOT / "dcdbench") & declared(EXTRAS["deepinv"])


def test_the_formatter_has_one_version() -> None:
    tox = RawConfigParser()
    tox.read(ROOT / "tox.ini")
    assert tox["testenv:lint"]["deps"] in EXTRAS["dev"]


def test_the_constraint_is_a_version_that_the_package_admits() -> None:
    (line,) = (ROOT / "constraints.txt").read_text().split()
    name, _, version = line.partition("==")
    (least,) = (r.removeprefix("torch>=") for r in PROJECT["dependencies"] if r.startswith("torch>="))
    assert name == "torch"
    assert [*map(int, version.split("."))] >= [*map(int, least.split("."))]


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"
    command = "pip install tox && tox"
    assert command in script.read_text().splitlines()
    assert command in (ROOT / "README.md").read_text().splitlines()
    assert os.access(script, os.X_OK)


def test_versions_agree() -> None:
    from dcdbench import __version__

    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
